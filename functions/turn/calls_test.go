package main

import (
	"testing"

	"carrel/shared/chat"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/store"
)

// heldCalls moves the fixture to a table and an edge whose calls are counted, with the window that watches the thread.
// Call it inside calls.Run, with the t of Run.
func (r *fixture) heldCalls(t *testing.T, calls *gatewaytest.Calls) {
	t.Helper()
	s, err := calls.Table.For(r.user)
	if err != nil {
		t.Fatal(err)
	}
	r.edge, r.table, r.tables, r.store = gatewaytest.NewEdge(t), calls.Table, calls.Table, s
	r.poster, r.invoker = calls.Edge(r.edge), calls.Edge(r.edge)
	r.watch(t, "window", "t")
}

// TestTurn_SequentialCalls bounds the calls one after the other from turn's event to the post of RUN_STARTED. The test
// TestRun_SequentialCalls in functions/message bounds those from the run frame to this event.
func TestTurn_SequentialCalls(t *testing.T) {
	r := newFixture(t, fast())
	calls := gatewaytest.NewCalls(t, store.Config{Limits: chat.DefaultLimits(), Now: r.clock.Now})
	calls.Run(t, func(t *testing.T) {
		r.heldCalls(t, calls)
		r.admit(t, "r0", "hello")
		r.turn(t, "r0")
		r.admit(t, "r1", "hello")
		calls.Reset()
		r.turn(t, "r1")
		if got := calls.Round("post events"); got != 7 {
			t.Errorf("RUN_STARTED is posted after %d sequential calls, want 7:\n%s", got, calls)
		}
	})
}
