package faults_test

import (
	"carrel/infra/testkit"

	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"carrel/infra/local/apigateway"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// waitForBegin waits until a window shows the first word of an answer.
func waitForBegin(g *testkit.Env, w *testkit.Device) {
	g.Helper()
	g.WaitFor(w, "shows the begin", func(st client.State) bool { return testkit.Says(st, agui.RoleAssistant, "begun") })
}

// Stop, from another device, stops the model and not only the view: nothing more is produced, written or paid for.
func TestFault11StopStopsTheProducer(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	w := g.Open(alice, g.NewThread(alice))
	run := g.Send(w, "/say begun\n/stream 20000 20") // 1,000 s of it
	waitForBegin(g, w)
	if err := g.Open(alice, g.NewThread(alice)).Cancel(run); err != nil {
		t.Fatal(err)
	}
	g.WaitFor(w, "it ends", func(s client.State) bool {
		return testkit.Idle(s) &&
			testkit.Says(s, agui.RoleAssistant, "begun")
	})
	g.Eventually("its process has nothing to do", func() bool {
		return g.Host().Thaw(g.Function("TurnFunction"),
			alice.Name) == 0
	})
	log := g.ReadLog(w.Thread)
	events := testkit.DecodeEvents(t, log)
	last := events[len(events)-1]
	if last.Outcome == nil || last.Outcome.Type != agui.OutcomeCancelled {
		t.Errorf("the run ended with %s", log[len(log)-1])
	}
	if shown := w.State().Seq; shown != chat.Seq(len(log)) {
		t.Errorf("the window has seen %d events, and %d were written", shown, len(log))
	}
	for _, u := range last.Usage {
		if u.OutputTokens > 5000 {
			t.Errorf("the model has produced %d tokens", u.OutputTokens)
		}
	}
}

// Who reloads the page while an answer is coming does not stop it: the new page shows it, and its end.
func TestFault12AReloadStopsNothing(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	w := g.Open(alice, g.NewThread(alice))
	mine := w.Connection(t)
	var gone atomic.Bool
	g.SetGatewayFaults(apigateway.Faults{Post: func(m apigateway.Message) (f apigateway.PostFault) {
		if m.Connection == mine && tells(m.Body, "two") {
			gone.Store(true) // the worker learns of it in the middle of its run
			f.Status = http.StatusGone
		}
		return f
	}})
	g.Send(w, "/say begun\n/pace 100\n/say one two three four five six seven eight\n/say end-of-all")
	waitForBegin(g, w)
	g.Eventually("a post meets nobody", gone.Load)
	w.Close()
	reloaded := g.Open(alice, w.Thread)
	if s := g.WaitFor(reloaded, "it is over", func(s client.State) bool {
		return testkit.Idle(s) &&
			s.Seq > 0
	}); !testkit.Says(s, agui.RoleAssistant, "end-of-all") {
		t.Errorf("the new page shows %+v", s.Messages)
	}
	found, err := testkit.SuccessfulRuns(alice.Name, testkit.DecodeEvents(t, g.ReadLog(w.Thread)))
	if err != nil || len(found) != 1 {
		t.Errorf("%d runs in the log, want 1: %v", len(found), err)
	}
	if len(found) == 1 && bytes.Contains(bytes.Join(raws(g.ReadLog(w.Thread)), nil), []byte("carrel.attempt")) {
		t.Error("the run needed more than one attempt")
	}
}

func raws(log []json.RawMessage) (all [][]byte) {
	for _, e := range log {
		all = append(all, e)
	}
	return all
}

// tells reports whether a message is events in which the assistant says a word.
func tells(body []byte, word string) bool {
	f, err := wire.DecodeServer(body)
	e, ok := f.(*wire.Events)
	return err == nil && ok && slices.ContainsFunc(e.Events, func(e agui.Event) bool {
		return e.Type == agui.TextMessageContent && strings.Contains(e.Delta, word)
	})
}

// Runs of one user in two threads go on side by side; the end of one is not the end of the other.
func TestFault13RunsOfOneUserShareNothing(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	first, second := g.Open(alice, g.NewThread(alice)), g.Open(alice, g.NewThread(alice))
	one := g.Send(first, "/say begun\n/stream 20000 20")
	waitForBegin(g, first)
	// 8 s: a stop may take two, and a window is opened after it
	other := g.Send(second, "/say begun\n/stream 160 20\n/say end-of-all")
	taken := func(s client.State) bool { return len(s.Sending) == 0 && (s.Active != "" || len(s.Queued) > 0) }
	if s := g.WaitFor(second, "the second is taken", taken); s.Active != other {
		t.Fatalf("the second waits for the first, or for nothing: %+v", s)
	}
	waitForBegin(g, second)
	if a, b := first.State(), second.State(); a.Active != one || b.Active != other {
		t.Errorf("side by side there run %q and %q, want %s and %s", a.Active, b.Active, one, other)
	}
	if err := first.Cancel(one); err != nil {
		t.Fatal(err)
	}
	g.WaitFor(first, "the first ends", func(s client.State) bool {
		return testkit.Idle(s) &&
			testkit.Says(s, agui.RoleAssistant, "begun")
	})
	if s := g.Open(alice, second.Thread).State(); s.Active != other {
		t.Errorf("after the end of the first, a new window shows %q as running in the second thread, want %s", s.Active,
			other)
	}
	g.WaitFor(second, "the second goes on", func(s client.State) bool {
		return testkit.Idle(s) &&
			testkit.Says(s, agui.RoleAssistant, "end-of-all")
	})
	for _, w := range []*testkit.Device{first, second} {
		w.Received(t, []*testkit.User{alice}) // each its own thread's events only
	}
}

// A thread's and a run's id are no authority: to anybody else they name nothing.
func TestFault14ForeignIDsNameNothing(t *testing.T) {
	g := kit.Shared(t)
	alice, bob := g.NewUser("alice"), g.NewUser("bob")
	mine := g.Open(alice, g.NewThread(alice))
	id := g.Send(mine, "/say "+alice.Secret+"\n/stream 60 20\n/say end-of-all")
	g.WaitFor(mine, "it begins", func(s client.State) bool { return testkit.Says(s, agui.RoleAssistant, alice.Secret) })
	theirs := g.Open(bob, mine.Thread)
	if err := theirs.Cancel(id); err != nil {
		t.Fatal(err)
	}
	if s := g.WaitFor(theirs, "bob is answered", testkit.Idle); len(s.Messages) > 0 || s.Epoch != "" {
		t.Errorf("bob opened alice's thread and sees %+v; want an empty one", s)
	}
	if page, err := theirs.History(g.Ctx, 0, 10); err == nil && len(page.Messages) > 0 {
		t.Errorf("bob reads %+v", page.Messages)
	}
	if err := theirs.Delete(g.Ctx, mine.Thread); err == nil {
		t.Error("bob deletes alice's thread")
	}
	s := g.WaitFor(mine, "alice's run ends", func(s client.State) bool { return testkit.Idle(s) && s.Seq > 0 })
	if !testkit.Says(s, agui.RoleAssistant, "end-of-all") {
		t.Errorf("alice's run was disturbed: %+v", s)
	}
	alice.Threads = nil // bob named it himself
	theirs.Received(t, []*testkit.User{alice, bob})
}
