package main

import (
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/monitor"
	"carrel/shared/store"
)

// A user who asked to be forgotten is erased by turn, which is asked each minute until a pass comes to the end, and
// again after 20 minutes. A failed invocation changes nothing: the schedule asks.
func TestAUserIsForgotten(t *testing.T) {
	r := newRig(t)
	alice, bob := r.person("alice"), r.person("bob")
	alice.admit("r1")
	alice.dies("r1")
	bob.admit("r1")
	if err := alice.store.RequestErasure(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := gatewaytest.Invocation{User: alice.user, EraseUser: true}
	for _, c := range []struct {
		what  string
		after time.Duration
		pass  bool // made by turn
		asked int
	}{
		{"at once", time.Millisecond, false, 1}, {"until a pass is made", 10 * time.Second, true, 1}, {"not for a while", 18 * time.Minute, false, 0},
		{"again", 2 * time.Minute, true, 1}, {"never more", time.Hour, false, 0},
	} {
		r.advance(c.after)
		r.sweep(schedule)
		asked := 0
		for _, got := range r.edge.Invoked() {
			if got == want {
				asked++
			}
		}
		if asked != c.asked {
			t.Errorf("%s: asked %d times, want %d", c.what, asked, c.asked)
		}
		if c.pass {
			if err := alice.store.EraseUser(t.Context(), func([]chat.Connection) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.sweep(`{"version":"1.0","requestPayload":{"reason":"eraseUser"}}`)
	if s := bob.status("r1"); s == "" {
		t.Errorf("bob's run is %q", s)
	}
}

// The seats of runs that were cancelled because their user is to be forgotten stay: nobody will have them, and nobody who
// operates the stack is to be told of them.
func TestTheSeatsOfTheForgottenAreNoResidue(t *testing.T) {
	r := newRig(t)
	r.limits.Attempts = 1
	alice := r.person("alice")
	alice.admit("r1")
	alice.dies("r1")
	if _, err := alice.store.Admit(t.Context(), store.Admission{
		Run: "r2", Thread: "other", Title: "a title", Messages: []agui.Message{{ID: "u", Role: agui.RoleUser, Content: "hi"}},
	}); err != nil {
		t.Fatal(err)
	}
	if err := alice.store.RequestErasure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if working, err := alice.store.StopAll(t.Context()); err != nil || working != 1 {
		t.Fatalf("%d runs work, %v", working, err)
	}
	r.advance(61 * time.Second)
	r.sweep(schedule)
	if got := r.counted(); alice.status("r1") != chat.RunFailed || got[monitor.SweepEnded] != 1 || got[monitor.SweepSlots] != 0 {
		t.Errorf("the run whose worker died is %s; counted %v", alice.status("r1"), got)
	}
}
