package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

func TestSweep_EndsRunWithoutAttempts(t *testing.T) {
	r := newFixture(t)
	r.limits.Attempts = 1
	alice, bob := r.person("alice"), r.person("bob")
	alice.admit("r1")
	alice.admit("r2")
	bob.admit("r1")
	frozen := alice.dies("r1")
	bob.dies("r1")
	r.sweep(schedule)
	r.sweep(alice.failed("another invocation"))
	if alice.status("r1") != chat.RunRunning || bob.status("r1") != chat.RunRunning {
		t.Fatal("a run was ended before its lease expired")
	}
	r.advance(61 * time.Second)
	if h, err := bob.store.Run(t.Context(), "r1"); err != nil || h.LeaseExpires.After(r.now()) {
		t.Fatalf("bob's run %+v, error %v", h, err)
	}
	r.sweep(schedule)
	alice.ended("r1", chat.ThreadRunning) // r2 runs in the thread now
	bob.ended("r1", chat.ThreadIdle)
	if got := r.edge.Invoked(); !slices.Contains(got, gatewaytest.Invocation{User: alice.user, Run: "r2"}) ||
		len(got) != 1 {
		t.Errorf("invoked %v, want the queued run", got)
	}
	if _, err := frozen.Append(t.Context(), []agui.Event{{Type: agui.TextMessageEnd, MessageID: "m"}}); !errors.Is(err,
		chat.ErrLeaseLost) {
		t.Errorf("the dead worker appended again: %v", err)
	}
	r.sweep(schedule)
	if got := r.edge.Frames(bob.window); len(got) != 0 {
		t.Errorf("the next sweep broadcast the end again: %v", got)
	}
	if got := r.counted(); got[monitor.RunsDied] != 2 || got[monitor.SweepEnded] != 2 || len(got) != 2 {
		t.Errorf("counted %v", got)
	}
}

// Sweep reads no data of users whose runs have live workers, however many runs there are and however long they take.
func TestSweep_SkipsHealthyRuns(t *testing.T) {
	r := newFixture(t)
	counter := &opened{tables: r.tables}
	var leases []*store.Lease
	var people []person
	for n := range 20 {
		p := r.person(fmt.Sprint("user", n))
		p.admit("r1")
		leases, people = append(leases, p.claims("r1", worker)), append(people, p)
	}
	r.tables = counter
	for range 30 { // three minutes
		r.advance(6 * time.Second)
		for _, h := range leases {
			if err := h.Renew(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		r.sweep(schedule)
	}
	if n := counter.users.Load(); n > 0 {
		t.Errorf("sweep opened the parts of %d users, want none", n)
	}
	r.advance(61 * time.Second)
	r.sweep(schedule)
	if n := counter.users.Load(); n != int64(len(people)) {
		t.Errorf("%d users have runs with dead workers, and sweep opened the parts of %d users", len(people), n)
	}
}

// opened counts the calls of For.
type opened struct {
	tables
	users atomic.Int64
}

func (o *opened) For(u chat.User) (*store.Store, error) {
	o.users.Add(1)
	return o.tables.For(u)
}

func TestSweep_QueuedRunExpires(t *testing.T) {
	r := newFixture(t)
	alice := r.person("alice")
	alice.admit("r1")
	alice.admit("r2")
	r.advance(time.Hour - time.Second)
	alice.dies("r1") // claimed just now, so its worker counts as alive
	r.sweep(schedule)
	if alice.status("r2") != chat.RunQueued {
		t.Errorf("before its deadline the queued run is %s", alice.status("r2"))
	}
	r.advance(2 * time.Second)
	r.sweep(schedule)
	if alice.status("r1") != chat.RunRunning || alice.status("r2") != chat.RunCancelled {
		t.Errorf("the runs are %s and %s", alice.status("r1"), alice.status("r2"))
	}
	got := r.edge.Frames(alice.window)
	if e, ok := got[0].(*wire.Ended); !ok || e.RunID != "r2" || e.Status != chat.RunCancelled {
		t.Errorf("the connection got %+v", got)
	}
}

// The function that ended a run may have died before it started the next run.
func TestSweep_StartsQueuedRun(t *testing.T) {
	r := newFixture(t)
	alice := r.person("alice")
	alice.admit("r1")
	alice.admit("r2")
	h := alice.dies("r1")
	if _, err := h.End(t.Context(), []agui.Event{{Type: agui.RunError, Message: "x"}}); err != nil {
		t.Fatal(err)
	}
	r.advance(61 * time.Second)
	r.sweep(schedule)
	if got := r.edge.Invoked(); len(got) != 1 || got[0].Run != "r2" || alice.status("r2") != chat.RunAdmitted {
		t.Errorf("invoked %v, the run is %s", got, alice.status("r2"))
	}
}

// If a queued run reaches its deadline but can start at that moment, it starts.
func TestSweep_StartsRunAtItsDeadline(t *testing.T) {
	r := newFixture(t)
	alice := r.person("alice")
	alice.admit("r1")
	alice.admit("r2")
	alice.ends(alice.dies("r1"))
	r.advance(time.Hour + time.Minute)
	r.sweep(schedule)
	if got := r.edge.Invoked(); len(got) != 1 || got[0] != alice.turn("r2") || alice.status("r2") != chat.RunAdmitted {
		t.Errorf("invoked %v, the run is %s", got, alice.status("r2"))
	}
}

func TestSweep_EachUserFails(t *testing.T) {
	r := newFixture(t)
	names := []string{"alice", "bob", "carol"}
	var people []person
	for _, name := range names {
		p := r.person(name)
		p.admit("r1")
		p.admit("r2")
		p.dies("r1")
		people = append(people, p)
	}
	r.advance(61 * time.Second)
	r.edge.Fail(errors.New("throttled"))
	if err := r.Handle(t.Context(), json.RawMessage(schedule)); err == nil ||
		strings.Count(err.Error(), "throttled") != 3 {
		t.Errorf("error %v, want the error of each user", err)
	}
	for _, p := range people {
		p.ended("r1", chat.ThreadRunning)
	}
}

// A deleted thread is erased by turn. Sweep invokes turn until nothing is left: at once, and again after 20 minutes.
func TestSweep_DeletedThread(t *testing.T) {
	r := newFixture(t)
	r.limits.Attempts = 1 // so that sweep ends the run
	alice := r.person("alice")
	alice.admit("r1")
	h := alice.dies("r1")
	if _, err := alice.store.Delete(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	e := store.Erasure{Thread: "t", Epoch: h.Thread().Epoch}
	want := gatewaytest.Invocation{User: alice.user, Thread: e.Thread, Epoch: e.Epoch}
	for _, c := range []struct {
		what    string
		after   time.Duration
		pass    bool // turn makes an erasing pass
		invoked int
	}{
		{"first sweep", time.Millisecond, false, 1}, {"before a pass", time.Minute, true, 1},
		{"after the pass", 18 * time.Minute, false, 0},
		{"second pass", 2 * time.Minute, true, 1}, {"all is erased", time.Hour, false, 0},
	} {
		r.advance(c.after)
		r.sweep(schedule)
		if got := r.edge.Invoked(); len(got) != c.invoked || c.invoked > 0 && got[0] != want {
			t.Errorf("%s: invoked %v", c.what, got)
		}
		if c.pass {
			if err := alice.store.Erase(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if alice.status("r1") != chat.RunFailed || len(r.edge.Frames(alice.window)) > 0 {
		t.Errorf("the run of the deleted thread is %s", alice.status("r1"))
	}
	r.sweep(`{"version":"1.0","requestPayload":{"reason":"eraseThread","thread":"t","epoch":"e"}}`)
	if live, err := r.table.Live(t.Context()); err != nil || len(live) > 0 {
		t.Errorf("the index still holds %+v, %v", live, err)
	}
}
