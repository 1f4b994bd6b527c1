package main

import (
	"cmp"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/monitor"
)

// A provider cuts an answer and throttles the next try. The run gives the answer again and succeeds, the log and the
// window have the same events, the person reads each word once, and the operator's figures count the failures.
func TestTurn_ModelFails(t *testing.T) {
	r := newFixture(t, fast())
	r.ask(t, "r1", "/say half of it\n/fail lost 1\n/fail throttled 1 1\n/say whole")
	r.turn(t, "r1")
	log := r.events(t)
	last := log[len(log)-1]
	if last.Type != agui.RunFinished || r.status(t, "r1") != chat.RunFinished {
		t.Errorf("ended with %+v", last)
	}
	if seen, _ := r.seen(t, "window"); types(seen) != types(log) {
		t.Errorf("the window saw %s of %s", types(seen), types(log))
	}
	shown := answered(log)
	if shown[true] != "half of it|half of it|" || shown[false] != "half of itwhole|" {
		t.Errorf("the messages are %v", shown)
	}
	if n := strings.Count(r.log.String(), monitor.ModelFailed); n < 2 {
		t.Errorf("%d failures are counted", n)
	}
}

// answered returns the texts of a run's answers, and those of the tries before them. A mark Again of one message or
// result is a mark of its whole answer.
func answered(events []agui.Event) map[bool]string {
	var f agui.Folder
	for _, e := range events {
		f.Add(e)
	}
	answers, again := map[string]string{}, map[string]bool{} // by the id of their first message
	for _, m := range f.Messages() {
		marks := agui.MarksOf(m.Metadata)
		first := cmp.Or(marks.Continues, m.ID)
		if m.Role == agui.RoleTool {
			first = answers[m.ToolCallID]
		}
		for _, c := range m.ToolCalls {
			answers[c.ID] = first
		}
		again[first] = again[first] || marks.Again
	}
	shown := map[bool]string{}
	for _, m := range f.Messages() {
		if m.Role == agui.RoleAssistant && m.Content != "" {
			shown[again[cmp.Or(agui.MarksOf(m.Metadata).Continues, m.ID)]] += m.Content + "|"
		}
	}
	return shown
}

// A worker dies at each record of a run whose model fails in every way that the run survives. The next worker ends the
// run with the same answer. The person reads no word twice outside an earlier try, and the tool saves at most one note.
func TestTurn_ModelFailsAndWorkerDies(t *testing.T) {
	const script = "/think so\n/say half\n/fail lost 1\n/keep secret\n/call notes_save {\"text\":\"kept\"}\n/say end"
	first := newFixture(t, fast())
	first.ask(t, "r1", script)
	first.turn(t, "r1")
	events := first.events(t)
	for n := 1; n < len(events); n++ {
		if together(events[n-1]) || events[n].Name == agui.CustomAgain || events[n].Name == agui.CustomAnswer {
			continue // in one record
		}
		r := newFixture(t, fast())
		r.ask(t, "r1", script)
		r.dies(t, "r1", events[:n])
		r.turn(t, "r1")
		log := r.events(t)
		if got := answered(log)[false]; got != "half|end|" || log[len(log)-1].Type != agui.RunFinished ||
			r.notes(t) > 1 {
			t.Errorf("died behind %d events: said %s, %d notes, ended with %s", n, got, r.notes(t), types(log))
		}
	}
}
