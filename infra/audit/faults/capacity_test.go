package faults_test

import (
	"carrel/infra/testkit"
	"carrel/shared/campaign"

	"sync/atomic"
	"testing"
	"time"

	"carrel/infra/local/lambda"
	"carrel/infra/local/stack"
	"carrel/shared/client"
)

// Lambda accepts a run's event and has no capacity until the event is too old. That takes 180 s, so sweep's clock is
// ahead here. The window shows that nothing was done and what helps. The thread is free again, and its next run is
// carried out.
func TestFault48_NoCapacity(t *testing.T) {
	g := newFaultEnv(t, stack.Config{Minute: time.Hour})
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
	g.Send(window, "/say never said")
	g.WaitFor(window, "shows the failure", func(st client.State) bool { return st.Failure != nil })
	if f := window.State().Failure; f.Code != "no_capacity" || f.Message == "" {
		t.Errorf("the window shows the failure %+v", f)
	}
	g.Send(window, "/say the end")
	g.WaitForAnswer(window, "the end")
	g.checkWindows(2, window, other, g.window())
}

// A worker is killed and its failure record is lost. Processes that start afterwards have a clock that is a minute
// ahead, so the run is due for them. Sweep finds it in the index, and another worker continues it.
func TestFault49_FailureRecordLost(t *testing.T) {
	campaign.Only(t, "it waits until sweep finds a due run")
	g := newFaultEnv(t, stack.Config{Minute: time.Hour})
	window, other := g.window(), g.window()
	lost := testkit.NewSignal()
	g.Host().SetFaults(lambda.Faults{Event: func(e lambda.Event) lambda.EventFault {
		record := e.Function == g.Function("SweepFunction")
		if record {
			lost.Fire()
		}
		return lambda.EventFault{Drop: record}
	}})
	g.Send(window, "/say begun\n/stream 60 20\n/say the end")
	g.WaitFor(window, "shows the first word", func(st client.State) bool {
		return testkit.Says(st, "assistant",
			"begun")
	})
	if n := g.Host().Kill(g.Function("TurnFunction"), ""); n != 1 {
		t.Fatalf("%d workers were killed", n)
	}
	g.WaitForSignal(lost, "the failure record")
	g.advanceClocks(61 * time.Second)
	g.sweep()
	g.WaitForAnswer(window, "the end")
	g.checkWindows(1, window, other, g.window())
}
