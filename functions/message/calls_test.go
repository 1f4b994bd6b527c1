package main

import (
	"testing"

	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/store"
)

// heldCalls moves the rig to a table and an edge whose calls are counted. Call it inside calls.Run, with the t of Run.
func (r *rig) heldCalls(t *testing.T, calls *gatewaytest.Calls) {
	t.Helper()
	r.t, r.edge, r.table = t, gatewaytest.NewEdge(t), calls.Table
	r.poster, r.invoker = calls.Edge(r.edge), calls.Edge(r.edge)
}

// newCalls starts an engine for the rig's clock and limits.
func (r *rig) newCalls() *gatewaytest.Calls {
	r.t.Helper()
	return gatewaytest.NewCalls(r.t, store.Config{Limits: r.limits, Now: r.now})
}

// TestRun_SequentialCalls bounds the calls one after the other from a run frame to the invocation of turn. The test of
// the same name in functions/turn continues from there to the post of RUN_STARTED.
func TestRun_SequentialCalls(t *testing.T) {
	r := newRig(t)
	calls := r.newCalls()
	calls.Run(t, func(t *testing.T) {
		r.heldCalls(t, calls)
		w := r.window("alice", "w1=")
		calls.Reset()
		w.answers(hi, `{"type":"accepted","requestId":"q1","runId":"r1","threadId":"t","state":"running"}`)
		if got := calls.Round("invoke turn"); got != 4 {
			t.Errorf("turn is invoked after %d sequential calls, want 4:\n%s", got, calls)
		}
	})
}
