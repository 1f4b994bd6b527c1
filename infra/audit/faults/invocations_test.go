package faults_test

import (
	"carrel/infra/testkit"
	"carrel/shared/campaign"

	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrel/infra/local/lambda"
	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/client"
)

// Every asynchronous event is delivered twice, the second time while the first is being handled. Each run is carried
// out once.
func TestFault34_AsyncInvokeTwice(t *testing.T) {
	campaign.Only(t, "it delivers every event of many runs twice")
	g := newFaultEnv(t, stack.Config{})
	var twice atomic.Int32
	g.Host().SetFaults(lambda.Faults{Event: func(e lambda.Event) lambda.EventFault {
		if e.Function == g.Function("TurnFunction") {
			twice.Add(1)
		}
		return lambda.EventFault{Repeat: true, Delay: 500 * time.Millisecond} // for one of the two
	}})
	window, other := g.window(), g.window()
	for n := range 4 {
		g.Send(window, fmt.Sprintf("/call notes_save {\"text\":\"note %d\"}\n/stream 20 20\n/say end of %d", n, n))
	}
	g.WaitForAnswer(window, "end of 3")
	g.checkWindows(4, window, other)
	for _, e := range testkit.DecodeEvents(t, testkit.Logs(t, g.Ctx, g.Endpoints())[window.Thread].Raw(t)) {
		if e.Name == agui.CustomAttempt {
			t.Errorf("a run had a second attempt: %s %s", e.Name, e.Value)
		}
	}
	kept := testkit.CountNotes(t, g.Ctx, g.Endpoints())
	if kept[g.alice.Name] != 4 {
		t.Errorf("%d notes were kept of 4", kept[g.alice.Name])
	}
	if twice.Load() < 4 {
		t.Errorf("%d events were delivered twice: this proves nothing", twice.Load())
	}
}

// A function is frozen until Lambda ends it at its timeout, which is scaled here.
func TestFault36_FunctionTimeout(t *testing.T) {
	// The run was admitted, but the client got no answer and turn was not invoked. API Gateway sends the client an
	// error, and the client repeats its request. It is the same run, and it is carried out, without a sweep.
	t.Run("message", func(t *testing.T) {
		g := newFaultEnv(t, stack.Config{Minute: time.Hour,
			Timeouts: map[string]time.Duration{"MessageFunction": 2 * time.Second}})
		window := g.window()
		frozen := g.freezeAt("MessageFunction", "TransactWriteItems", "QUEUE")
		g.Send(window, "/stream 10 20\n/say the end")
		st := g.WaitForAnswer(window, "the end")
		if notices := window.Received(t, []*testkit.User{g.alice}).GatewayErrors; !frozen.Fired() || notices == 0 {
			t.Errorf("frozen: %v; the client was sent %d error frames: this proves nothing", frozen.Fired(), notices)
		}
		if n := testkit.CountQuestions(st, "/stream 10 20\n/say the end"); n != 1 {
			t.Errorf("the window shows the question %d times", n)
		}
		g.checkWindows(1, window, g.window())
	})
	// The worker's lease expires, and another worker continues the run.
	t.Run("turn", func(t *testing.T) {
		campaign.Only(t, "it waits for the end of the lease, 20 s")
		g := newFaultEnvFor(t, stack.Config{Timeouts: map[string]time.Duration{"TurnFunction": 15 * time.Second}},
			2*time.Minute)
		window := g.window()
		frozen := g.freezeAt("TurnFunction", "PutItem", "E#", "begun")
		g.Send(window, "/say begun\n/stream 20 20\n/say the end")
		g.WaitForAnswer(window, "the end")
		if !frozen.Fired() {
			t.Error("no function reached its timeout: this proves nothing")
		}
		g.checkWindows(1, window, g.window())
	})
}

// Two windows send at once, repeatedly. Every message has its run, one after the other, and both windows show the same.
func TestFault37_TwoTabsSending(t *testing.T) {
	g := newFaultEnv(t, stack.Config{})
	const each = 5
	tabs := []*testkit.Device{g.window(), g.window()}
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
		g.WaitFor(tab, "shows all answers", func(st client.State) bool {
			answers := 0
			for _, m := range st.Messages {
				if m.Role == agui.RoleAssistant && strings.HasPrefix(m.Content, "answer ") {
					answers++
				}
			}
			return testkit.Idle(st) && answers >= 2*each
		})
		for n := range each {
			for i := range tabs {
				if got := testkit.CountQuestions(tab.State(), fmt.Sprintf("/say answer %d of tab %d", n, i)); got != 1 {
					t.Errorf("message %d of tab %d is shown %d times", n, i, got)
				}
			}
		}
	}
	g.checkWindows(2*each, tabs...)
}
