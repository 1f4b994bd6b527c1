package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/apigateway"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// everything is a run with an event of nearly every kind.
const everything = "/think hm\n/say one two\n/call calculator {\"expression\":\"6*7\"}\n/say three"

// parse reads events.
func parse(t *testing.T, raw []json.RawMessage) []agui.Event {
	t.Helper()
	events := make([]agui.Event, len(raw))
	for i := range raw {
		if err := json.Unmarshal(raw[i], &events[i]); err != nil {
			t.Fatal(err)
		}
	}
	return events
}

// done has a run, and wants its window to show the answer once it is over.
func (g *ground) done(w *socket, text, answer string) client.State {
	g.t.Helper()
	before := w.State().Seq
	g.send(w, text)
	s := g.wait(w, "the run is over", func(s client.State) bool { return idle(s) && s.Seq > before })
	if !says(s, agui.RoleAssistant, answer) {
		g.t.Fatalf("%q is answered with %+v", text, s.Messages)
	}
	return s
}

// Calls and their results that come within a millisecond each have an id of their own, so that each is shown.
func TestFault01DistinctEventIDs(t *testing.T) {
	g := onFaults(t)
	alice := g.person("alice")
	w := g.window(alice, g.thread(alice))
	var script strings.Builder
	sums := []string{"1+1", "1+2", "1+3", "1+4"}
	for _, sum := range sums {
		script.WriteString("/call calculator {\"expression\":\"" + sum + "\"}\n")
	}
	s := g.done(w, strings.Repeat(script.String()+"/stream 3 0\n", 3)+"/say end-of-all", "end-of-all")
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
	begun, close, last := map[string]bool{}, 0, int64(0)
	for i, e := range parse(t, g.log(w.thread)) {
		switch e.Type {
		case agui.TextMessageStart, agui.ToolCallStart, agui.ToolCallResult:
		default:
			continue
		}
		id := e.MessageID + e.ToolCallID
		if begun[id] {
			t.Errorf("event %d, %s, has an id that another has", i+1, e.Type)
		}
		if e.Timestamp == last {
			close++
		}
		begun[id], last = true, e.Timestamp
	}
	if close == 0 {
		t.Error("no two events came within a millisecond: this proves nothing")
	}
}

// Positions are numbers and not text: after 9 comes 10, whatever a client has seen last.
func TestFault02CursorsAreNumbers(t *testing.T) {
	g := onFaults(t)
	alice := g.person("alice")
	w := g.window(alice, g.thread(alice))
	for range 8 {
		g.done(w, "/say more", "more")
	}
	log := g.log(w.thread)
	if len(log) < 20 || chat.Seq(len(log)) != w.State().Seq {
		t.Fatalf("the window has seen %d events and the log has %d", w.State().Seq, len(log))
	}
	l := g.line(alice)
	for _, after := range []chat.Seq{1, 2, 8, 9, 10, 11, 18, 19, 20} {
		h := l.hello(w.thread, &chat.Cursor{Epoch: w.State().Epoch, Seq: after})
		if !h.Recovered || h.Head != chat.Seq(len(log)) {
			t.Errorf("after %d: recovered %v, and the head is %d, want %d", after, h.Recovered, h.Head, len(log))
		}
		for seq := after + 1; seq <= chat.Seq(len(log)); seq++ {
			if !bytes.Equal(h.events[seq], log[seq-1]) {
				t.Errorf("after %d there comes as event %d: %s, want %s", after, seq, h.events[seq], log[seq-1])
			}
		}
	}
}

// A resume brings what the live stream brought: every event, byte for byte.
func TestFault03ResumeIsTheLiveStream(t *testing.T) {
	t.Attr("row", "C3: a resumed stream equals the live stream, byte for byte")
	g := onFaults(t)
	alice := g.person("alice")
	w := g.window(alice, g.thread(alice))
	g.done(w, everything, "three")
	live := w.read(t, []*person{alice})
	first := w.State().Epoch
	h := g.line(alice).hello(w.thread, &chat.Cursor{Epoch: first, Seq: 1})
	kinds := map[agui.EventType]bool{}
	for seq := chat.Seq(2); seq <= h.Head; seq++ {
		if !bytes.Equal(live.events[seq], h.events[seq]) {
			t.Errorf("event %d came live as %s and is resumed as %s", seq, live.events[seq], h.events[seq])
		}
		for _, e := range parse(t, []json.RawMessage{live.events[seq]}) {
			kinds[e.Type] = true
		}
	}
	if len(kinds) < 10 {
		t.Errorf("there were only %d kinds of events: this proves little", len(kinds))
	}
	t.Attr("figure", fmt.Sprintf("%d events of %d kinds, byte for byte", h.Head-1, len(kinds)))
}

// Wherever a client was cut off, the end of the run is among what its reconnect brings.
func TestFault04TheEndComesOnReconnect(t *testing.T) {
	g := onFaults(t)
	alice := g.person("alice")
	w := g.window(alice, g.thread(alice))
	run := g.send(w, "/say begun\n/pace 100\n/say one two three four")
	g.wait(w, "it begins", func(s client.State) bool { return says(s, agui.RoleAssistant, "begun") })
	epoch := w.State().Epoch
	w.Close()
	other := g.window(alice, w.thread)
	g.wait(other, "it ends", func(s client.State) bool { return idle(s) && says(s, agui.RoleAssistant, "four") })
	head, l := other.State().Seq, g.line(alice)
	for after := chat.Seq(1); after < head; after++ {
		h := l.hello(w.thread, &chat.Cursor{Epoch: epoch, Seq: after})
		if h.events[head] == nil {
			t.Errorf("after %d of %d the end does not come", after, head)
			continue
		}
		last := parse(t, []json.RawMessage{h.events[head]})[0]
		if !h.Recovered || h.Active != nil || last.Type != agui.RunFinished || last.RunID != run {
			t.Errorf("after %d of %d: recovered %v, active %v, and the last event is %s of %s", after, head, h.Recovered, h.Active, last.Type, last.RunID)
		}
	}
	if h := l.hello(w.thread, &chat.Cursor{Epoch: epoch, Seq: head}); !h.Recovered || len(h.events) > 0 {
		t.Errorf("after the end: recovered %v, and %d events", h.Recovered, len(h.events))
	}
}

// A hello that arrives twice is answered twice; the window shows what it brings once.
func TestFault05ADoubleResumeShowsOnce(t *testing.T) {
	g := onFaults(t)
	alice := g.person("alice")
	thread := g.thread(alice)
	author, w := g.window(alice, thread), g.window(alice, thread)
	g.send(author, "/say begun\n/pace 150\n/say one two three four five six seven eight\n/say end-of-all")
	g.wait(w, "it begins", func(s client.State) bool { return says(s, agui.RoleAssistant, "begun") })
	g.strike(apigateway.Faults{Inbound: func(m apigateway.Message) apigateway.MessageFault {
		return apigateway.MessageFault{Repeat: bytes.Contains(m.Body, []byte(`"type":"hello"`))}
	}})
	over := func(s client.State) bool { return idle(s) && says(s, agui.RoleAssistant, "end-of-all") }
	for range 3 {
		before := readies(w)
		if err := w.Cut(); err != nil {
			t.Fatal(err)
		}
		g.hears(w, before+2)
		g.wait(w, "it is back", func(s client.State) bool { return s.Status == client.Ready && !s.Behind })
	}
	g.wait(author, "the end", over)
	g.wait(w, "the end", over)
	if got, want := w.State().Messages, author.State().Messages; !slices.EqualFunc(got, want, same) {
		t.Errorf("the window that resumed shows %+v\nand the other %+v", got, want)
	}
}

func same(a, b agui.Message) bool {
	return a.ID == b.ID && a.Role == b.Role && a.Content == b.Content && len(a.ToolCalls) == len(b.ToolCalls)
}

// hears waits until so many readies have reached a window.
func (g *ground) hears(s *socket, n int) {
	g.t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for readies(s) < n {
		select {
		case <-look.C:
		case <-g.ctx.Done():
			g.t.Fatalf("%d of %d readies came: a hello that came twice is answered once", readies(s), n)
		}
	}
}

// readies counts the readies that reached a window.
func readies(s *socket) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if f, err := wire.DecodeServer(m); err == nil {
			if _, ok := f.(*wire.Ready); ok {
				n++
			}
		}
	}
	return n
}
