package audit_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carrel/infra/local/apigateway"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// until asks again and again, until something outside of every window is so.
func (g *ground) until(what string, so func() bool) {
	g.t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-g.ctx.Done():
			g.t.Fatalf("it never happens: %s", what)
		}
	}
}

// begins waits until a window shows that a run has begun to speak.
func (g *ground) begins(w *socket) {
	g.t.Helper()
	g.wait(w, "it begins", func(s client.State) bool { return says(s, agui.RoleAssistant, "begun") })
}

// Stop, from another device, stops the model and not only the view: nothing more is produced, written or paid for.
func TestFault11StopStopsTheProducer(t *testing.T) {
	g := onFaults(t)
	alice := g.person("alice")
	w := g.window(alice, g.thread(alice))
	run := g.send(w, "/say begun\n/stream 20000 20") // 1,000 s of it
	g.begins(w)
	if err := g.window(alice, g.thread(alice)).Cancel(run); err != nil {
		t.Fatal(err)
	}
	g.wait(w, "it ends", func(s client.State) bool { return idle(s) && says(s, agui.RoleAssistant, "begun") })
	g.until("its process has nothing to do", func() bool { return g.Host().Thaw(g.Function("TurnFunction"), alice.name) == 0 })
	log := g.log(w.thread)
	events := parse(t, log)
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
	g := onFaults(t)
	alice := g.person("alice")
	w := g.window(alice, g.thread(alice))
	mine := string(w.ready(t).ConnectionID)
	var gone atomic.Bool
	g.strike(apigateway.Faults{Post: func(m apigateway.Message) (f apigateway.PostFault) {
		if m.Connection == mine && tells(m.Body, "two") {
			gone.Store(true) // the worker learns of it in the middle of its run
			f.Status = http.StatusGone
		}
		return f
	}})
	g.send(w, "/say begun\n/pace 100\n/say one two three four five six seven eight\n/say end-of-all")
	g.begins(w)
	g.until("a post meets nobody", gone.Load)
	w.Close()
	reloaded := g.window(alice, w.thread)
	if s := g.wait(reloaded, "it is over", func(s client.State) bool { return idle(s) && s.Seq > 0 }); !says(s, agui.RoleAssistant, "end-of-all") {
		t.Errorf("the new page shows %+v", s.Messages)
	}
	found, err := runs(alice.name, parse(t, g.log(w.thread)))
	if err != nil || len(found) != 1 {
		t.Errorf("%d runs in the log, want 1: %v", len(found), err)
	}
	if len(found) == 1 && bytes.Contains(bytes.Join(raws(g.log(w.thread)), nil), []byte("carrel.attempt")) {
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
	g := onFaults(t)
	alice := g.person("alice")
	first, second := g.window(alice, g.thread(alice)), g.window(alice, g.thread(alice))
	one := g.send(first, "/say begun\n/stream 20000 20")
	g.begins(first)
	other := g.send(second, "/say begun\n/stream 160 20\n/say end-of-all") // 8 s: a stop may take two, and a window is opened after it
	taken := func(s client.State) bool { return len(s.Sending) == 0 && (s.Active != "" || len(s.Queued) > 0) }
	if s := g.wait(second, "the second is taken", taken); s.Active != other {
		t.Fatalf("the second waits for the first, or for nothing: %+v", s)
	}
	g.begins(second)
	if a, b := first.State(), second.State(); a.Active != one || b.Active != other {
		t.Errorf("side by side there run %q and %q, want %s and %s", a.Active, b.Active, one, other)
	}
	if err := first.Cancel(one); err != nil {
		t.Fatal(err)
	}
	g.wait(first, "the first ends", func(s client.State) bool { return idle(s) && says(s, agui.RoleAssistant, "begun") })
	if s := g.window(alice, second.thread).State(); s.Active != other {
		t.Errorf("after the end of the first, a new window shows %q as running in the second thread, want %s", s.Active, other)
	}
	g.wait(second, "the second goes on", func(s client.State) bool { return idle(s) && says(s, agui.RoleAssistant, "end-of-all") })
	for _, w := range []*socket{first, second} {
		w.read(t, []*person{alice}) // each its own thread's events only
	}
}

// A thread's and a run's id are no authority: to anybody else they name nothing.
func TestFault14ForeignIDsNameNothing(t *testing.T) {
	g := onFaults(t)
	alice, bob := g.person("alice"), g.person("bob")
	mine := g.window(alice, g.thread(alice))
	id := g.send(mine, "/say "+alice.secret+"\n/stream 60 20\n/say end-of-all")
	g.wait(mine, "it begins", func(s client.State) bool { return says(s, agui.RoleAssistant, alice.secret) })
	theirs := g.window(bob, mine.thread)
	if err := theirs.Cancel(id); err != nil {
		t.Fatal(err)
	}
	if s := g.wait(theirs, "bob is answered", idle); len(s.Messages) > 0 || s.Epoch != "" {
		t.Errorf("bob opened alice's thread and sees %+v; want an empty one", s)
	}
	if page, err := theirs.History(g.ctx, 0, 10); err == nil && len(page.Messages) > 0 {
		t.Errorf("bob reads %+v", page.Messages)
	}
	if err := theirs.Delete(g.ctx, mine.thread); err == nil {
		t.Error("bob deletes alice's thread")
	}
	s := g.wait(mine, "alice's run ends", func(s client.State) bool { return idle(s) && s.Seq > 0 })
	if !says(s, agui.RoleAssistant, "end-of-all") {
		t.Errorf("alice's run was disturbed: %+v", s)
	}
	alice.threads = nil // bob named it himself
	theirs.read(t, []*person{alice, bob})
}
