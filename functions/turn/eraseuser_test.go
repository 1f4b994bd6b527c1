package main

import (
	"errors"
	"slices"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/model/scripted"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// eraseUser invokes turn to erase the fixture's user.
func (r *fixture) eraseUser(t *testing.T) {
	t.Helper()
	ctx, event := gatewaytest.EraseUser(t, r.user)
	if err := r.Handle(ctx, event); err != nil {
		t.Fatalf("erase the user: %v\n%s", err, r.log)
	}
}

// A user is erased while a run works. The run stops, then every item is deleted, and then the window is notified and
// closed.
func TestEraseUser(t *testing.T) {
	r := newFixture(t, scripted.New(scripted.Config{}))
	r.handler.after = func(d time.Duration) <-chan time.Time { return time.After(d / 20) }
	r.admit(t, "r1", "/stream 2000 20")
	r.admit(t, "r2", "/say never")
	ended := r.begins(t, "r1")
	if err := r.store.RequestErasure(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.eraseUser(t)
	if err := <-ended; err != nil {
		t.Errorf("turn: %v\n%s", err, r.log)
	}
	frames := r.edge.Frames("window")
	if done, ok := frames[len(frames)-1].(*wire.Done); !ok || done.ThreadID != "" {
		t.Errorf("the window received %+v last", frames[len(frames)-1])
	}
	if closed := r.edge.Closed(); !slices.Equal(closed, []chat.ConnectionID{"window"}) {
		t.Errorf("closed were %q", closed)
	}
	for _, run := range []chat.RunID{"r1", "r2"} {
		if _, err := r.store.Run(t.Context(), run); !errors.Is(err, chat.ErrNotFound) {
			t.Errorf("of %s: %v", run, err)
		}
	}
	if cs, err := r.store.Connections(t.Context()); err != nil || len(cs) > 0 {
		t.Errorf("connections: %+v, %v", cs, err)
	}
	live, err := r.table.Live(t.Context())
	if err != nil || len(live) != 1 || !live[0].EraseUser || live[0].Due.Before(r.clock.Now().Add(19*time.Minute)) {
		t.Errorf("live: %+v, %v; want the second pass", live, err)
	}
	r.clock.Advance(21 * time.Minute)
	r.eraseUser(t)
	if live, err := r.table.Live(t.Context()); err != nil || len(live) > 0 {
		t.Errorf("live after the second pass: %+v, %v", live, err)
	}
	r.eraseUser(t) // an event may come twice
	if invoked := r.edge.Invoked(); len(invoked) > 0 {
		t.Errorf("what waited was started: %+v", invoked)
	}
}

// While a run does not stop, nothing is erased, and the next pass continues. A run whose worker is dead does not delay
// the erasure.
func TestEraseUser_WorkingRun(t *testing.T) {
	r := newFixture(t, fast())
	waits := 0
	r.handler.after = func(time.Duration) <-chan time.Time {
		waits++
		over := make(chan time.Time)
		close(over)
		return over
	}
	r.admit(t, "r1", "/say hello")
	if _, err := r.store.Claim(t.Context(), "r1"); err != nil {
		t.Fatal(err)
	}
	if err := r.store.RequestErasure(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.eraseUser(t)
	if run, err := r.store.Run(t.Context(), "r1"); err != nil || !run.CancelRequested || waits != 20 {
		t.Errorf("after %d waits the run is %+v, %v", waits, run, err)
	}
	if closed := r.edge.Closed(); len(closed) > 0 {
		t.Errorf("closed were %q", closed)
	}
	r.clock.Advance(time.Minute)
	r.eraseUser(t)
	if _, err := r.store.Run(t.Context(), "r1"); !errors.Is(err, chat.ErrNotFound) {
		t.Errorf("the run of a dead worker: %v", err)
	}
}

// If the user has not requested the erasure, the invocation changes nothing.
func TestEraseUser_WithoutMark(t *testing.T) {
	r := newFixture(t, fast())
	r.admit(t, "r1", "/say hello")
	r.turn(t, "r1")
	r.eraseUser(t)
	if s := r.status(t, "r1"); s != chat.RunFinished {
		t.Errorf("the run is %s", s)
	}
	if _, err := r.store.Admit(t.Context(), store.Admission{Run: "r2", Thread: "t"}); err != nil {
		t.Errorf("another run: %v", err)
	}
}
