package faults_test

import (
	"carrel/infra/testkit"

	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/infra/local/apigateway"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// everything is a run with an event of nearly every kind.
const everything = "/think hm\n/say one two\n/call calculator {\"expression\":\"6*7\"}\n/say three"

// runAndWait has a run carried out, and fails the test unless the window shows the answer afterwards.
func runAndWait(g *testkit.Env, w *testkit.Device, text, answer string) client.State {
	g.Helper()
	before := w.State().Seq
	g.Send(w, text)
	st := g.WaitFor(w, "shows the end of the run",
		func(st client.State) bool { return testkit.Idle(st) && st.Seq > before })
	if !testkit.Says(st, agui.RoleAssistant, answer) {
		g.Fatalf("%q is answered with %+v", text, st.Messages)
	}
	return st
}

// Tool calls and their results that follow within one millisecond have distinct ids, so that a window shows each of
// them.
func TestFault01_DistinctEventIDs(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	w := g.Open(alice, g.NewThread(alice))
	var script strings.Builder
	sums := []string{"1+1", "1+2", "1+3", "1+4"}
	for _, sum := range sums {
		script.WriteString("/call calculator {\"expression\":\"" + sum + "\"}\n")
	}
	s := runAndWait(g, w, strings.Repeat(script.String()+"/stream 3 0\n", 3)+"/say end-of-all", "end-of-all")
	results, ids := 0, map[string]bool{}
	for _, m := range s.Messages {
		if m.Role == agui.RoleTool {
			results++
			ids[m.ToolCallID] = true
		}
	}
	if want := 3 * len(sums); results != want || len(ids) != want {
		t.Errorf("the window shows %d results of %d calls, want %d", results, len(ids), want)
	}
	seen, sameMillisecond, last := map[string]bool{}, 0, int64(0)
	for i, e := range testkit.DecodeEvents(t, g.ReadLog(w.Thread)) {
		switch e.Type {
		case agui.TextMessageStart, agui.ToolCallStart, agui.ToolCallResult:
		default:
			continue
		}
		id := e.MessageID + e.ToolCallID
		if seen[id] {
			t.Errorf("event %d, %s, has the id of another event", i+1, e.Type)
		}
		if e.Timestamp == last {
			sameMillisecond++
		}
		seen[id], last = true, e.Timestamp
	}
	if sameMillisecond == 0 {
		t.Error("no two events have the same millisecond: this proves nothing")
	}
}

// Sequence numbers sort as numbers and not as text: 10 follows 9, whatever cursor a client sends.
func TestFault02_CursorsAreNumbers(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	w := g.Open(alice, g.NewThread(alice))
	for range 8 {
		runAndWait(g, w, "/say more", "more")
	}
	log := g.ReadLog(w.Thread)
	if len(log) < 20 || chat.Seq(len(log)) != w.State().Seq {
		t.Fatalf("the window has seen %d events and the log has %d", w.State().Seq, len(log))
	}
	l := openResumer(g, alice)
	for _, after := range []chat.Seq{1, 2, 8, 9, 10, 11, 18, 19, 20} {
		h := l.hello(w.Thread, &chat.Cursor{Epoch: w.State().Epoch, Seq: after})
		if !h.Recovered || h.Head != chat.Seq(len(log)) {
			t.Errorf("after %d: recovered %v, and the head is %d, want %d", after, h.Recovered, h.Head, len(log))
		}
		for seq := after + 1; seq <= chat.Seq(len(log)); seq++ {
			if !bytes.Equal(h.events[seq], log[seq-1]) {
				t.Errorf("after %d event %d is sent as %s, want %s", after, seq, h.events[seq], log[seq-1])
			}
		}
	}
}

// A resume brings the same events as the live stream, byte for byte.
func TestFault03_ResumeIsTheLiveStream(t *testing.T) {
	t.Attr("row", "C3: a resumed stream equals the live stream, byte for byte")
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	w := g.Open(alice, g.NewThread(alice))
	runAndWait(g, w, everything, "three")
	live := w.Received(t, []*testkit.User{alice})
	first := w.State().Epoch
	h := openResumer(g, alice).hello(w.Thread, &chat.Cursor{Epoch: first, Seq: 1})
	kinds := map[agui.EventType]bool{}
	for seq := chat.Seq(2); seq <= h.Head; seq++ {
		if !bytes.Equal(live.Events[seq], h.events[seq]) {
			t.Errorf("event %d was sent live as %s and is resumed as %s", seq, live.Events[seq], h.events[seq])
		}
		for _, e := range testkit.DecodeEvents(t, []json.RawMessage{live.Events[seq]}) {
			kinds[e.Type] = true
		}
	}
	if len(kinds) < 10 {
		t.Errorf("there were only %d kinds of events: this proves little", len(kinds))
	}
	t.Attr("figure", fmt.Sprintf("%d events of %d kinds, byte for byte", h.Head-1, len(kinds)))
}

// Wherever a client lost its socket, its reconnect brings the end of the run.
func TestFault04_TheEndComesOnReconnect(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	w := g.Open(alice, g.NewThread(alice))
	run := g.Send(w, "/say begun\n/pace 100\n/say one two three four")
	g.WaitFor(w, "shows the first word", func(s client.State) bool {
		return testkit.Says(s, agui.RoleAssistant,
			"begun")
	})
	epoch := w.State().Epoch
	w.Close()
	other := g.Open(alice, w.Thread)
	g.WaitFor(other, "shows the end", func(s client.State) bool {
		return testkit.Idle(s) &&
			testkit.Says(s, agui.RoleAssistant, "four")
	})
	head, l := other.State().Seq, openResumer(g, alice)
	for after := chat.Seq(1); after < head; after++ {
		h := l.hello(w.Thread, &chat.Cursor{Epoch: epoch, Seq: after})
		if h.events[head] == nil {
			t.Errorf("after %d of %d the end is not sent", after, head)
			continue
		}
		last := testkit.DecodeEvents(t, []json.RawMessage{h.events[head]})[0]
		if !h.Recovered || h.Active != nil || last.Type != agui.RunFinished || last.RunID != run {
			t.Errorf("after %d of %d: recovered %v, active %v, and the last event is %s of %s", after, head,
				h.Recovered, h.Active, last.Type, last.RunID)
		}
	}
	if h := l.hello(w.Thread, &chat.Cursor{Epoch: epoch, Seq: head}); !h.Recovered || len(h.events) > 0 {
		t.Errorf("after the end: recovered %v, and %d events", h.Recovered, len(h.events))
	}
}

// A hello that arrives twice is answered twice. The window shows the events once.
func TestFault05_ADoubleResumeShowsOnce(t *testing.T) {
	g := kit.Shared(t)
	alice := g.NewUser("alice")
	thread := g.NewThread(alice)
	author, w := g.Open(alice, thread), g.Open(alice, thread)
	g.Send(author, "/say begun\n/pace 150\n/say one two three four five six seven eight\n/say end-of-all")
	g.WaitFor(w, "shows the first word", func(s client.State) bool {
		return testkit.Says(s, agui.RoleAssistant,
			"begun")
	})
	g.SetGatewayFaults(apigateway.Faults{Inbound: func(m apigateway.Message) apigateway.MessageFault {
		return apigateway.MessageFault{Repeat: bytes.Contains(m.Body, []byte(`"type":"hello"`))}
	}})
	ended := func(s client.State) bool { return testkit.Idle(s) && testkit.Says(s, agui.RoleAssistant, "end-of-all") }
	for range 3 {
		before := readyFrames(w)
		if err := w.Cut(); err != nil {
			t.Fatal(err)
		}
		w.WaitFrames(t, g.Ctx, "both hellos are answered", func() bool { return readyFrames(w) >= before+2 })
		g.WaitFor(w, "is connected again", func(s client.State) bool { return s.Status == client.Ready && !s.Lagging })
	}
	g.WaitFor(author, "shows the end", ended)
	g.WaitFor(w, "shows the end", ended)
	if got, want := w.State().Messages, author.State().Messages; !slices.EqualFunc(got, want, testkit.SameMessage) {
		t.Errorf("the window that resumed shows %+v\nand the other %+v", got, want)
	}
}
