package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/campaign"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Whatever is large comes in messages of at most 32 KB, which the edge sees to, and is whole: the events of a run, the
// snapshot and the history of them, and what waits.
func TestHello_LargeFrames(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	question := strings.Repeat("ä", 12<<10) // 24 KB
	big := strings.Repeat("<\u2028>", 20_000)
	w.send(strings.Replace(hi, `"hi"`, fmt.Sprintf("%q", question), 1))
	h, err := w.store().Claim(t.Context(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	said := []agui.Event{
		{Type: agui.RunStarted, ThreadID: "t", RunID: "r1",
			Input: &agui.RunInput{ThreadID: "t", RunID: "r1", Messages: h.Input().Messages}},
		{Type: agui.ToolCallResult, MessageID: "m", ToolCallID: "c", Role: agui.RoleTool, Content: &big},
	}
	if _, err := h.Append(t.Context(), said); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		waits := strings.NewReplacer("r1", fmt.Sprint("w", i), `"hi"`, fmt.Sprintf("%q", question)).Replace(hi)
		w.send(waits)
	}
	g := w.hello(`{"type":"hello","n":9,"threadId":"t"}`)
	if len(g.ready.Queued) != 5 || g.ready.Queued[4].Messages[0].Content != question {
		t.Errorf("ready lists %d queued runs", len(g.ready.Queued))
	}
	if !slices.EqualFunc(g.events, said, func(a, b agui.Event) bool { return text(t, a) == text(t, b) }) {
		t.Errorf("%d events came, not as they were", len(g.events))
	}
	if _, err := h.End(t.Context(), []agui.Event{{Type: agui.RunFinished, ThreadID: "t", RunID: "r1"}}); err != nil {
		t.Fatal(err)
	}
	g = w.hello(`{"type":"hello","n":9,"threadId":"t"}`)
	if m := g.snapshot.Messages; len(m) != 2 || m[0].Content != question || m[1].Content != big {
		t.Errorf("the snapshot has %d messages", len(m))
	}
	page := w.send(`{"type":"history","threadId":"t"}`)
	if m := page[0].(*wire.HistoryPage).Messages; len(m) != 2 || m[1].Content != big {
		t.Errorf("the history has %d messages", len(m))
	}
	if list := w.send(`{"type":"runs"}`)[0].(*wire.RunList); len(list.Runs) != 6 {
		t.Errorf("%d runs", len(list.Runs))
	}
}

func text(t *testing.T, e agui.Event) string {
	t.Helper()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A page of messages ends at 1 MB, and the next page continues there.
func TestHistory_LargeMessages(t *testing.T) {
	campaign.Only(t, "it writes several megabytes of messages")
	r := newRig(t)
	w := r.window("alice", "w1=")
	const runs = 9
	for i := range runs {
		id := chat.RunID(fmt.Sprint("r", i))
		w.send(strings.ReplaceAll(hi, "r1", string(id)))
		w.does(id, strings.Repeat("x", 250_000), true)
	}
	g := w.hello(`{"type":"hello","n":9,"threadId":"t"}`)
	got, before := len(g.snapshot.Messages), g.snapshot.Before
	if got != 10 || !g.snapshot.More {
		t.Errorf("the snapshot has %d messages of 250 KB, more: %v", got, g.snapshot.More)
	}
	for before > 0 {
		page := w.send(fmt.Sprintf(`{"type":"history","threadId":"t","before":%d}`, before))[0].(*wire.HistoryPage)
		if len(page.Messages) > 10 || page.Before >= before {
			t.Fatalf("a page of %d messages before %d, which goes on before %d", len(page.Messages), before,
				page.Before)
		}
		got, before = got+len(page.Messages), page.Before
	}
	if got != 2*runs {
		t.Errorf("the pages have %d messages in all", got)
	}
}

// The first page behind a snapshot may end earlier than the log.
func TestHello_SnapshotOfLongRun(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	w.send(hi)
	w.does("r1", "one", true) // 1–5
	w.send(strings.ReplaceAll(hi, "r1", "r2"))
	h, err := w.store().Claim(t.Context(), "r2")
	if err != nil {
		t.Fatal(err)
	}
	events := []agui.Event{{Type: agui.RunStarted, ThreadID: "t", RunID: "r2"}}
	for range logPage + 10 {
		if _, err := h.Append(t.Context(), events); err != nil {
			t.Fatal(err)
		}
		events = []agui.Event{{Type: agui.StepStarted, StepName: "s"}}
	}
	const head = 5 + logPage + 10
	if g := w.hello(`{"type":"hello","n":9,"threadId":"t"}`); g.ready.Head != head || g.snapshot == nil ||
		g.next != head+1 {
		t.Errorf("head %d, snapshot %v, next %d; want head %d", g.ready.Head, g.snapshot != nil, g.next, head)
	}
}
