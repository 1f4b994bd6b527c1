package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"carrel/shared/agent"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// got is what a hello brought.
type got struct {
	ready    *wire.Ready
	snapshot *wire.Snapshot
	events   []agui.Event
	next     chat.Seq
}

// hello sends a hello and reads its answer, whose order it checks.
func (w window) hello(body string) got {
	w.t.Helper()
	var g got
	for i, f := range w.send(body) {
		switch f := f.(type) {
		case *wire.Ready:
			if i != 0 {
				w.t.Errorf("ready is frame %d", i)
			}
			g.ready = f
		case *wire.Snapshot:
			if i != 1 {
				w.t.Errorf("the snapshot is frame %d", i)
			}
			g.snapshot = f
		case *wire.Events:
			if g.next != 0 && f.Seq != g.next {
				w.t.Errorf("events go on at %d, want %d", f.Seq, g.next)
			}
			g.next = f.Seq + chat.Seq(len(f.Events))
			g.events = append(g.events, f.Events...)
		default:
			w.t.Errorf("a hello was answered with %T", f)
		}
	}
	if g.ready == nil {
		w.t.Fatalf("%s was not answered", body)
	}
	return g
}

func TestHello_UnknownThread(t *testing.T) {
	r := newRig(t)
	r.agents = agentsOf(t, agent.Definition{Name: "first", Grant: agent.Open, Default: true})
	w := r.window("alice", "w1=")
	w.answers(`{"type":"hello","requestId":"h","n":1,"threadId":"t"}`,
		`{"type":"ready","requestId":"h","n":1,"connectionId":"w1=","threadId":"t",`+
			`"head":0,"recovered":true,"queued":[],"interrupts":[],`+
			`"limits":{"frameBytes":32768,"textBytes":24576,"messages":8,"runs":5,"queued":20,"connections":10},`+
			fmt.Sprintf(`"reconnectInMs":%d}`, r.at.Truncate(time.Second).Add(59*time.Minute).Sub(r.at).Milliseconds()))
	if g := w.hello(`{"type":"hello","n":2,"threadId":"t","cursor":{"epoch":"gone","seq":7}}`); g.ready.Recovered {
		t.Error("the cursor of a deleted thread was recovered")
	}
	w.answers(`{"type":"threads"}`, `{"type":"threads","threads":[],"more":false}`)

	bob := r.window("bob", "w2=")
	bob.send(hi)
	bob.does("r1", "for bob only", true)
	if g := w.hello(`{"type":"hello","n":3,"threadId":"t"}`); g.ready.Epoch != "" || g.snapshot != nil ||
		g.events != nil {
		t.Errorf("another user's thread is not empty: %+v", g)
	}
}

func TestHello_ReconnectTime(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	w.life = 24 * time.Hour
	if g := w.hello(`{"type":"hello","n":1}`); g.ready.ReconnectInMs != (110*time.Minute).Milliseconds() ||
		g.ready.ThreadID == "" {
		t.Errorf("ready is %+v", g.ready)
	}
}

func TestHello_WithoutThread(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	if g := w.hello(`{"type":"hello","n":1}`); g.ready.ThreadID != "own" {
		t.Errorf("about %q", g.ready.ThreadID)
	}
}

func TestHello_ReplayOrSnapshot(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	w.send(hi)
	w.does("r1", "one", true) // 1–5
	w.send(strings.ReplaceAll(hi, "r1", "r2"))
	w.send(strings.ReplaceAll(hi, "r1", "r3"))
	w.does("r2", "two", false) // 6–9
	epoch := w.epoch()
	for name, c := range map[string]struct {
		cursor    string
		recovered bool
		first     chat.Seq // of the events that come; 0: none
	}{
		"no cursor":      {"", false, 6},
		"from the start": {fmt.Sprintf(`{"epoch":%q,"seq":0}`, epoch), true, 1},
		"inside a run":   {fmt.Sprintf(`{"epoch":%q,"seq":4}`, epoch), true, 5},
		"inside a flush": {fmt.Sprintf(`{"epoch":%q,"seq":1}`, epoch), true, 1},
		"at the end":     {fmt.Sprintf(`{"epoch":%q,"seq":9}`, epoch), true, 0},
		"ahead":          {fmt.Sprintf(`{"epoch":%q,"seq":10}`, epoch), false, 6},
		"another epoch":  {`{"epoch":"other","seq":4}`, false, 6},
	} {
		body := `{"type":"hello","n":9,"threadId":"t"}`
		if c.cursor != "" {
			body = `{"type":"hello","n":9,"threadId":"t","cursor":` + c.cursor + `}`
		}
		g := w.hello(body)
		if g.ready.Recovered != c.recovered || g.ready.Epoch != epoch || g.ready.Head != 9 {
			t.Errorf("%s: ready %+v", name, g.ready)
		}
		if g.ready.Active == nil || g.ready.Active.RunID != "r2" || len(g.ready.Queued) != 1 ||
			g.ready.Queued[0].Messages[0].Content != "hi" {
			t.Errorf("%s: active %+v, waiting %+v", name, g.ready.Active, g.ready.Queued)
		}
		if c.recovered != (g.snapshot == nil) {
			t.Errorf("%s: snapshot %+v", name, g.snapshot)
		}
		if g.snapshot != nil && (g.snapshot.Seq != 5 || len(g.snapshot.Messages) != 2 || g.snapshot.N != 9 ||
			g.snapshot.More) {
			t.Errorf("%s: snapshot %+v", name, g.snapshot)
		}
		if first := g.next - chat.Seq(len(g.events)); first != c.first {
			t.Errorf("%s: events from %d, want %d", name, first, c.first)
		}
	}
}

// Events that the log no longer keeps come as a snapshot, and ready says so.
func TestHello_AfterRetention(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	w.send(hi)
	w.does("r1", "one", true)
	epoch := w.epoch()
	r.at = r.at.Add(8 * 24 * time.Hour)
	w.send(strings.ReplaceAll(hi, "r1", "r2"))
	w.does("r2", "two", false) // 6–9
	for seq, recovered := range map[chat.Seq]bool{2: false, 5: true, 7: true} {
		g := w.hello(fmt.Sprintf(`{"type":"hello","n":9,"threadId":"t","cursor":{"epoch":%q,"seq":%d}}`, epoch, seq))
		if g.ready.Recovered != recovered || (g.snapshot == nil) != recovered || g.ready.Head != 9 || g.next != 10 {
			t.Errorf("from %d: ready %+v, snapshot %+v, next %d", seq, g.ready, g.snapshot, g.next)
		}
	}
}

// A long replay leaves as few frames as fit.
func TestHello_JoinsRecords(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	w.send(hi)
	h, err := w.store().Claim(t.Context(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	started := agui.Event{Type: agui.RunStarted, ThreadID: "t", RunID: "r1",
		Input: &agui.RunInput{ThreadID: "t", RunID: "r1"}}
	if _, err := h.Append(t.Context(), []agui.Event{started}); err != nil {
		t.Fatal(err)
	}
	for range 150 {
		if _, err := h.Append(t.Context(), []agui.Event{{Type: agui.StepStarted, StepName: "s"},
			{Type: agui.StepFinished, StepName: "s"}}); err != nil {
			t.Fatal(err)
		}
	}
	frames := w.send(`{"type":"hello","n":9,"threadId":"t"}`)
	if n := len(frames); n > 3 { // ready, snapshot, events
		t.Errorf("%d frames for 151 small records", n)
	}
	if g := w.hello(`{"type":"hello","n":9,"threadId":"t"}`); len(g.events) != 301 || g.next != 302 {
		t.Errorf("%d events, next %d", len(g.events), g.next)
	}
}

// Of frames that API Gateway runs in another order, the one with the highest n stands.
func TestHello_Stale(t *testing.T) {
	t.Attr("row", "C2: a hello that arrives late changes nothing")
	r := newRig(t)
	w := r.window("alice", "w1=")
	w.hello(`{"type":"hello","n":5,"threadId":"new"}`)
	if got := w.send(`{"type":"hello","n":4,"threadId":"old"}`); len(got) != 0 {
		t.Errorf("answered %d frames for a thread that was left", len(got))
	}
	if g := w.hello(`{"type":"hello","n":4,"threadId":"new"}`); g.ready.N != 4 {
		t.Errorf("ready has n %d", g.ready.N)
	}
	row, err := w.store().Connection(t.Context(), w.id)
	if err != nil || row.Thread != "new" || row.N != 5 {
		t.Errorf("the row is %+v, error %v", row, err)
	}
	t.Attr("figure", fmt.Sprintf("on %s with n %d after two late hellos", row.Thread, row.N))
}

func TestFrame_TwoUsersOnOneConnection(t *testing.T) {
	r := newRig(t)
	r.window("alice", "w1=").hello(`{"type":"hello","n":1,"threadId":"t"}`)
	if got := r.window("bob", "w1=").send(`{"type":"hello","n":2,"threadId":"t"}`); len(got) != 0 {
		t.Errorf("posted %d frames", len(got))
	}
	for i, body := range []string{
		hi, `{"type":"ping"}`, `{"type":"runs"}`, `{"type":"threads"}`, `{"type":"history","threadId":"t"}`,
		`{"type":"cancel","runId":"r1"}`,
	} {
		if got := r.window("bob", "w1=").send(body); len(got) != 0 {
			t.Errorf("%s: posted %d frames", body, len(got))
		}
		if n := strings.Count(r.log.String(), `"IsolationViolation":1`); n != i+2 {
			t.Errorf("%s: %d violations recorded, want %d", body, n, i+2)
		}
	}
}

func TestCancel(t *testing.T) {
	r := newRig(t)
	w, other, elsewhere := r.window("alice", "w1="), r.window("alice", "w2="), r.window("alice", "w3=")
	w.send(hi)
	other.hello(`{"type":"hello","n":1,"threadId":"t"}`)
	elsewhere.hello(`{"type":"hello","n":1,"threadId":"t2"}`)
	w.send(strings.ReplaceAll(hi, "r1", "r2"))

	// Queued: it ends here, and its watchers are notified.
	w.answers(`{"type":"cancel","requestId":"c","runId":"r2"}`,
		`{"type":"accepted","requestId":"c","runId":"r2","threadId":"t","state":"ended"}`,
		`{"type":"ended","runId":"r2","threadId":"t","status":"cancelled"}`,
		`{"type":"thread","threadId":"t","title":"hi","status":"running","created":{now},"updated":{now+2},`+
			`"used":{now},"head":0}`)
	if got := r.edge.Frames("w2="); len(got) != 3 { // the list's row when it began to wait, too
		t.Errorf("the other window was posted %d frames, want ended and the list's rows", len(got))
	}
	if got := r.edge.Frames("w3="); len(got) != 2 {
		t.Errorf("a window elsewhere was posted %d frames, want the list's rows", len(got))
	}

	// Running: asked to stop; its worker ends it.
	w.does("r1", "half", false)
	w.answers(`{"type":"cancel","requestId":"c","runId":"r1"}`,
		`{"type":"accepted","requestId":"c","runId":"r1","threadId":"t","state":"running"}`)
	if run, err := w.store().Run(t.Context(), "r1"); err != nil || !run.CancelRequested {
		t.Errorf("run %+v, error %v", run, err)
	}

	// Unknown: nothing is remembered, and a run of that id begins.
	w.answers(`{"type":"cancel","requestId":"c","runId":"r9"}`,
		`{"type":"accepted","requestId":"c","runId":"r9","state":"ended"}`)
	if got := w.send(strings.ReplaceAll(hi, "r1", "r9")); len(got) == 0 ||
		got[0].(*wire.Accepted).State != stateQueued {
		t.Errorf("a run whose id was cancelled before is answered with %v", got)
	}
}

// An unclaimed run holds its thread's slot: its cancel starts the next.
func TestCancel_StartsQueuedRun(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	w.send(hi)
	w.send(strings.ReplaceAll(hi, "r1", "r2"))
	r.edge.Invoked()
	w.send(`{"type":"cancel","runId":"r1"}`)
	if got := r.edge.Invoked(); len(got) != 1 || got[0].Run != "r2" {
		t.Errorf("invoked %v, want the run that waited", got)
	}
}

func TestTitle(t *testing.T) {
	for text, want := range map[string]string{
		"  one\n two ":                    "one two",
		"":                                "",
		strings.Repeat("ä", 60):           strings.Repeat("ä", 60),
		strings.Repeat("ä", 61):           strings.Repeat("ä", 59) + "…",
		strings.Repeat("word ", 100_00):   strings.Repeat("word ", 11) + "word…",
		strings.Repeat("word ", 12):       strings.Repeat("word ", 11) + "word",
		"one\u2028\u202etwo\x00three":     "one [U+202E]two[U+0000]three",
		"نمی\u200cدانم 👩\u200d🚀":          "نمی\u200cدانم 👩\u200d🚀",
		"what " + strings.Repeat("x", 60): "what…",
		strings.Repeat("e\u0301", 40):     strings.Repeat("e\u0301", 29) + "…",
		strings.Repeat("👨‍👩‍👧", 30):       strings.Repeat("👨‍👩‍👧", 11) + "…",
	} {
		if got := title(text); got != want {
			t.Errorf("title of %.20q is %q", text, got)
		}
	}
}

// A repeated hello is not replayed twice. One that the SDK repeated, because the answer of its write was lost, is
// answered in full: the client has had no answer to it.
func TestHello_Repeated(t *testing.T) {
	r := newRig(t)
	r.window("alice", "w0=").send(hi)
	r.window("alice", "w0=").does("r1", "an answer", true)
	w := r.window("alice", "w1=")
	const body = `{"type":"hello","n":2,"threadId":"t"}`
	w.request = "first"
	for range 2 {
		if got := w.hello(body); got.ready == nil || got.snapshot == nil {
			t.Fatalf("a hello and its repeat by the SDK are answered with %+v", got)
		}
	}
	for _, body := range []string{body, strings.Replace(body, `"n":2`, `"n":1`, 1)} {
		w.request = "second"
		got := w.send(body)
		ready, ok := got[0].(*wire.Ready)
		if !ok || len(got) != 1 || ready.Head == 0 || ready.Recovered {
			t.Errorf("%s again is answered with %d frames, the first %+v", body, len(got), got[0])
		}
	}
	if got := w.hello(strings.Replace(body, `"n":2`, `"n":3`, 1)); got.snapshot == nil {
		t.Errorf("the next hello is answered with %+v", got)
	}
}
