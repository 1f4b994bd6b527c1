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

// A user who asked to be erased is erased by turn. Sweep invokes turn every minute until a pass completes, and again
// after 20 minutes. A failure record changes nothing, because the schedule invokes turn again.
func TestSweep_ErasedUser(t *testing.T) {
	r := newFixture(t)
	alice, bob := r.person("alice"), r.person("bob")
	alice.admit("r1")
	alice.dies("r1")
	bob.admit("r1")
	if err := alice.store.RequestErasure(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := gatewaytest.Invocation{User: alice.user, EraseUser: true}
	for _, c := range []struct {
		what    string
		after   time.Duration
		pass    bool // turn makes an erasing pass
		invoked int
	}{
		{"first sweep", time.Millisecond, false, 1}, {"before a pass", 10 * time.Second, true, 1},
		{"after the pass", 18 * time.Minute, false, 0},
		{"second pass", 2 * time.Minute, true, 1}, {"all is erased", time.Hour, false, 0},
	} {
		r.advance(c.after)
		r.sweep(schedule)
		invoked := 0
		for _, got := range r.edge.Invoked() {
			if got == want {
				invoked++
			}
		}
		if invoked != c.invoked {
			t.Errorf("%s: turn was invoked %d times, want %d", c.what, invoked, c.invoked)
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

// The slots of runs that were cancelled because their user is being erased stay. They block nothing, so sweep does not
// report them as residue.
func TestSweep_SlotsOfErasedUser(t *testing.T) {
	r := newFixture(t)
	r.limits.Attempts = 1
	alice := r.person("alice")
	alice.admit("r1")
	alice.dies("r1")
	if _, err := alice.store.Admit(t.Context(), store.Admission{
		Run: "r2", Thread: "other", Title: "a title",
		Messages: []agui.Message{{ID: "u", Role: agui.RoleUser, Content: "hi"}},
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
	if got := r.counted(); alice.status("r1") != chat.RunFailed || got[monitor.SweepEnded] != 1 ||
		got[monitor.SweepSlots] != 0 {
		t.Errorf("the run whose worker died is %s; counted %v", alice.status("r1"), got)
	}
}
