package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/store"
)

const twoTools = "/say one\n/call notes_save {\"text\":\"kept\"}\n/say two\n/call calculator " +
	"{\"expression\":\"6*7\"}\n/say three"

// ask admits a run that has the grants of all tools.
func (r *fixture) ask(t *testing.T, run chat.RunID, text string, answers ...store.Response) {
	t.Helper()
	a := store.Admission{Run: run, Thread: "t", Grants: []string{"calculator", "notes"}, Responses: answers}
	if text != "" {
		a.Messages = []agui.Message{{ID: "u-" + string(run), Role: agui.RoleUser, Content: text}}
	}
	if _, err := r.store.Admit(t.Context(), a); err != nil {
		t.Fatal(err)
	}
}

// dies simulates a worker that claims a run, writes these events and stops. Then its lease expires.
func (r *fixture) dies(t *testing.T, run chat.RunID, events []agui.Event) *store.Lease {
	t.Helper()
	h, err := r.store.Claim(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) > 0 {
		if _, err := h.Append(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
	r.clock.Advance(21 * time.Second)
	return h
}

func (r *fixture) notes(t *testing.T) int {
	t.Helper()
	all, err := r.store.Notes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// results returns the results of a run's calls, by the tools' names.
func results(events []agui.Event) map[string][]string {
	names, all := map[string]string{}, map[string][]string{}
	for _, e := range events {
		switch e.Type {
		case agui.ToolCallStart:
			names[e.ToolCallID] = e.ToolCallName
		case agui.ToolCallResult:
			all[names[e.ToolCallID]] = append(all[names[e.ToolCallID]], *e.Content)
		}
	}
	return all
}

// whole returns the events of an undisturbed run.
func whole(t *testing.T) []agui.Event {
	t.Helper()
	r := newFixture(t, fast())
	r.ask(t, "r1", twoTools)
	r.turn(t, "r1")
	return r.events(t)
}

// A worker dies after each event of a run in turn. Every time the run continues and ends once, in order and with a
// result for each call, as the check of order verifies. It gives each text, and does not save the note again where the
// first worker may have saved it.
func TestAttempt_ContinuesFromEachEvent(t *testing.T) {
	events := whole(t)
	for n := range len(events) {
		if n > 0 && together(events[n-1]) {
			continue
		}
		r := newFixture(t, fast())
		r.ask(t, "r1", twoTools)
		r.dies(t, "r1", events[:n])
		r.turn(t, "r1")
		log := r.events(t)
		last := log[len(log)-1]
		if last.Type != agui.RunFinished || last.Outcome.Type != agui.OutcomeSuccess ||
			r.status(t, "r1") != chat.RunFinished {
			t.Errorf("died behind %d events: the run ended with %+v", n, last)
		}
		for _, word := range []string{"one", "two", "three"} {
			if times := strings.Count(said(log), word); times < 1 || times > 2 {
				t.Errorf("died behind %d events: %q was said %d times", n, word, times)
			}
		}
		if n == len(events)-1 && said(log) != said(events) {
			t.Errorf("all had been said, and %q was said: the model was asked again", said(log))
		}
		got := results(log)
		saved := strings.Join(got["notes_save"], " ")
		made := strings.Contains(strings.Join(typesOf(events[:n]), " "), "TOOL_CALL_END CUSTOM")
		if want := map[bool]int{false: 1, true: 0}[made]; r.notes(t) != want {
			t.Errorf("died behind %d events: %d notes were saved by the second worker, want %d; the tool said %q", n,
				r.notes(t), want, saved)
		}
		if !slices.Contains(got["calculator"], "42") {
			t.Errorf("died behind %d events: the calculator said %q", n, got["calculator"])
		}
		attempts := slices.DeleteFunc(slices.Clone(log), func(e agui.Event) bool { return e.Name != "carrel.attempt" })
		if n > 0 && (len(attempts) != 1 || attempts[0].Name != "carrel.attempt" ||
			string(attempts[0].Value) != `{"attempt":2}`) {
			t.Errorf("died behind %d events: the second attempt began with %+v", n, attempts)
		}
		if seen, _ := r.seenFrom(t, "window", n); types(seen) != types(log[n:]) {
			t.Errorf("died behind %d events: the window saw %s of %s", n, types(seen), types(log[n:]))
		}
	}
}

// together reports whether the next event is in the same record of the log, so that no worker dies between the two: the
// end of a part of an answer is in one record with the start of the next part or with the answer's mark.
func together(e agui.Event) bool {
	return e.Type == agui.TextMessageEnd || e.Type == agui.ToolCallEnd || e.Type == agui.ReasoningEnd
}

func typesOf(events []agui.Event) []string {
	var all []string
	for _, e := range events {
		all = append(all, string(e.Type))
	}
	return all
}

// The model receives the finished messages of the dead attempt and nothing that was cut off, in this run and in the
// next one.
func TestAttempt_HistoryOfDeadAttempt(t *testing.T) {
	events := whole(t)
	at := func(want agui.EventType, nth int) int { // behind the nth event of that type
		for i, e := range events {
			if e.Type == want {
				if nth--; nth == 0 {
					return i + 1
				}
			}
		}
		t.Fatalf("the run has no such %s", want)
		return 0
	}
	for n, want := range map[int]string{
		at(agui.TextMessageContent, 1): "user",
		at(agui.ToolCallStart, 1):      "user",
		at(agui.ToolCallArgs, 1):       "user",
		at(agui.Custom,
			1): "user assistant:one+1 tool:A failure cut this tool call off before its result was recorded. " +
			"It is not known whether it was carried out.",
		at(agui.ToolCallResult, 1):     "user assistant:one+1 tool:Saved as note 1.",
		at(agui.TextMessageContent, 2): "user assistant:one+1 tool:Saved as note 1.",
		at(agui.Custom, 2):             "user assistant:one+1 tool:Saved as note 1. assistant:two+1 tool:42",
		at(agui.TextMessageContent, 3): "user assistant:one+1 tool:Saved as note 1. assistant:two+1 tool:42",
	} {
		var first string
		r := newFixture(t, peek{fast(), func(m []agui.Message) {
			if first == "" {
				first = sketch(m)
			}
		}})
		r.ask(t, "r1", twoTools)
		r.dies(t, "r1", events[:n])
		r.turn(t, "r1")
		if first != want {
			t.Errorf("died behind %d events: the model received\n%s\nwant\n%s", n, first, want)
		}
		first = ""
		r.ask(t, "r2", "/say next")
		r.turn(t, "r2")
		if !strings.HasSuffix(first, "assistant:three user") || strings.Contains(first, "cut off") {
			t.Errorf("died behind %d events: the next run's model received\n%s", n, first)
		}
	}
}

// A suspended worker resumes and writes a record between the next worker's claim and its first record. The next worker
// includes that record.
func TestAttempt_PreviousWorkerResumes(t *testing.T) {
	events := whole(t)
	r := newFixture(t, fast())
	r.ask(t, "r1", twoTools)
	old := r.dies(t, "r1", events[:3])
	var woken atomic.Bool
	r.now = func() time.Time { // turn asks for the time behind its claim, and before its first record
		if woken.CompareAndSwap(false, true) {
			if _, err := old.Append(context.Background(), events[3:6]); err != nil {
				t.Errorf("the old worker could not write: %v", err)
			}
		}
		return r.clock.Now()
	}
	r.turn(t, "r1")
	log := r.events(t)
	if !woken.Load() || !slices.EqualFunc(log[:6], events[:6], same) || log[len(log)-1].Type != agui.RunFinished {
		t.Errorf("the log has %s", types(log))
	}
	names := func(e agui.Event) bool { return e.Name != "carrel.attempt" }
	if n := len(slices.DeleteFunc(slices.Clone(log), names)); n != 1 || strings.Count(said(log), "one") != 2 {
		t.Errorf("%d attempts, said %q", n, said(log))
	}
	if _, err := old.Append(context.Background(), events[6:7]); err == nil {
		t.Error("the old worker wrote again")
	}
}

func same(a, b agui.Event) bool {
	first, err1 := json.Marshal(a)
	second, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(first) == string(second)
}

// A worker dies at each record of a run with two calls in one answer. A log that ends between the calls has a whole
// first call and an answer that is not whole: neither call was made, and none is reported as made. Nothing takes effect
// twice.
func TestAttempt_TwoCallsInOneAnswer(t *testing.T) {
	const script = "/call notes_save {\"text\":\"kept\"}\n/call calculator {\"expression\":\"6*7\"}\n/say end"
	first := newFixture(t, fast())
	first.ask(t, "r1", script)
	first.turn(t, "r1")
	events := first.events(t)
	for n := 1; n < len(events); n++ {
		if together(events[n-1]) && events[n].Type != agui.ToolCallStart {
			continue
		}
		r := newFixture(t, fast())
		r.ask(t, "r1", script)
		r.dies(t, "r1", events[:n])
		r.turn(t, "r1")
		log := r.events(t)
		whole := slices.ContainsFunc(events[:n], func(e agui.Event) bool { return e.Name == agui.CustomAnswer })
		got := results(log)
		saved := got["notes_save"]
		if last := log[len(log)-1]; last.Type != agui.RunFinished || len(saved) == 0 ||
			r.notes(t) != map[bool]int{false: 1, true: 0}[whole] {
			t.Errorf("died behind %d events: ended with %s, %d notes, the tool said %q", n, last.Type, r.notes(t),
				saved)
		}
		for _, said := range saved[:len(saved)-1] {
			if !strings.Contains(said, "was not carried out") {
				t.Errorf("died behind %d events: the first result is %q", n, said)
			}
		}
		if !slices.Contains(got["calculator"], "42") {
			t.Errorf("died behind %d events: the calculator said %q", n, got["calculator"])
		}
	}
}

// The time limit and the usage of a run apply to all its attempts together.
func TestAttempt_RemainingLimits(t *testing.T) {
	events := whole(t)
	r := newFixture(t, fast())
	r.ask(t, "r1", twoTools)
	r.dies(t, "r1", events[:5])
	r.clock.Advance(r.limits.RunTime)
	r.turn(t, "r1")
	log := r.events(t)
	if last := log[len(log)-1]; last.Code != engine.CodeTimeLimit {
		t.Errorf("out of time, the run ended with %+v", last)
	}
	for limit, c := range map[string]struct {
		set  func(*chat.Limits)
		code string
	}{
		"model calls": {func(l *chat.Limits) { l.ModelCalls = 3 }, engine.CodeModelCalls},
		"tool calls":  {func(l *chat.Limits) { l.ToolCalls = 2 }, engine.CodeToolCalls},
		"events":      {func(l *chat.Limits) { l.Events = len(events) + 2 }, engine.CodeEvents},
	} {
		r := newFixture(t, fast())
		c.set(&r.limits)
		r.ask(t, "r1", twoTools)
		r.dies(t, "r1", events[:6]) // in the arguments of the first call, which is made again
		r.turn(t, "r1")
		log := r.events(t)
		last := log[len(log)-1]
		if last.Code != c.code {
			t.Errorf("with a limit of %s over both attempts the run ended with %+v", limit, last)
		}
		run, err := r.store.Run(t.Context(), "r1")
		if err != nil || run.Attempts != 2 || run.Stats.ModelCalls < 2 ||
			!strings.Contains(string(last.Metadata), figures(t, run.Stats)) {
			t.Errorf("%s: the run's record says %+v, %v, and its end %s", limit, run.Stats, err, last.Metadata)
		}
	}
}

func figures(t *testing.T, f chat.RunStats) string {
	t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return `{"carrel":{"stats":` + string(b) + `}}`
}
