package faults_test

import (
	"carrel/infra/testkit"
	"time"

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

// sharedTimeout bounds a test that needs a stack of its own and has no faultEnv.
const sharedTimeout = 90 * time.Second

// Windows that went without a $disconnect block no other window and soon cost nothing: the first event that is posted
// to such a connection deletes it.
func TestFault17_DisconnectNeverComes(t *testing.T) {
	t.Attr("row", "C4: connections that never send a disconnect")
	g := kit.Own(t, stack.Config{LoseDisconnects: true}, sharedTimeout)
	alice := g.NewUser("alice")
	thread := g.NewThread(alice)
	for range 5 {
		g.Open(alice, thread).Close()
	}
	w := g.Open(alice, thread)
	here := w.Connection(t)
	rows := connectionsOf(g, alice)
	stale := len(rows)
	if stale != 6 {
		t.Fatalf("the table has %d connections, want 6: this proves nothing", len(rows))
	}
	runAndWait(g, w, "/say one\n/say end-of-all", "end-of-all")
	if n := readyFrames(w); n != 1 {
		t.Errorf("the window sent hello %d times", n)
	}
	g.Eventually("the connections of the closed windows are deleted",
		func() bool { return slices.Equal(connectionsOf(g, alice), []string{here}) })
	t.Attr("figure", fmt.Sprintf("%d of %d connections are left", len(connectionsOf(g, alice)), stale))
}

// Nothing is posted to a socket before its hello: a post inside of $connect would fail and would be taken for the end
// of the socket. The first frame that it is sent is the answer to its hello.
func TestFault18_NothingIsPostedBeforeTheHello(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	w := g.Open(alice, g.NewThread(alice))
	own := w.Connection(t)
	var early atomic.Int32
	g.SetGatewayFaults(apigateway.Faults{Post: func(m apigateway.Message) (f apigateway.PostFault) {
		if m.Connection != own {
			early.Add(1)
		}
		return f
	}})
	silent := testkit.OpenRaw(t, g.Ctx, g.Endpoints(), alice.Name)
	runAndWait(g, w, "/say one\n/say end-of-all", "end-of-all")
	g.Eventually("its process is at rest", func() bool {
		return g.Host().Thaw(g.Function("TurnFunction"),
			alice.Name) == 0
	})
	if n := early.Load(); n > 0 {
		t.Errorf("%d posts were made to the socket that has sent nothing", n)
	}
	if rows := connectionsOf(g, alice); len(rows) != 2 {
		t.Errorf("the table has %d connections, want 2", len(rows))
	}
	silent.MustSend(t, g.Ctx, `{"type":"hello","n":1,"threadId":"`+string(w.Thread)+`"}`)
	if a := silent.MustRead(t, g.Ctx); a.Type != "ready" {
		t.Errorf("the first frame is %s", a.Raw)
	}
}

// isReady reports whether a frame is a ready frame.
func isReady(f wire.ServerFrame) bool {
	_, ok := f.(*wire.Ready)
	return ok
}

// A failed post is not taken for a success: the client is sent an error, repeats its request on the same socket, and
// then gets the events that it was not sent.
func TestFault19_AFailedPostIsNoSuccess(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	thread := g.NewThread(alice)
	const tries = 3 // of the SDK, for one post
	var answers, events atomic.Int32
	g.SetGatewayFaults(apigateway.Faults{Post: func(m apigateway.Message) (f apigateway.PostFault) {
		d, err := wire.DecodeServer(m.Body)
		if err == nil && isReady(d) && answers.Add(1) <= tries || saysWord(m.Body, "two") && events.Add(1) <= tries {
			f.Status = http.StatusInternalServerError
		}
		return f
	}})
	w := g.Open(alice, thread)
	if got := w.Received(t, []*testkit.User{alice}); got.GatewayErrors == 0 {
		t.Error("the client was sent no error")
	}
	if sockets := g.Connections(); sockets != 1 {
		t.Errorf("the client needed %d sockets", sockets)
	}
	before := readyFrames(w)
	g.Send(w, "/say begun\n/pace 120\n/say one two three four five six\n/say end-of-all")
	g.Eventually("posts of events have failed", func() bool { return events.Load() >= tries })
	if err := w.Wake(); err != nil {
		t.Fatal(err)
	}
	s := g.WaitFor(w, "shows the answer", func(s client.State) bool {
		return testkit.Idle(s) &&
			testkit.Says(s, agui.RoleAssistant, "end-of-all")
	})
	if !testkit.Says(s, agui.RoleAssistant, "one two three four five six") || readyFrames(w) == before {
		t.Errorf("the window shows %q and has sent hello %d times", answerText(s), readyFrames(w)-before)
	}
}

// Runs can be listed and cancelled from any device by their ids alone: the active run and the queued one.
func TestFault20_RunsAreListedAndStopped(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	w, other := g.Open(alice, g.NewThread(alice)), g.Open(alice, g.NewThread(alice))
	want := map[chat.RunID]chat.RunStatus{g.Send(w, "/say begun\n/stream 20000 20"): chat.RunRunning}
	waitForBegin(g, w)
	want[g.Send(w, "/say never")] = chat.RunQueued
	g.WaitFor(w, "shows a queued run", func(s client.State) bool { return len(s.Queued) == 1 && len(s.Sending) == 0 })
	list, err := other.Runs(g.Ctx, "", 10)
	if err != nil || len(list.Runs) != len(want) {
		t.Fatalf("the other device lists %+v, %v", list.Runs, err)
	}
	for _, r := range list.Runs {
		if want[r.RunID] != r.Status || r.ThreadID != w.Thread {
			t.Errorf("the other device lists %+v; want %s", r, want[r.RunID])
		}
		if err := other.Cancel(r.RunID); err != nil {
			t.Fatal(err)
		}
	}
	g.WaitFor(w, "is idle", testkit.Idle)
	if list, err = other.Runs(g.Ctx, "", 10); err != nil || len(list.Runs) != len(want) {
		t.Fatalf("afterwards the other device lists %+v, %v", list.Runs, err)
	}
	for _, r := range list.Runs {
		if r.Status != chat.RunCancelled {
			t.Errorf("afterwards the other device lists %+v", r)
		}
	}
}
