package agui_test

import (
	"slices"
	"strings"
	"testing"

	"carrel/shared/agui"
)

func check(events []agui.Event) error {
	var o agui.Order
	for _, e := range events {
		if err := o.Check(e); err != nil {
			return err
		}
	}
	return nil
}

// brief formats events as TYPE:id, for tables.
func brief(words string) []agui.Event {
	var events []agui.Event
	for word := range strings.FieldsSeq(words) {
		name, id, _ := strings.Cut(word, ":")
		e := agui.Event{Type: agui.EventType(name), MessageID: id, ToolCallID: id, StepName: id}
		if call, ok := strings.CutPrefix(id, "asks:"); ok {
			e.Outcome = &agui.Outcome{Type: agui.OutcomeInterrupt, Interrupts: []agui.Interrupt{{ID: "i", ToolCallID: call}}}
		}
		events = append(events, e)
	}
	return events
}

func TestOrder(t *testing.T) {
	for _, c := range []struct{ name, events, refused string }{
		{"two runs", "RUN_STARTED RUN_FINISHED RUN_STARTED RUN_ERROR RUN_STARTED", ""},
		{"an error alone", "RUN_ERROR RUN_STARTED", ""},
		{"a late error", "RUN_STARTED RUN_FINISHED RUN_ERROR RUN_STARTED", ""},
		{"an error with things open", "RUN_STARTED TEXT_MESSAGE_START:a RUN_ERROR RUN_STARTED TEXT_MESSAGE_START:a", ""},
		{"one id of each kind", "RUN_STARTED TEXT_MESSAGE_START:a TOOL_CALL_START:a REASONING_START:a " +
			"REASONING_MESSAGE_START:a STEP_STARTED:a STEP_FINISHED:a REASONING_END:a REASONING_MESSAGE_END:a " +
			"TOOL_CALL_ARGS:a TOOL_CALL_END:a TOOL_CALL_RESULT:a TEXT_MESSAGE_CONTENT:a TEXT_MESSAGE_END:a RUN_FINISHED", ""},
		{"opened again", "RUN_STARTED TEXT_MESSAGE_START:a TEXT_MESSAGE_END:a TEXT_MESSAGE_START:a", ""},
		{"a result and a custom event at any time", "RUN_STARTED TOOL_CALL_RESULT:x CUSTOM RUN_FINISHED", ""},

		{"a second attempt", "RUN_STARTED TEXT_MESSAGE_START:a TEXT_MESSAGE_END:a TOOL_CALL_START:c TOOL_CALL_END:c CUSTOM " +
			"TOOL_CALL_RESULT:c TEXT_MESSAGE_START:b TEXT_MESSAGE_END:b RUN_FINISHED", ""},
		{"a run that a person's answer continues", "RUN_STARTED TOOL_CALL_START:a TOOL_CALL_END:a RUN_FINISHED:asks:a " +
			"RUN_STARTED TOOL_CALL_RESULT:a RUN_FINISHED", ""},
		{"a call of a failed run", "RUN_STARTED TOOL_CALL_START:a RUN_ERROR RUN_STARTED RUN_FINISHED", ""},

		{"no result", "RUN_STARTED TOOL_CALL_START:a TOOL_CALL_END:a RUN_FINISHED", `tool call "a" has no result`},
		{"a question about another call", "RUN_STARTED TOOL_CALL_START:a TOOL_CALL_END:a RUN_FINISHED:asks:b", `tool call "a" has no result`},
		{"two results", "RUN_STARTED TOOL_CALL_START:a TOOL_CALL_END:a TOOL_CALL_RESULT:a TOOL_CALL_RESULT:a", `tool call "a" has a result`},
		{"two answers", "RUN_STARTED TOOL_CALL_START:a TOOL_CALL_END:a RUN_FINISHED:asks:a RUN_STARTED TOOL_CALL_RESULT:a " +
			"RUN_FINISHED RUN_STARTED TOOL_CALL_RESULT:a", `tool call "a" has a result`},
		{"a result too late", "RUN_STARTED TOOL_CALL_START:a RUN_ERROR RUN_STARTED TOOL_CALL_RESULT:a", `tool call "a" has a result`},
		{"a result too early", "RUN_STARTED TOOL_CALL_START:a TOOL_CALL_RESULT:a", `tool call "a" has not ended`},
		{"no start", "TEXT_MESSAGE_START:a", "begins with RUN_STARTED"},
		{"finished first", "RUN_FINISHED", "begins with RUN_STARTED"},
		{"started twice", "RUN_STARTED RUN_STARTED", "has not ended"},
		{"after the end", "RUN_STARTED RUN_FINISHED CUSTOM", "ended with RUN_FINISHED"},
		{"finished twice", "RUN_STARTED RUN_FINISHED RUN_FINISHED", "ended with RUN_FINISHED"},
		{"after an error", "RUN_STARTED RUN_ERROR RUN_ERROR", "ended with RUN_ERROR"},
		{"content without start", "RUN_STARTED TEXT_MESSAGE_CONTENT:a", `text message "a" is not open`},
		{"end without start", "RUN_STARTED TEXT_MESSAGE_END:a", `text message "a" is not open`},
		{"second start", "RUN_STARTED TEXT_MESSAGE_START:a TEXT_MESSAGE_START:a", "already open"},
		{"arguments without call", "RUN_STARTED TOOL_CALL_START:a TOOL_CALL_ARGS:b", `tool call "b" is not open`},
		{"arguments after the end", "RUN_STARTED TOOL_CALL_START:a TOOL_CALL_END:a TOOL_CALL_ARGS:a", "is not open"},
		{"a second call", "RUN_STARTED TOOL_CALL_START:a TOOL_CALL_START:a", "already open"},
		{"thinking in a span that is not a message", "RUN_STARTED REASONING_START:a REASONING_MESSAGE_CONTENT:a", "is not open"},
		{"span ended twice", "RUN_STARTED REASONING_START:a REASONING_END:a REASONING_END:a", "is not open"},
		{"step not started", "RUN_STARTED STEP_FINISHED:s", `step "s" is not open`},
		{"step twice", "RUN_STARTED STEP_STARTED:s STEP_STARTED:s", "already open"},
		{"open text", "RUN_STARTED TEXT_MESSAGE_START:a RUN_FINISHED", `still open: text message "a"`},
		{"open call", "RUN_STARTED TOOL_CALL_START:a RUN_FINISHED", `still open: tool call "a"`},
		{"open span", "RUN_STARTED REASONING_START:a RUN_FINISHED", `still open: reasoning span "a"`},
		{"open thought", "RUN_STARTED REASONING_MESSAGE_START:a RUN_FINISHED", `still open: reasoning message "a"`},
		{"open step", "RUN_STARTED STEP_STARTED:a RUN_FINISHED", `still open: step "a"`},
	} {
		err := check(brief(c.events))
		if c.refused == "" && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: want an error with %q, have %v", c.name, c.refused, err)
		}
	}
	if err := check(aRun()); err != nil {
		t.Errorf("a whole run: %v", err)
	}
}

func TestOrder_RefusedEvent(t *testing.T) {
	var o agui.Order
	for _, e := range brief("RUN_STARTED TEXT_MESSAGE_START:a") {
		if err := o.Check(e); err != nil {
			t.Fatal(err)
		}
	}
	if o.Check(agui.Event{Type: agui.RunFinished}) == nil {
		t.Fatal("finished with an open message")
	}
	for _, e := range brief("TEXT_MESSAGE_END:a RUN_FINISHED") {
		if err := o.Check(e); err != nil {
			t.Errorf("after a refused event: %v", err)
		}
	}
}

// A run dies after each of its events in turn. After Close it must be in order, each call must have exactly one result,
// and each message that was cut must have a mark.
func TestClose_RunThatDiedAnywhere(t *testing.T) {
	whole := aRun()
	for n := 1; n < len(whole); n++ {
		dead := whole[:n]
		closed := append(append([]agui.Event{}, dead...), agui.Close(dead)...)
		if n >= 2 && n <= 26 && closed[len(closed)-1].Type != agui.StepFinished {
			t.Errorf("died after %d events: the step does not end last", n)
		}
		finished := append(closed, agui.Event{Type: agui.RunFinished})
		if err := check(finished); err != nil {
			t.Errorf("died after %d events: %v", n, err)
		}
		results := map[string]int{}
		incomplete := 0
		for _, m := range fold(closed...) {
			if agui.MarksOf(m.Metadata).Again {
				t.Errorf("died after %d events: %s is said to be given again, and the run is over", n, m.ID)
			}
			if m.Role == agui.RoleTool {
				results[m.ToolCallID]++
			}
			if strings.Contains(string(m.Metadata), `"incomplete":true`) {
				incomplete++
			}
		}
		for _, m := range fold(closed...) {
			for _, c := range m.ToolCalls {
				if results[c.ID] != 1 {
					t.Errorf("died after %d events: call %s has %d results", n, c.ID, results[c.ID])
				}
			}
		}
		want := 0
		switch {
		case n == 17, n == 18: // both calls have begun, and the answer has no mark
			want = 2
		case n >= 4 && n <= 6, n >= 9 && n <= 11, n >= 13 && n <= 16, n == 23, n == 24: // in a message or a call
			want = 1
		}
		if incomplete != want {
			t.Errorf("died after %d events: %d messages are marked incomplete, want %d", n, incomplete, want)
		}
	}
	if extra := agui.Close(whole); len(extra) != 0 {
		t.Errorf("a run that has ended is closed by %v", extra)
	}
}

// A worker dies after each of a run's events in turn. The next attempt's first record must close everything except the
// calls that may have been made, and must name exactly these.
func TestCloseAttempt_PendingCalls(t *testing.T) {
	whole := aRun()
	for n := 1; n < len(whole); n++ {
		dead := whole[:n]
		closing, pending := agui.CloseAttempt(dead)
		first := append(append(append([]agui.Event{}, dead...), closing...), agui.Event{Type: agui.Custom, Name: "carrel.attempt"})
		if again, p := agui.CloseAttempt(first); len(again) != 0 || !slices.Equal(p, pending) {
			t.Errorf("died after %d events: closed, %v is open and %v pending", n, again, p)
		}
		for _, id := range pending {
			first = append(first, agui.Event{Type: agui.ToolCallResult, MessageID: id + "x", ToolCallID: id})
		}
		if err := check(append(first, agui.Event{Type: agui.RunFinished})); err != nil {
			t.Errorf("died after %d events: %v", n, err)
		}
		want := map[int][]string{19: {"c1", "c2"}, 20: {"c2"}}[n]
		if !slices.Equal(pending, want) {
			t.Errorf("died after %d events: %q may have been under way, want %q", n, pending, want)
		}
		said := 0
		for _, e := range closing {
			if marks := agui.MarksOf(e.Metadata); marks.Incomplete != marks.Again {
				t.Errorf("died after %d events: %s does not say that it is given again", n, e.Type)
			}
			if e.Type == agui.ToolCallResult {
				said++
				if !strings.Contains(*e.Content, "was not carried out") || !strings.Contains(string(e.Metadata), `"incomplete":true`) {
					t.Errorf("died after %d events: a call's result is %q %s", n, *e.Content, e.Metadata)
				}
			}
		}
		if want := map[int]int{13: 1, 14: 1, 15: 1, 16: 1, 17: 2, 18: 2}[n]; said != want {
			t.Errorf("died after %d events: %d calls are said not to have been made, want %d", n, said, want)
		}
	}
}

func TestOpen_CallsOfOtherRuns(t *testing.T) {
	var o agui.Open
	o.AddCall(agui.LineCall{ID: "earlier"})
	o.AddCall(agui.LineCall{ID: "another"})
	o.Add(agui.Event{Type: agui.ToolCallStart, ToolCallID: "asked"})
	o.Add(agui.Event{Type: agui.ToolCallEnd, ToolCallID: "asked"})
	o.Add(agui.Event{Type: agui.ToolCallResult, ToolCallID: "another"})
	o.Suspend([]agui.Interrupt{{ToolCallID: "asked"}})
	if got := o.Close("none", agui.Marks{}); len(got) != 1 || got[0].ToolCallID != "earlier" {
		t.Errorf("closed with %+v", got)
	}
}
