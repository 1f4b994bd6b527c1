package audit_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// ownGround is a ground with a stack of its own, for what cannot be had on the shared one.
func ownGround(t *testing.T, c stack.Config) *ground {
	t.Helper()
	t.Parallel()
	s := startWith(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), faultTime)
	t.Cleanup(cancel)
	return &ground{Stack: s, t: t, ctx: ctx, connections: map[string]bool{}}
}

// Windows that went without a $disconnect keep nobody out and cost nothing for long: the first event that meets one
// forgets it.
func TestFault17DisconnectNeverComes(t *testing.T) {
	t.Attr("row", "C4: connections that never send a disconnect")
	g := ownGround(t, stack.Config{LoseDisconnects: true})
	alice := g.person("alice")
	thread := g.thread(alice)
	for range 5 {
		g.window(alice, thread).Close()
	}
	w := g.window(alice, thread)
	here := string(w.ready(t).ConnectionID)
	rows := g.connectionsOf(alice)
	stale := len(rows)
	if stale != 6 {
		t.Fatalf("the table has %d connections, want 6: this proves nothing", len(rows))
	}
	g.done(w, "/say one\n/say end-of-all", "end-of-all")
	if n := readies(w); n != 1 {
		t.Errorf("the window had to ask %d times", n)
	}
	g.until("the windows that went are forgotten", func() bool { return slices.Equal(g.connectionsOf(alice), []string{here}) })
	t.Attr("figure", fmt.Sprintf("%d of %d connections are left", len(g.connectionsOf(alice)), stale))
}

// Nothing is posted to a socket before it has said hello: inside of $connect a post would fail, and be taken for the
// socket's end. The first that it hears is the answer to its hello.
func TestFault18NothingIsPostedBeforeTheHello(t *testing.T) {
	g := onFaults(t)
	alice := g.person("alice")
	w := g.window(alice, g.thread(alice))
	mine := string(w.ready(t).ConnectionID)
	var early atomic.Int32
	g.strike(apigateway.Faults{Post: func(m apigateway.Message) (f apigateway.PostFault) {
		if m.Connection != mine {
			early.Add(1)
		}
		return f
	}})
	silent := g.line(alice)
	g.done(w, "/say one\n/say end-of-all", "end-of-all")
	g.until("its process has nothing to do", func() bool { return g.Host().Thaw(g.Function("TurnFunction"), alice.name) == 0 })
	if n := early.Load(); n > 0 {
		t.Errorf("%d posts were made to the socket that has said nothing", n)
	}
	if rows := g.connectionsOf(alice); len(rows) != 2 {
		t.Errorf("the table has %d connections, want 2", len(rows))
	}
	silent.say(&wire.Hello{N: 1, ThreadID: w.thread})
	if f, _ := silent.hear(); !isReady(f) {
		t.Errorf("the first that is heard is %+v", f)
	}
}

func isReady(f wire.ServerFrame) bool {
	_, ok := f.(*wire.Ready)
	return ok
}

// A post that fails is not taken for done: the client learns that its request failed and repeats it on the same socket,
// and finds the events that it was not sent.
func TestFault19AFailedPostIsNoSuccess(t *testing.T) {
	g := onFaults(t)
	alice := g.person("alice")
	thread := g.thread(alice)
	const tries = 3 // of the SDK, for one post
	var answers, events atomic.Int32
	g.strike(apigateway.Faults{Post: func(m apigateway.Message) (f apigateway.PostFault) {
		d, err := wire.DecodeServer(m.Body)
		if err == nil && isReady(d) && answers.Add(1) <= tries || tells(m.Body, "two") && events.Add(1) <= tries {
			f.Status = http.StatusInternalServerError
		}
		return f
	}})
	w := g.window(alice, thread)
	if got := w.read(t, []*person{alice}); got.notices == 0 {
		t.Error("the client was not told of the failure")
	}
	g.mu.Lock()
	sockets := len(g.connections)
	g.mu.Unlock()
	if sockets != 1 {
		t.Errorf("the client needed %d sockets", sockets)
	}
	before := readies(w)
	g.send(w, "/say begun\n/pace 120\n/say one two three four five six\n/say end-of-all")
	g.until("events could not be posted", func() bool { return events.Load() >= tries })
	if err := w.Wake(); err != nil {
		t.Fatal(err)
	}
	s := g.wait(w, "the answer", func(s client.State) bool { return idle(s) && says(s, agui.RoleAssistant, "end-of-all") })
	if !says(s, agui.RoleAssistant, "one two three four five six") || readies(w) == before {
		t.Errorf("the window shows %q and has asked %d times", said(s), readies(w)-before)
	}
}

// Runs can be listed and stopped from any device, by their ids alone: the running one and the one that waits.
func TestFault20RunsAreListedAndStopped(t *testing.T) {
	g := onFaults(t)
	alice := g.person("alice")
	w, other := g.window(alice, g.thread(alice)), g.window(alice, g.thread(alice))
	want := map[chat.RunID]chat.RunStatus{g.send(w, "/say begun\n/stream 20000 20"): chat.RunRunning}
	g.begins(w)
	want[g.send(w, "/say never")] = chat.RunQueued
	g.wait(w, "the next waits", func(s client.State) bool { return len(s.Queued) == 1 && len(s.Sending) == 0 })
	list, err := other.Runs(g.ctx, "", 10)
	if err != nil || len(list.Runs) != len(want) {
		t.Fatalf("the other device lists %+v, %v", list.Runs, err)
	}
	for _, r := range list.Runs {
		if want[r.RunID] != r.Status || r.ThreadID != w.thread {
			t.Errorf("the other device lists %+v; want %s", r, want[r.RunID])
		}
		if err := other.Cancel(r.RunID); err != nil {
			t.Fatal(err)
		}
	}
	g.wait(w, "both end", idle)
	if list, err = other.Runs(g.ctx, "", 10); err != nil || len(list.Runs) != len(want) {
		t.Fatalf("afterwards the other device lists %+v, %v", list.Runs, err)
	}
	for _, r := range list.Runs {
		if r.Status != chat.RunCancelled {
			t.Errorf("afterwards the other device lists %+v", r)
		}
	}
}
