package faults_test

import (
	"carrel/infra/testkit"

	"bytes"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// isEvents reports whether a message is an events frame of a thread.
func isEvents(body []byte, thread chat.ThreadID) bool {
	f, err := wire.DecodeServer(body)
	e, ok := f.(*wire.Events)
	return err == nil && ok && e.ThreadID == thread
}

// answerText returns all that the assistant has said in what a window shows.
func answerText(s client.State) string {
	var b strings.Builder
	for _, m := range s.Messages {
		if m.Role == agui.RoleAssistant {
			b.WriteString(m.Content)
		}
	}
	return b.String()
}

// Live events that arrive before the replay has ended wait for it: a window shows nothing out of order.
func TestFault06_LiveEventsWaitForTheReplay(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	thread := g.NewThread(alice)
	author, w := g.Open(alice, thread), g.Open(alice, thread)
	other := author.Connection(t)
	var mu sync.Mutex
	late := map[string]chat.Seq{w.Connection(t): 0} // the last event of a connection that is delayed
	g.SetGatewayFaults(apigateway.Faults{Outbound: func(m apigateway.Message) (f apigateway.MessageFault) {
		events, err := wire.DecodeServer(m.Body)
		e, is := events.(*wire.Events)
		if err != nil || !is || m.Connection == other || e.ThreadID != thread {
			return f
		}
		mu.Lock()
		defer mu.Unlock()
		// The first events that the new socket is sent, of the replay or live, and all frames with the same events.
		if _, known := late[m.Connection]; !known {
			late[m.Connection] = e.Seq + chat.Seq(len(e.Events)) - 1
		}
		if e.Seq <= late[m.Connection] {
			f.Delay = time.Second
		}
		return f
	}})
	g.Send(author, "/say begun\n/pace 100\n/say "+strings.Repeat("word ", 30)+"\n/say end-of-all")
	g.WaitFor(w, "shows the first word", func(s client.State) bool {
		return testkit.Says(s, agui.RoleAssistant,
			"begun")
	})
	if err := w.Cut(); err != nil {
		t.Fatal(err)
	}
	var shown []string
	ended := func(s client.State) bool { return testkit.Idle(s) && testkit.Says(s, agui.RoleAssistant, "end-of-all") }
	g.WaitFor(w, "shows the end", func(s client.State) bool {
		shown = append(shown, answerText(s))
		return ended(s)
	})
	whole := answerText(g.WaitFor(author, "shows the end", ended))
	for _, text := range shown {
		if !strings.HasPrefix(whole, text) {
			t.Fatalf("the window shows %q, and the answer is %q", text, whole)
		}
	}
	overtaken, last := false, chat.Seq(0)
	for _, e := range testkit.Frames[*wire.Events](w) {
		overtaken, last = overtaken || e.Seq < last, e.Seq
	}
	if !overtaken {
		t.Error("no event overtook another: this proves nothing")
	}
}

// A window that reconnects or reloads before a run has said anything shows that the run is active, and then its answer.
func TestFault07_BeforeTheFirstToken(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	w := g.Open(alice, g.NewThread(alice))
	begin := make(chan struct{})
	g.SetTableHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller == "TurnFunction" {
			<-begin // the worker has not even claimed the run
		}
		return proxy.Fine, nil
	})
	free := sync.OnceFunc(func() { close(begin) })
	t.Cleanup(free)
	run := g.Send(w, "/say hello\n/say end-of-all")
	g.WaitFor(w, "shows the accepted run", func(s client.State) bool { return s.Active == run && len(s.Sending) == 0 })
	if err := w.Cut(); err != nil {
		t.Fatal(err)
	}
	g.WaitFor(w, "is connected again", func(s client.State) bool {
		return s.Status == client.Ready && !s.Lagging &&
			readyFrames(w) > 1
	})
	reloaded := g.Open(alice, w.Thread)
	for name, s := range map[string]client.State{"reconnected": w.State(), "reloaded": reloaded.State()} {
		if s.Active != run || s.Seq != 0 {
			t.Errorf("the window that was %s shows %q as active and %d events; want %s and none", name, s.Active,
				s.Seq, run)
		}
	}
	free()
	for _, window := range []*testkit.Device{w, reloaded} {
		g.WaitFor(window, "shows the answer", func(s client.State) bool {
			return testkit.Idle(s) &&
				testkit.Says(s, agui.RoleAssistant, "end-of-all")
		})
	}
}

// Late events of the thread that was open before are not shown in the thread that is open now.
func TestFault08_ALateSessionIsNotShown(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	first, second := g.NewThread(alice), g.NewThread(alice)
	w := g.Open(alice, first)
	posted := make(chan struct{})
	posting := sync.OnceFunc(func() { close(posted) })
	g.SetGatewayFaults(apigateway.Faults{Outbound: func(m apigateway.Message) (f apigateway.MessageFault) {
		if isEvents(m.Body, first) {
			posting()
			f.Delay = 3 * time.Second
		}
		return f
	}})
	g.Send(w, "/say of-the-first")
	select {
	case <-posted:
	case <-g.Ctx.Done():
		t.Fatal("the run never started")
	}
	if err := w.Open(second); err != nil {
		t.Fatal(err)
	}
	g.WaitFor(w, "shows the second thread", func(s client.State) bool {
		return s.ThreadID == second &&
			testkit.Idle(s)
	})
	if wasSent(w, first) {
		t.Fatal("the first thread's events were sent at once: this proves nothing")
	}
	g.WaitFor(w, "is sent the first thread's events late", func(client.State) bool { return wasSent(w, first) })
	if _, err := w.Threads(g.Ctx); err != nil { // answered after the window has processed these events
		t.Fatal(err)
	}
	if s := w.State(); len(s.Messages) != 0 || s.Epoch != "" {
		t.Errorf("the second thread shows %+v of epoch %q", s.Messages, s.Epoch)
	}
	runAndWait(g, w, "/say of-the-second", "of-the-second")
	if s := w.State(); len(s.Messages) != 2 || testkit.Says(s, agui.RoleAssistant, "of-the-first") ||
		testkit.Says(s, agui.RoleUser, "of-the-first") {
		t.Errorf("the second thread shows %+v", s.Messages)
	}
	if err := w.Open(first); err != nil {
		t.Fatal(err)
	}
	g.WaitFor(w, "shows the first thread again", func(s client.State) bool {
		return testkit.Idle(s) && testkit.Says(s, agui.RoleAssistant, "of-the-first")
	})
}

// wasSent reports whether a window was sent events of a thread.
func wasSent(w *testkit.Device, thread chat.ThreadID) bool {
	return slices.ContainsFunc(w.Messages(), func(m []byte) bool { return isEvents(m, thread) })
}

// A cursor of another epoch of the thread, or beyond its end, is answered as not recovered, and the whole thread is
// sent again.
func TestFault09_AnotherEpochIsToldSo(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	w := g.Open(alice, g.NewThread(alice))
	runAndWait(g, w, "/say one", "one")
	s := runAndWait(g, w, "/say two", "two")
	l := openResumer(g, alice)
	for _, c := range []chat.Cursor{{Epoch: "another", Seq: s.Seq}, {Epoch: "another", Seq: 1},
		{Epoch: s.Epoch, Seq: s.Seq + 1}} {
		h := l.hello(w.Thread, &c)
		if h.Recovered || h.snapshot == nil || h.snapshot.Seq != s.Seq || h.snapshot.Epoch != s.Epoch ||
			len(h.events) > 0 {
			t.Errorf("for %+v recovered is %v, the snapshot is %+v, and %d events follow", c, h.Recovered, h.snapshot,
				len(h.events))
			continue
		}
		if !slices.EqualFunc(h.snapshot.Messages, s.Messages, testkit.SameMessage) {
			t.Errorf("for %+v the snapshot has %+v, want %+v", c, h.snapshot.Messages, s.Messages)
		}
	}
	if h := l.hello(w.Thread, &chat.Cursor{Epoch: s.Epoch, Seq: s.Seq}); !h.Recovered || h.snapshot != nil {
		t.Errorf("the correct cursor: recovered is %v, and there is a snapshot: %+v", h.Recovered, h.snapshot)
	}
}

// A client that wakes up detects a socket that accepts messages and delivers none, and replaces it.
func TestFault10_ADeadSocketIsFoundOut(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	thread := g.NewThread(alice)
	author, w := g.Open(alice, thread), g.Open(alice, thread)
	own := w.Connection(t)
	var dead atomic.Bool
	g.SetGatewayFaults(apigateway.Faults{Post: func(m apigateway.Message) apigateway.PostFault {
		if m.Connection == own && bytes.Contains(m.Body, []byte("begun")) {
			dead.Store(true)
		}
		return apigateway.PostFault{HalfOpen: m.Connection == own && dead.Load()}
	}})
	ended := func(s client.State) bool { return testkit.Idle(s) && testkit.Says(s, agui.RoleAssistant, "end-of-all") }
	g.Send(author, "/say begun\n/say end-of-all")
	g.WaitFor(author, "shows the end", ended)
	if s := w.State(); !dead.Load() || s.Status != client.Ready || ended(s) {
		t.Fatalf("the socket is not dead yet: %+v", s)
	}
	if err := w.Wake(); err != nil {
		t.Fatal(err)
	}
	g.WaitFor(w, "shows all that it missed", ended)
	if now := w.Ready(t).ConnectionID; string(now) == own {
		t.Error("the window still has its dead socket")
	}
}
