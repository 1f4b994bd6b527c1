package audit_test

import (
	"sync/atomic"
	"testing"
	"time"

	"carrel/infra/local/lambda"
	"carrel/infra/local/stack"
	"carrel/shared/client"
)

// Lambda takes a run's event and has no capacity until the event is too old. That takes 180 s; sweep's clock is ahead here.
// The window shows that nothing was done and what helps. The thread is free again, and its next run is done.
func TestFault48NoCapacity(t *testing.T) {
	g := newStage(t, stack.Config{Minute: time.Hour})
	window, other := g.window(), g.window()
	var expired atomic.Int32
	g.Host().SetFaults(lambda.Faults{
		Event: func(e lambda.Event) lambda.EventFault {
			turn := e.Function == g.Function("TurnFunction")
			return lambda.EventFault{Expire: turn && expired.Add(1) == 1, Delay: 2 * time.Second}
		},
		Env: func(function, _ string) map[string]string {
			if function == g.Function("SweepFunction") {
				return map[string]string{"CLOCK_SKEW": "170s"}
			}
			return nil
		},
	})
	g.send(window, "/say never said")
	g.await(window, "the failure", func(st client.State) bool { return st.Failure != nil })
	if f := window.State().Failure; f.Code != "no_capacity" || f.Message == "" {
		t.Errorf("the window shows the failure %+v", f)
	}
	g.send(window, "/say the end")
	g.said(window, "the end")
	g.exact(2, window, other, g.window())
}

// A worker is killed and its failure record is lost. A minute later, which it is here to the processes that start then, the
// run is due: sweep finds it in the index, and another worker goes on with it.
func TestFault49FailureRecordLost(t *testing.T) {
	g := newStage(t, stack.Config{Minute: time.Hour})
	window, other := g.window(), g.window()
	lost := newSignal()
	g.Host().SetFaults(lambda.Faults{Event: func(e lambda.Event) lambda.EventFault {
		record := e.Function == g.Function("SweepFunction")
		if record {
			lost.give()
		}
		return lambda.EventFault{Drop: record}
	}})
	g.send(window, "/say begun\n/stream 60 20\n/say the end")
	g.await(window, "the beginning", func(st client.State) bool { return says(st, "assistant", "begun") })
	if n := g.Host().Kill(g.Function("TurnFunction"), ""); n != 1 {
		t.Fatalf("%d workers were killed", n)
	}
	g.until(lost, "the failure record")
	g.later(61 * time.Second)
	g.sweep()
	g.said(window, "the end")
	g.exact(1, window, other, g.window())
}
