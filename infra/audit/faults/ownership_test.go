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

// A cancel from another device stops the model and not only the view: nothing more is produced, written or paid for.
func TestFault11_StopStopsTheProducer(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	w := g.Open(alice, g.NewThread(alice))
	run := g.Send(w, "/say begun\n/stream 20000 20") // for 1,000 s
	waitForBegin(g, w)
	if err := g.Open(alice, g.NewThread(alice)).Cancel(run); err != nil {
		t.Fatal(err)
	}
	g.WaitFor(w, "shows the end", func(s client.State) bool {
		return testkit.Idle(s) &&
			testkit.Says(s, agui.RoleAssistant, "begun")
	})
	g.Eventually("its process is at rest", func() bool {
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
		t.Errorf("the window shows %d events, and the log has %d", shown, len(log))
	}
	for _, u := range last.Usage {
		if u.OutputTokens > 5000 {
			t.Errorf("the model has produced %d tokens", u.OutputTokens)
		}
	}
}

// A reload of the page during an answer does not stop the run: the new page shows it and its end.
func TestFault12_AReloadStopsNothing(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	w := g.Open(alice, g.NewThread(alice))
	own := w.Connection(t)
	var gone atomic.Bool
	g.SetGatewayFaults(apigateway.Faults{Post: func(m apigateway.Message) (f apigateway.PostFault) {
		if m.Connection == own && saysWord(m.Body, "two") {
			gone.Store(true) // the worker gets a 410 in the middle of its run
			f.Status = http.StatusGone
		}
		return f
	}})
	g.Send(w, "/say begun\n/pace 100\n/say one two three four five six seven eight\n/say end-of-all")
	waitForBegin(g, w)
	g.Eventually("a post is answered with 410", gone.Load)
	w.Close()
	reloaded := g.Open(alice, w.Thread)
	if s := g.WaitFor(reloaded, "shows the end", func(s client.State) bool {
		return testkit.Idle(s) &&
			s.Seq > 0
	}); !testkit.Says(s, agui.RoleAssistant, "end-of-all") {
		t.Errorf("the new page shows %+v", s.Messages)
	}
	found, err := testkit.SuccessfulRuns(alice.Name, testkit.DecodeEvents(t, g.ReadLog(w.Thread)))
	if err != nil || len(found) != 1 {
		t.Errorf("%d runs in the log, want 1: %v", len(found), err)
	}
	if len(found) == 1 && bytes.Contains(bytes.Join(rawBytes(g.ReadLog(w.Thread)), nil), []byte("carrel.attempt")) {
		t.Error("the run needed more than one attempt")
	}
}

// rawBytes returns the bytes of events.
func rawBytes(log []json.RawMessage) (all [][]byte) {
	for _, e := range log {
		all = append(all, e)
	}
	return all
}

// saysWord reports whether a message is an events frame in which the assistant says a word.
func saysWord(body []byte, word string) bool {
	f, err := wire.DecodeServer(body)
	e, ok := f.(*wire.Events)
	return err == nil && ok && slices.ContainsFunc(e.Events, func(e agui.Event) bool {
		return e.Type == agui.TextMessageContent && strings.Contains(e.Delta, word)
	})
}

// Runs of one user in two threads are active side by side. The end of one does not end the other.
func TestFault13_RunsOfOneUserShareNothing(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	first, second := g.Open(alice, g.NewThread(alice)), g.Open(alice, g.NewThread(alice))
	one := g.Send(first, "/say begun\n/stream 20000 20")
	waitForBegin(g, first)
	// 8 s: a stop may take two, and a window is opened after it
	other := g.Send(second, "/say begun\n/stream 160 20\n/say end-of-all")
	accepted := func(s client.State) bool { return len(s.Sending) == 0 && (s.Active != "" || len(s.Queued) > 0) }
	if s := g.WaitFor(second, "shows that the second run is accepted", accepted); s.Active != other {
		t.Fatalf("the second run is not active: %+v", s)
	}
	waitForBegin(g, second)
	if a, b := first.State(), second.State(); a.Active != one || b.Active != other {
		t.Errorf("the active runs are %q and %q, want %s and %s", a.Active, b.Active, one, other)
	}
	if err := first.Cancel(one); err != nil {
		t.Fatal(err)
	}
	g.WaitFor(first, "shows the end of the first run", func(s client.State) bool {
		return testkit.Idle(s) &&
			testkit.Says(s, agui.RoleAssistant, "begun")
	})
	if s := g.Open(alice, second.Thread).State(); s.Active != other {
		t.Errorf("after the end of the first, a new window shows %q as active in the second thread, want %s", s.Active,
			other)
	}
	g.WaitFor(second, "shows the end of the second run", func(s client.State) bool {
		return testkit.Idle(s) &&
			testkit.Says(s, agui.RoleAssistant, "end-of-all")
	})
	for _, w := range []*testkit.Device{first, second} {
		w.Received(t, []*testkit.User{alice}) // only events of its own thread
	}
}

// The ids of a thread and a run give no rights: for any other user they name nothing.
func TestFault14_ForeignIDsNameNothing(t *testing.T) {
	g := kit.Shared(t)
	alice, bob := g.NewUser("alice"), g.NewUser("bob")
	own := g.Open(alice, g.NewThread(alice))
	id := g.Send(own, "/say "+alice.Secret+"\n/stream 60 20\n/say end-of-all")
	g.WaitFor(own, "shows the first word", func(s client.State) bool {
		return testkit.Says(s, agui.RoleAssistant,
			alice.Secret)
	})
	foreign := g.Open(bob, own.Thread)
	if err := foreign.Cancel(id); err != nil {
		t.Fatal(err)
	}
	if s := g.WaitFor(foreign, "is idle", testkit.Idle); len(s.Messages) > 0 || s.Epoch != "" {
		t.Errorf("bob opened alice's thread and is shown %+v; want an empty one", s)
	}
	if page, err := foreign.History(g.Ctx, 0, 10); err == nil && len(page.Messages) > 0 {
		t.Errorf("bob reads %+v", page.Messages)
	}
	if err := foreign.Delete(g.Ctx, own.Thread); err == nil {
		t.Error("bob deletes alice's thread")
	}
	s := g.WaitFor(own, "shows the end of the run", func(s client.State) bool { return testkit.Idle(s) && s.Seq > 0 })
	if !testkit.Says(s, agui.RoleAssistant, "end-of-all") {
		t.Errorf("alice's run did not reach its end: %+v", s)
	}
	alice.Threads = nil // bob sent the id himself
	foreign.Received(t, []*testkit.User{alice, bob})
}
