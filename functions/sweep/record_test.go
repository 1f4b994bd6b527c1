package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/monitor"
	"carrel/shared/store"
)

// A failure record of the invocation that claimed a run proves that its worker has ended. The run is resumed at once,
// before its lease expires, or ended at once if no attempt is left.
func TestRecord_WorkerDied(t *testing.T) {
	r := newFixture(t)
	alice := r.person("alice")
	alice.admit("r1")
	for n := 1; n <= r.limits.Attempts; n++ {
		request := fmt.Sprint("invocation ", n)
		alice.claims("r1", request)
		r.sweep(alice.failed(request))
		if got := r.edge.Invoked(); n < r.limits.Attempts && (len(got) != 1 || got[0] != alice.turn("r1")) ||
			n == r.limits.Attempts && len(got) > 0 {
			t.Errorf("after attempt %d: invoked %v", n, got)
		}
		r.advance(time.Second)
	}
	alice.ended("r1", chat.ThreadIdle)
	if got := r.counted(); got[monitor.SweepResumed] != r.limits.Attempts-1 || got[monitor.SweepEnded] != 1 {
		t.Errorf("counted %v", got)
	}
}

// Failure records may be repeated, late or out of order. A live worker keeps its run whatever records of other
// invocations arrive.
func TestRecord_OfAnotherInvocation(t *testing.T) {
	r := newFixture(t)
	alice := r.person("alice")
	alice.admit("r1")
	alice.claims("r1", "first")
	r.sweep(alice.failed("first"))
	if got := r.edge.Invoked(); len(got) != 1 {
		t.Fatalf("invoked %v", got)
	}
	second := alice.claims("r1", "second")
	for range 3 {
		for _, request := range []string{"first", "", "before its claim"} {
			r.sweep(alice.failed(request))
		}
		r.sweep(alice.neverRan())
		r.sweep(schedule)
		alice.lives(second, 70*time.Second)
	}
	if got := r.edge.Invoked(); len(got) > 0 || alice.status("r1") != chat.RunRunning {
		t.Errorf("invoked %v, the run is %s", got, alice.status("r1"))
	}
	alice.ends(second)
	r.sweep(alice.failed("second"))
	r.sweep(schedule)
	if got := r.edge.Invoked(); len(got) > 0 || r.counted()[monitor.SweepResumed] != 1 {
		t.Errorf("invoked %v, counted %v", got, r.counted())
	}
}

// A duplicate event has the same request id. If the duplicate fails while the worker that claimed the run is alive, the
// worker continues if it renews its lease before another turn claims the run. Otherwise it stops. The run never has two
// workers.
func TestRecord_OfADuplicate(t *testing.T) {
	r := newFixture(t)
	alice := r.person("alice")
	alice.admit("r1")
	h := alice.dies("r1") // here the worker stays alive
	r.sweep(alice.failed(worker))
	alice.lives(h, time.Second)
	if _, err := alice.store.Claim(t.Context(), "r1"); !errors.Is(err, chat.ErrNotClaimed) {
		t.Errorf("the claim of the invoked turn: %v, want ErrNotClaimed", err)
	}
	r.sweep(alice.failed(worker))
	second := alice.claims("r1", "second")
	if err := h.Renew(t.Context()); !errors.Is(err, chat.ErrLeaseLost) {
		t.Errorf("the first worker renews: %v, want ErrLeaseLost", err)
	}
	alice.ends(second)
}

// A turn that fails before it claims its run is not invoked again at once, because it might fail again just as fast.
// The schedule invokes it.
func TestRecord_FailedBeforeTheClaim(t *testing.T) {
	r := newFixture(t)
	alice := r.person("alice")
	alice.admit("r1")
	alice.dies("r1")
	r.advance(61 * time.Second)
	for range 3 {
		r.sweep(alice.failed("before its claim"))
	}
	if got := r.edge.Invoked(); len(got) > 0 || alice.status("r1") != chat.RunRunning {
		t.Errorf("invoked %v, the run is %s", got, alice.status("r1"))
	}
	r.sweep(schedule)
	if got := r.edge.Invoked(); len(got) != 1 {
		t.Errorf("invoked %v", got)
	}
}

// If the first turn of a run fails before its claim, the run ends at once. Another user's run with the same id does
// not.
func TestRecord_FirstTurnFailed(t *testing.T) {
	r := newFixture(t)
	alice, bob := r.person("alice"), r.person("bob")
	alice.admit("r1")
	bob.admit("r1")
	r.sweep(alice.failed("before its claim"))
	alice.ended("r1", chat.ThreadIdle)
	if bob.status("r1") != chat.RunAdmitted {
		t.Error("the run of another user was ended")
	}
}

// Clients choose run ids, so two users may have runs with the same id. A failure record of one user's turn does not
// change the run of another user. That holds if the failed run has ended, if it is left to the schedule, and if both
// runs have the same invocation id.
func TestRecord_SameRunIDOfOtherUsers(t *testing.T) {
	t.Attr("row", "B4: a failed turn ends no run with the same id of another user")
	for what, prepare := range map[string]func(r *fixture, alice person){
		"ended run":            func(_ *fixture, alice person) { alice.ends(alice.dies("r1")) },
		"left to the schedule": func(r *fixture, alice person) { alice.dies("r1"); r.advance(21 * time.Second) },
		"unknown run":          func(*fixture, person) {},
	} {
		t.Run(what, func(t *testing.T) {
			r := newFixture(t)
			alice := r.person("alice")
			if what != "unknown run" {
				alice.admit("r1")
			}
			prepare(r, alice)
			var others []person // so many that some share her shard of the index
			for n := range 60 {
				p := r.person(fmt.Sprint("other", n))
				p.admit("r1")
				if n%2 == 0 {
					p.claims("r1", "another invocation")
				}
				others = append(others, p)
			}
			r.sweep(alice.failed("another invocation"))
			r.sweep(alice.neverRan())
			for n, p := range others {
				want := []chat.RunStatus{chat.RunRunning, chat.RunAdmitted}[n%2]
				run, err := p.store.Run(t.Context(), "r1")
				if got := r.edge.Frames(p.window); err != nil || run.Status != want || want == chat.RunRunning &&
					!run.LeaseExpires.After(r.now()) || len(got) > 0 {
					t.Errorf("alice's turn failed; the run of %s is %s until %s, %v, and the connection got %v", p.user,
						run.Status, run.LeaseExpires, err, got)
				}
			}
			if got := r.edge.Invoked(); slices.ContainsFunc(got,
				func(i gatewaytest.Invocation) bool { return i.User != alice.user }) {
				t.Errorf("invoked %v", got)
			}
		})
	}
}

// Lambda drops an event after 180 s without capacity. Its run ends with CodeNoCapacity. A younger run has another
// event, so it stays.
func TestRecord_NeverRan(t *testing.T) {
	r := newFixture(t)
	alice := r.person("alice")
	alice.admit("r1")
	for _, wait := range []time.Duration{time.Second, 168 * time.Second} {
		r.advance(wait)
		r.sweep(alice.neverRan())
		if alice.status("r1") != chat.RunAdmitted {
			t.Fatalf("a run that was admitted %s ago is %s", wait, alice.status("r1"))
		}
	}
	r.advance(time.Second)
	r.sweep(alice.neverRan())
	alice.endedWith(engine.CodeNoCapacity, "r1", chat.ThreadIdle)
	if got := r.counted(); got[monitor.NoCapacity] != 1 || len(got) != 1 || len(r.edge.Invoked()) > 0 {
		t.Errorf("counted %v", got)
	}
}

// Without a failure record, sweep invokes turn once more for an unclaimed run, and ends the run at its deadline.
func TestSweep_UnclaimedRun(t *testing.T) {
	r := newFixture(t)
	alice := r.person("alice")
	alice.admit("r1")
	for _, c := range []struct{ wait, invoked int }{{0, 0}, {59, 0}, {2, 1}, {60, 0}, {60, 0}, {18, 0}} {
		r.advance(time.Duration(c.wait) * time.Second)
		r.sweep(schedule)
		if got := r.edge.Invoked(); len(got) != c.invoked || alice.status("r1") != chat.RunAdmitted {
			t.Errorf("%+v: invoked %v, the run is %s", c, got, alice.status("r1"))
		}
	}
	r.advance(2 * time.Second)
	r.sweep(schedule)
	alice.endedWith(engine.CodeNoCapacity, "r1", chat.ThreadIdle)
	if got := r.counted(); got[monitor.SweepResumed] != 1 || got[monitor.NoCapacity] != 1 || len(got) != 2 {
		t.Errorf("counted %v", got)
	}
}

// A worker may die after it has ended its run and before it has started the next.
func TestRecord_OfAnEndedRun(t *testing.T) {
	r := newFixture(t)
	alice := r.person("alice")
	alice.admit("r1")
	alice.admit("r2")
	alice.ends(alice.dies("r1"))
	r.sweep(alice.failed(worker))
	if got := r.edge.Invoked(); len(got) != 1 || got[0] != alice.turn("r2") || alice.status("r2") != chat.RunAdmitted {
		t.Errorf("invoked %v, the queued run is %s", got, alice.status("r2"))
	}
}

// An unreadable entry of the index does not prevent the handling of other entries, nor a user without credentials that
// of other users.
func TestSweep_UnreadableEntry(t *testing.T) {
	r := newFixture(t)
	alice, bob := r.person("alice"), r.person("bob")
	for _, p := range []person{alice, bob} {
		p.admit("r1")
		p.dies("r1")
	}
	r.advance(61 * time.Second)
	r.live, r.tables = unreadable{r.live}, closed{r.tables, alice.user}
	if err := r.Handle(t.Context(), []byte(schedule)); !errors.Is(err, errUnreadable) || !errors.Is(err, errClosed) {
		t.Errorf("error %v, want both errors", err)
	}
	if got := r.edge.Invoked(); len(got) != 1 || got[0] != bob.turn("r1") {
		t.Errorf("invoked %v", got)
	}
}

var errUnreadable, errClosed = errors.New("an entry cannot be read"), errors.New("no credentials")

// unreadable is an index with an unreadable entry. closed cannot open the part of one user.
type (
	unreadable struct{ index }
	closed     struct {
		tables
		user chat.User
	}
)

func (s unreadable) Due(ctx context.Context) ([]store.LiveEntry, error) {
	due, err := s.index.Due(ctx)
	return due, errors.Join(err, errUnreadable)
}

func (c closed) For(u chat.User) (*store.Store, error) {
	if u == c.user {
		return nil, errClosed
	}
	return c.tables.For(u)
}
