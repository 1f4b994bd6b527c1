package audit_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/lambda"
	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/client"
)

// Every event comes twice, the second while the first is at work: each run is done once.
func TestFault34AsyncInvokeTwice(t *testing.T) {
	g := newStage(t, stack.Config{})
	var twice atomic.Int32
	g.Host().SetFaults(lambda.Faults{Event: func(e lambda.Event) lambda.EventFault {
		if e.Function == g.Function("TurnFunction") {
			twice.Add(1)
		}
		return lambda.EventFault{Repeat: true, Delay: 500 * time.Millisecond} // of one of the two
	}})
	window, other := g.window(), g.window()
	for n := range 4 {
		g.send(window, fmt.Sprintf("/call notes_save {\"text\":\"note %d\"}\n/stream 20 20\n/say end of %d", n, n))
	}
	g.said(window, "end of 3")
	g.exact(4, window, other)
	for _, e := range eventsOf(t, g.ctx, g.Endpoints(), window.thread) {
		if e.Type == agui.Custom {
			t.Errorf("a run was begun again: %s %s", e.Name, e.Value)
		}
	}
	kept, err := notes(g.ctx, g.Endpoints())
	if err != nil || kept[g.alice.name] != 4 {
		t.Errorf("%d notes were kept of 4, %v", kept[g.alice.name], err)
	}
	if twice.Load() < 4 {
		t.Errorf("%d events came twice: that proves nothing", twice.Load())
	}
}

// A function is stopped until Lambda ends it at its timeout, which is scaled here.
func TestFault36FunctionTimeout(t *testing.T) {
	// The run is admitted then, and nobody was told or called. The client hears from API Gateway that something failed and
	// asks again: it is the same run, and it is done. No sweep helps.
	t.Run("message", func(t *testing.T) {
		g := newStage(t, stack.Config{Minute: time.Hour, Timeouts: map[string]time.Duration{"MessageFunction": 2 * time.Second}})
		window := g.window()
		frozen := g.freezeAt("MessageFunction", "TransactWriteItems", "QUEUE")
		g.send(window, "/stream 10 20\n/say the end")
		st := g.said(window, "the end")
		if notices := window.read(t, []*person{g.alice}).notices; !frozen.given() || notices == 0 {
			t.Errorf("frozen: %v; the client was told %d times: that proves nothing", frozen.given(), notices)
		}
		if n := asked(st, "/stream 10 20\n/say the end"); n != 1 {
			t.Errorf("the window shows the question %d times", n)
		}
		g.exact(1, window, g.window())
	})
	// The worker's lease runs out, and another goes on with the run.
	t.Run("turn", func(t *testing.T) {
		heavy(t) // the lease's 20 s
		g := newStageFor(t, stack.Config{Timeouts: map[string]time.Duration{"TurnFunction": 15 * time.Second}}, 2*time.Minute)
		window := g.window()
		frozen := g.freezeAt("TurnFunction", "PutItem", "E#", "begun")
		g.send(window, "/say begun\n/stream 20 20\n/say the end")
		g.said(window, "the end")
		if !frozen.given() {
			t.Error("no function was ended: that proves nothing")
		}
		g.exact(1, window, g.window())
	})
}

// freezeAt stops the processes of a function once, as soon as one has made a write with all of some texts in it.
func (g *stage) freezeAt(function, operation string, texts ...string) *signal {
	frozen := newSignal()
	g.DynamoDB().SetHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller != function || frozen.given() || !holds(r, operation, texts...) {
			return proxy.Fine, nil
		}
		return proxy.Fine, func() {
			if g.Host().Freeze(g.Function(function), "") > 0 {
				frozen.give()
			}
		}
	})
	return frozen
}

// Two tabs send at once, again and again: every message has its run, one after the other, and both tabs show the same.
func TestFault37TwoTabsSending(t *testing.T) {
	g := newStage(t, stack.Config{})
	const each = 5
	tabs := []*socket{g.window(), g.window()}
	var sending sync.WaitGroup
	for i, tab := range tabs {
		sending.Go(func() {
			for n := range each {
				if _, err := tab.Send(fmt.Sprintf("/say answer %d of tab %d", n, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sending.Wait()
	for _, tab := range tabs {
		g.await(tab, "all answers", func(st client.State) bool {
			answers := 0
			for _, m := range st.Messages {
				if m.Role == agui.RoleAssistant && strings.HasPrefix(m.Content, "answer ") {
					answers++
				}
			}
			return idle(st) && answers >= 2*each
		})
		for n := range each {
			for i := range tabs {
				if got := asked(tab.State(), fmt.Sprintf("/say answer %d of tab %d", n, i)); got != 1 {
					t.Errorf("message %d of tab %d is shown %d times", n, i, got)
				}
			}
		}
	}
	g.exact(2*each, tabs...)
}
