package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

const noSuchThing = `{"type":"error","requestId":"q","code":"not_found","message":"There is nothing of this id."}`

func TestRename(t *testing.T) {
	r := newRig(t)
	w, other := r.window("alice", "w1="), r.window("alice", "w2=")
	w.send(hi)
	other.hello(`{"type":"hello","n":1,"threadId":"elsewhere"}`)
	w.answers(`{"type":"rename","requestId":"q","threadId":"t","title":" My plan "}`,
		`{"type":"done","requestId":"q","threadId":"t"}`,
		`{"type":"thread","threadId":"t","title":"My `+
			`plan","status":"running","created":{now},"updated":{now+1},"used":{now},"head":0}`)
	if got := r.edge.Frames(other.id); len(got) != 1 || got[0].(*wire.Thread).Title != "My plan" {
		t.Errorf("the other window received %+v", got)
	}
	w.does("r1", "hello", true)
	w.send(strings.ReplaceAll(hi, "r1", "r2"))
	if th, err := w.store().Thread(t.Context(), "t"); err != nil || th.Title != "My plan" {
		t.Errorf("after more runs the title is %q, %v", th.Title, err)
	}
	bob := r.window("bob", "w3=")
	bob.answers(`{"type":"rename","requestId":"q","threadId":"t","title":"x"}`, noSuchThing)
	bob.answers(`{"type":"rename","requestId":"q","threadId":"nobody-s","title":"x"}`, noSuchThing)
	if th, err := w.store().Thread(t.Context(), "t"); err != nil || th.Title != "My plan" {
		t.Errorf("after bob's rename the title is %q, %v", th.Title, err)
	}
}

func TestDelete(t *testing.T) {
	r := newRig(t)
	w, other := r.window("alice", "w1="), r.window("alice", "w2=")
	w.send(hi)
	w.does("r1", "hello", false)
	w.send(strings.ReplaceAll(hi, "r1", "r2"))
	other.hello(`{"type":"hello","n":1,"threadId":"elsewhere"}`)
	r.window("bob", "w3=").answers(`{"type":"delete","requestId":"q","threadId":"t"}`, noSuchThing)
	gone := `{"type":"thread","threadId":"t","title":"","status":"idle","created":{now},"updated":{now+2},"head":0,` +
		`"deleted":true}`
	w.answers(`{"type":"delete","requestId":"q","threadId":"t"}`, `{"type":"done","requestId":"q","threadId":"t"}`,
		`{"type":"ended","runId":"r2","threadId":"t","status":"cancelled"}`, gone)
	if got := r.edge.Frames(other.id); len(got) != 1 || !got[0].(*wire.Thread).Deleted {
		t.Errorf("the other window received %+v", got)
	}
	if run, err := w.store().Run(t.Context(), "r1"); err != nil || !run.CancelRequested {
		t.Errorf("the running run: %+v, %v", run, err)
	}
	w.answers(`{"type":"threads"}`, `{"type":"threads","threads":[],"more":false}`)
	w.answers(`{"type":"history","threadId":"t"}`,
		`{"type":"history","threadId":"t","messages":[],"runs":[],"more":false}`)
	ready := w.hello(`{"type":"hello","n":9,"threadId":"t"}`).ready
	if ready.Epoch != "" || ready.Head != 0 || ready.Active != nil || len(ready.Queued) > 0 {
		t.Errorf("hello finds %+v", ready)
	}
	third := strings.ReplaceAll(strings.ReplaceAll(hi, "r1", "r3"), `"n":2`, `"n":10`)
	w.answers(third,
		`{"type":"rejected","requestId":"q1","runId":"r3","code":"not_found","message":"There is nothing of this id."}`)
	w.answers(`{"type":"rename","requestId":"q","threadId":"t","title":"x"}`, noSuchThing)
	// A repeat is answered like the first.
	w.answers(`{"type":"delete","requestId":"q","threadId":"t"}`, `{"type":"done","requestId":"q","threadId":"t"}`,
		gone)
	r.at = r.at.Add(25 * time.Hour)
	w.hello(`{"type":"hello","n":11,"threadId":"t"}`)
	w.answers(`{"type":"delete","requestId":"q","threadId":"t"}`, noSuchThing)
}

// The list is paged to its end: 60 threads, each once, the one used last first, whatever the order of their ids.
func TestThreads_Pages(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	const all = 60
	id := func(i int) chat.ThreadID { return chat.ThreadID(fmt.Sprintf("t%03d", i*37%all)) }
	for i := range all {
		r.at = r.at.Add(6 * time.Second) // no user may start more at once
		run := chat.RunID(fmt.Sprintf("r%03d", i))
		w.send(strings.ReplaceAll(strings.ReplaceAll(hi, "r1", string(run)), `"t"`, fmt.Sprintf("%q", id(i))))
		if i < all-6 { // the last ones stay: five run, one waits
			w.does(run, "answer", true)
		}
	}
	w.edge.Frames(w.id)
	next, before := all-1, ""
	for page := 0; ; page++ {
		list := w.send(`{"type":"threads"` + before + `}`)[0].(*wire.ThreadList)
		for _, row := range list.Threads {
			want := chat.ThreadIdle
			if next == all-1 {
				want = chat.ThreadQueued
			} else if next >= all-6 {
				want = chat.ThreadRunning
			}
			if row.ThreadID != id(next) || row.Status != want {
				t.Errorf("row %+v, want %s, %s", row, id(next), want)
			}
			next--
		}
		if !list.More {
			if page != 1 || next != -1 {
				t.Errorf("the list ends on page %d, before %d", page, next)
			}
			return
		}
		before = fmt.Sprintf(`,"before":%q`, list.Before)
	}
}

// A thread of 120 messages is read to its beginning, by the snapshot's cursor and then by the pages'.
func TestHistory_ToTheBeginning(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	const runs = 60
	for i := range runs {
		r.at = r.at.Add(6 * time.Second) // no user may start more at once
		run := fmt.Sprintf("r%03d", i)
		w.send(strings.ReplaceAll(strings.ReplaceAll(hi, "r1", run), `"n":2`, fmt.Sprintf(`"n":%d`, i+2)))
		w.does(chat.RunID(run), "answer", true)
	}
	w.edge.Frames(w.id)
	snapshot := w.hello(`{"type":"hello","n":1000,"threadId":"t"}`).snapshot
	if !snapshot.More || len(snapshot.Messages) != 50 {
		t.Fatalf("the snapshot has %d messages, more %v", len(snapshot.Messages), snapshot.More)
	}
	messages, before := snapshot.Messages, snapshot.Before
	for pages := 0; ; pages++ {
		page := w.send(fmt.Sprintf(`{"type":"history","threadId":"t","before":%d,"limit":40}`,
			before))[0].(*wire.HistoryPage)
		messages, before = append(page.Messages, messages...), page.Before
		if !page.More {
			if pages != 1 {
				t.Errorf("it took %d pages", pages+1)
			}
			break
		}
	}
	if len(messages) != 2*runs {
		t.Fatalf("%d messages", len(messages))
	}
	for i, m := range messages {
		want := fmt.Sprintf([]string{"r%03d.u1", "a-r%03d"}[i%2], i/2)
		if m.ID != want {
			b, err := json.Marshal(m)
			t.Fatalf("message %d is %s, %v; want %s", i, b, err, want)
		}
	}
}
