package faults_test

import (
	"sync/atomic"
	"testing"
	"time"

	"carrel/infra/local/lambda"
	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"carrel/shared/client"
)

// threeHandOvers is a script whose rounds of tool calls do not fit into an invocation of five seconds.
const threeHandOvers = "/say one\n/call calculator {\"expression\":\"1+1\"}\n/say two\n" +
	"/call calculator {\"expression\":\"2+2\"}\n/say three\n/call calculator {\"expression\":\"3+3\"}\n/say the end"

// shortInvocations lets an invocation of turn work for five seconds. lost says which events of turn are lost, by their
// number.
func (g *faultEnv) shortInvocations(lost int32) (events *atomic.Int32) {
	events = &atomic.Int32{}
	turn := g.Function("TurnFunction")
	g.Host().SetFaults(lambda.Faults{
		Event: func(e lambda.Event) lambda.EventFault {
			return lambda.EventFault{Drop: e.Function == turn && events.Add(1) == lost}
		},
		Env: func(function, _ string) map[string]string {
			if function == turn {
				return map[string]string{"INVOCATION_SECONDS": "5"}
			}
			return nil
		},
	})
	return events
}

// A run that takes longer than an invocation continues in further ones. Each window sees one run without a gap.
func TestHandOver(t *testing.T) {
	g := newFaultEnv(t, stack.Config{Minute: time.Hour})
	window, other := g.window(), g.window()
	events := g.shortInvocations(0)
	g.Send(window, threeHandOvers)
	g.WaitForAnswer(window, "the end")
	g.checkWindows(1, window, other, g.window())
	if n := events.Load(); n != 4 {
		t.Errorf("turn was invoked %d times, want 4", n)
	}
}

// The worker that hands a run over dies before it invokes turn. Sweep invokes turn, and the run continues.
func TestHandOver_InvokeLost(t *testing.T) {
	g := newFaultEnv(t, stack.Config{Minute: time.Hour})
	window, other := g.window(), g.window()
	g.shortInvocations(2)
	g.Send(window, threeHandOvers)
	g.WaitFor(window, "shows the first word", func(st client.State) bool {
		return testkit.Says(st, "assistant", "one")
	})
	g.advanceClocks(11 * time.Second)
	for window.State().Active != "" && g.Ctx.Err() == nil {
		g.sweep() // until the run was handed over
	}
	g.WaitForAnswer(window, "the end")
	g.checkWindows(1, window, other, g.window())
}
