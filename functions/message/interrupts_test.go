package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
	"carrel/shared/wire"
)

// asks plays turn for a run that ends with questions of these ids.
func (w window) asks(run chat.RunID, ids ...chat.InterruptID) {
	w.t.Helper()
	var all []agui.Interrupt
	for _, id := range ids {
		all = append(all, question(id, w.at.Add(time.Hour)))
	}
	w.puts(run, all...)
}

// puts plays turn for a run that ends with these questions.
func (w window) puts(run chat.RunID, questions ...agui.Interrupt) {
	w.t.Helper()
	h, err := w.store().Claim(w.t.Context(), run)
	if err != nil {
		w.t.Fatal(err)
	}
	started := agui.Event{Type: agui.RunStarted, ThreadID: "t", RunID: run,
		Input: &agui.RunInput{ThreadID: "t", RunID: run, Messages: h.Input().Messages}}
	last := agui.Event{Type: agui.RunFinished, ThreadID: "t", RunID: run,
		Outcome: &agui.Outcome{Type: agui.OutcomeInterrupt, Interrupts: questions}}
	if _, err := h.End(w.t.Context(), []agui.Event{started, last}); err != nil {
		w.t.Fatal(err)
	}
}

func question(id chat.InterruptID, expires time.Time) agui.Interrupt {
	return agui.Interrupt{ID: id, Reason: agui.ReasonToolCall, ToolCallID: "c-" + string(id),
		ExpiresAt: expires.UTC().Format(time.RFC3339)}
}

func idsOf(open []agui.Interrupt) string {
	var ids []string
	for _, i := range open {
		ids = append(ids, string(i.ID))
	}
	return strings.Join(ids, " ")
}

// answering is a run frame that approves these.
func answering(run string, ids ...string) string {
	var list []string
	for _, id := range ids {
		list = append(list, fmt.Sprintf(`{"interruptId":%q,"status":"resolved","payload":{"approved":true}}`, id))
	}
	return fmt.Sprintf(`{"type":"run","requestId":"q","n":3,"runId":%q,"threadId":"t","messages":[],"resume":[%s]}`,
		run, strings.Join(list, ","))
}

// rejected is the refusal of a run for open questions.
func (w window) rejected(body string) *wire.Rejected {
	w.t.Helper()
	got := w.send(body)
	if len(got) == 1 {
		if no, ok := got[0].(*wire.Rejected); ok && no.Code == wire.CodeInterrupted {
			return no
		}
	}
	w.t.Fatalf("%s\nwas answered %+v, want that the thread waits for a person", body, got)
	return nil
}

func TestRun_ThreadAwaitsInput(t *testing.T) {
	r := newRig(t)
	w, other, bob := r.window("alice", "w1="), r.window("alice", "w2="), r.window("bob", "w3=")
	w.send(hi)
	w.asks("r1", "i1", "i2")

	g := w.hello(`{"type":"hello","n":3,"threadId":"t"}`)
	if idsOf(g.ready.Interrupts) != "i1 i2" || idsOf(g.snapshot.Interrupts) != "i1 i2" {
		t.Errorf("ready lists %q and the snapshot %q", idsOf(g.ready.Interrupts), idsOf(g.snapshot.Interrupts))
	}
	rows := w.send(`{"type":"threads"}`)[0].(*wire.ThreadList).Threads
	if len(rows) != 1 || !rows[0].Interrupted || rows[0].Status != chat.ThreadIdle {
		t.Errorf("the list shows %+v", rows)
	}
	if pong := w.send(`{"type":"ping","threadId":"t"}`)[0].(*wire.Pong); !pong.Interrupted || pong.Head != 2 {
		t.Errorf("a pong says %+v", pong)
	}
	runs := w.send(`{"type":"runs"}`)[0].(*wire.RunList).Runs
	if len(runs) != 1 || runs[0].Status != chat.RunSuspended || runs[0].Ended == 0 || runs[0].Attempts != 1 {
		t.Errorf("the runs are %+v", runs)
	}

	// Not answered, answered in part, answered wrongly: the open interrupts are returned, and nothing is stored.
	for _, body := range []string{strings.ReplaceAll(hi, "r1", "r2"), answering("r2", "i1"),
		answering("r2", "i1", "i2", "i3")} {
		if no := w.rejected(body); idsOf(no.Interrupts) != "i1 i2" || no.RunID != "r2" ||
			no.Message != sentence(wire.CodeInterrupted) {
			t.Errorf("%s\nwas rejected with %+v", body, no)
		}
	}
	if no := bob.rejected(answering("r2", "i1", "i2")); len(no.Interrupts) != 0 || no.Message != answered {
		t.Errorf("another user received %+v", no)
	}

	// Of two that answer one wins, and its repeat is answered like the first frame.
	accepted := `{"type":"accepted","requestId":"q","runId":"r3","threadId":"t","state":"running"}`
	w.answers(answering("r3", "i1", "i2"), accepted)
	if no := other.rejected(answering("r4", "i1", "i2")); len(no.Interrupts) != 0 || no.Message != answered {
		t.Errorf("the second response was answered %+v", no)
	}
	w.answers(answering("r3", "i1", "i2"), accepted)
	in, err := w.store().Input(t.Context(), "r3")
	if err != nil || len(in.Responses) != 2 || in.Responses[1].Interrupt.ToolCallID != "c-i2" ||
		string(in.Responses[1].Resume.Payload) != `{"approved":true}` {
		t.Errorf("admitted with %+v, error %v", in, err)
	}
	if g := other.hello(`{"type":"hello","n":4,"threadId":"t"}`); len(g.ready.Interrupts) != 0 ||
		len(g.snapshot.Interrupts) != 0 {
		t.Errorf("an answered interrupt is still listed: %+v", g.ready.Interrupts)
	}
	w.does("r3", "done", true)
	w.answers(answering("r3", "i1", "i2"), strings.ReplaceAll(accepted, "running", "ended"))
}

// The row of a thread may be older than the log that is read after it. The open interrupts are those of the log.
func TestHello_InterruptsFollowLog(t *testing.T) {
	open := []agui.Interrupt{question("i1", time.Time{})}
	ends := agui.Event{Type: agui.RunFinished, Outcome: &agui.Outcome{Type: agui.OutcomeInterrupt,
		Interrupts: []agui.Interrupt{question("i2", time.Time{})}}}
	begins := agui.Event{Type: agui.RunStarted}
	for name, c := range map[string]struct {
		record store.Record
		want   string
	}{
		"nothing new":           {store.Record{}, "i1"},
		"up to the head":        {store.Record{Seq: 8, Events: []agui.Event{begins, begins, ends}}, "i1"},
		"a run began":           {store.Record{Seq: 11, Events: []agui.Event{begins}}, ""},
		"a run ended, and asks": {store.Record{Seq: 11, Events: []agui.Event{begins, ends}}, "i2"},
		"half of it is beyond":  {store.Record{Seq: 10, Events: []agui.Event{ends, begins}}, ""},
		"a run ended without more": {store.Record{Seq: 11, Events: []agui.Event{begins,
			{Type: agui.RunFinished, Outcome: &agui.Outcome{Type: agui.OutcomeSuccess}}}}, ""},
	} {
		c.record.Last = c.record.Seq + chat.Seq(len(c.record.Events)) - 1
		v := view{thread: store.Thread{Head: 10, Interrupts: open}, last: c.record}
		if got := idsOf(v.openInterrupts()); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestRuns_Pages(t *testing.T) {
	t.Attr("row", "B5: a user's runs are listed page by page")
	r := newRig(t)
	w := r.window("alice", "w1=")
	for _, run := range []string{"r1", "r2", "r3"} {
		w.send(strings.ReplaceAll(hi, "r1", run))
		w.does(chat.RunID(run), "answer", true)
		r.at = r.at.Add(time.Millisecond)
	}
	next := w.send(`{"type":"runs","limit":2}`)[0].(*wire.RunList).Before
	list := func(body string) string {
		t.Helper()
		page := w.send(strings.Replace(body, "NEXT", string(next), 1))[0].(*wire.RunList)
		ids := ""
		for _, run := range page.Runs {
			ids += string(run.RunID) + " "
			if run.Status != chat.RunFinished || run.Started == 0 || run.ThreadID != "t" {
				t.Errorf("a run is %+v", run)
			}
		}
		return fmt.Sprint(ids, page.More)
	}
	pages := 0
	for body, want := range map[string]string{
		`{"type":"runs"}`:                           "r3 r2 r1 false",
		`{"type":"runs","limit":2}`:                 "r3 r2 true",
		`{"type":"runs","limit":2,"before":"NEXT"}`: "r1 false",
	} {
		if got := list(body); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
			continue
		}
		pages++
	}
	const wrong = `{"type":"error","code":"bad_frame","message":"before: This list has not returned this cursor; ` +
		`send the before of an answer, or leave it out.","field":"before"}`
	w.answers(fmt.Sprintf(`{"type":"threads","before":%q}`, next), wrong)
	w.answers(`{"type":"runs","before":"r2"}`, wrong)
	got := r.window("bob", "w2=").send(fmt.Sprintf(`{"type":"runs","before":%q}`, next))[0].(*wire.RunList)
	if len(got.Runs) != 0 || got.More {
		t.Errorf("the other user's runs are %+v", got)
	}
	t.Attr("figure", fmt.Sprintf("%d pages right; somebody else sees %d runs", pages, len(got.Runs)))
}

// A user who has used the tokens of the day learns when the next day begins.
func TestRun_BudgetReached(t *testing.T) {
	r := newRig(t)
	l := chat.DefaultLimits()
	l.DayTokens = 10
	r.at = time.Date(2027, 3, 1, 23, 0, 0, 0, time.UTC)
	r.table = gatewaytest.Table(t, store.Config{Limits: l, Now: func() time.Time { return r.at }})
	w := r.window("alice", "w1=")
	w.send(hi)
	lease, err := storetest.As(t, r.table, "alice").Claim(t.Context(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	last := []agui.Event{storetest.Started(lease), storetest.Marked(1, 6, 4), storetest.Finished(lease)}
	if _, err := lease.End(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	second := strings.ReplaceAll(hi, "r1", "r2")
	w.answers(second, `{"type":"rejected","requestId":"q1","runId":"r2","code":"budget_reached","message":"You have `+
		`used all tokens that you may use in one day. The next day begins at midnight UTC.","retryAfterMs":3600000}`)
	r.at = r.at.Add(time.Hour)
	if got := w.send(second)[0]; got.(*wire.Accepted).State != "running" {
		t.Errorf("on the next day: %+v", got)
	}
}

func TestRun_TooManyRuns(t *testing.T) {
	r := newRig(t)
	l := chat.DefaultLimits()
	l.RunBurst, l.RunsPerHour = 1, 60
	r.table = gatewaytest.Table(t, store.Config{Limits: l, Now: func() time.Time { return r.at }})
	w := r.window("alice", "w1=")
	w.send(hi)
	second := strings.ReplaceAll(hi, "r1", "r2")
	w.answers(second,
		`{"type":"rejected","requestId":"q1","runId":"r2","code":"rate_limited","message":"Too many requests. Wait a `+
			`moment and try again.","retryAfterMs":60000}`)
	w.answers(hi, `{"type":"accepted","requestId":"q1","runId":"r1","threadId":"t","state":"running"}`)
	w.answers(`{"type":"cancel","requestId":"c","runId":"r9"}`,
		`{"type":"accepted","requestId":"c","runId":"r9","state":"ended"}`)
	r.at = r.at.Add(time.Minute)
	if got := w.send(second)[0]; got.(*wire.Accepted).State != "queued" {
		t.Errorf("after the returned time: %+v", got)
	}
}
