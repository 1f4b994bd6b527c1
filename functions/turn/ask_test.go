package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/store"
	"carrel/shared/tool"
)

// suspended executes a run that saves a note and asks whether all notes may be deleted. It returns the interrupt.
func (r *fixture) suspended(t *testing.T) agui.Interrupt {
	t.Helper()
	r.ask(t, "r1",
		"/call notes_save {\"text\":\"kept\"}\n/call calculator {\"expression\":\"1+1\"}\n/call notes_clear\n/say done")
	r.turn(t, "r1")
	log := r.events(t)
	last := log[len(log)-1]
	if last.Outcome == nil || last.Outcome.Type != agui.OutcomeInterrupt || len(last.Outcome.Interrupts) != 1 {
		t.Fatalf("the run ended with %+v\n%s", last, r.log)
	}
	if got := results(log); len(got["notes_save"]) != 1 || len(got["calculator"]) != 1 || len(got["notes_clear"]) != 0 {
		t.Errorf("the other calls have the results %q", got)
	}
	th, err := r.store.Thread(t.Context(), "t")
	if err != nil || len(th.Interrupts) != 1 || th.Interrupts[0].ID != last.Outcome.Interrupts[0].ID ||
		r.status(t, "r1") != chat.RunSuspended {
		t.Errorf("the thread asks %+v, %v; the run is %s", th.Interrupts, err, r.status(t, "r1"))
	}
	return th.Interrupts[0]
}

func answer(i agui.Interrupt, status agui.ResumeStatus, payload string) store.Response {
	return store.Response{Resume: agui.Resume{InterruptID: i.ID, Status: status, Payload: json.RawMessage(payload)}}
}

func TestInterrupt_ApprovalBeforeCall(t *testing.T) {
	for name, c := range map[string]struct {
		status  agui.ResumeStatus
		payload string
		says    string
		left    int
	}{
		"agreed":            {agui.ResumeResolved, "", "Deleted all 1 notes.", 0},
		"agreed in so many": {agui.ResumeResolved, `{"approved":true}`, "Deleted all 1 notes.", 0},
		"refused": {agui.ResumeCancelled, "", "The person was asked and refused. The tool was not called.",
			1},
		"not understood": {agui.ResumeResolved, `{"accepted":true}`,
			"The person was asked, and the answer was not understood. The tool was not called.", 1},
		"refused in so many": {agui.ResumeResolved, `{"approved":false}`,
			"The person was asked and refused. The tool was not called.", 1},
	} {
		t.Run(name, func(t *testing.T) {
			var asked string
			r := newFixture(t, peek{fast(), func(m []agui.Message) { asked = sketch(m) }})
			q := r.suspended(t)
			if q.Reason != agui.ReasonToolCall || !strings.Contains(q.Message, "Delete all") ||
				!strings.Contains(string(q.Metadata), `"tool":"notes_clear","arguments":"{}"`) ||
				engine.InterruptAgent(q) != "assistant" {
				t.Errorf("the question is %+v %s", q, q.Metadata)
			}
			r.ask(t, "r2", "", answer(q, c.status, c.payload))
			r.turn(t, "r2")
			log := r.events(t)
			if got := results(log)["notes_clear"]; len(got) != 1 || got[0] != c.says || r.notes(t) != c.left {
				t.Errorf("the tool said %q, %d notes are left", got, r.notes(t))
			}
			if !strings.HasSuffix(said(log), "done") || r.status(t, "r2") != chat.RunFinished {
				t.Errorf("said %q; the run is %s", said(log), r.status(t, "r2"))
			}
			if want := "user assistant:+3 tool:Saved as note 1. tool:2 tool:" + c.says; asked != want {
				t.Errorf("the model received\n%s\nwant\n%s", asked, want)
			}
			for _, e := range log {
				if e.Type == agui.RunStarted && e.RunID == "r2" &&
					(len(e.Input.Resume) != 1 || e.Input.Resume[0].InterruptID != q.ID) {
					t.Errorf("the run began with %+v", e.Input)
				}
			}
		})
	}
}

// The tool is called with the arguments that the person edited. The log keeps the model's arguments, the result names
// the edit, and the audit record marks the call as edited.
func TestInterrupt_EditedArguments(t *testing.T) {
	r := newFixture(t, fast())
	r.ask(t, "r1",
		"/call notes_save {\"text\":\"one\"}\n/call notes_save {\"text\":\"two\"}\n/call notes_delete "+
			"{\"number\":1}\n/say done")
	r.turn(t, "r1")
	th, err := r.store.Thread(t.Context(), "t")
	if err != nil || len(th.Interrupts) != 1 {
		t.Fatalf("the thread asks %+v, %v", th.Interrupts, err)
	}
	r.log.Reset()
	r.ask(t, "r2", "", answer(th.Interrupts[0], agui.ResumeResolved, `{"approved":true,"arguments":{"number":2}}`))
	r.turn(t, "r2")
	got := results(r.events(t))["notes_delete"]
	if len(got) != 1 || got[0] != "A person changed the arguments to {\"number\":2}\nDeleted note 2." ||
		r.notes(t) != 1 {
		t.Errorf("the tool said %q, %d notes are left", got, r.notes(t))
	}
	args := ""
	for _, e := range r.events(t) {
		if e.Type == agui.ToolCallArgs && e.ToolCallID == th.Interrupts[0].ToolCallID {
			args += e.Delta
		}
	}
	if args != `{"number":1}` || !strings.Contains(r.log.String(), `"edited":true`) ||
		strings.Contains(r.log.String(), "number") {
		t.Errorf("the log of the thread has the arguments %s; that of turn is\n%s", args, r.log)
	}
}

// A worker that died may have made an approved call. The call is not made again.
func TestResponse_AppliedOnce(t *testing.T) {
	r := newFixture(t, fast())
	q := r.suspended(t)
	r.ask(t, "r2", "", answer(q, agui.ResumeResolved, ""))
	started := agui.Event{Type: agui.RunStarted, ThreadID: "t", RunID: "r2",
		Input: &agui.RunInput{ThreadID: "t", RunID: "r2"}}
	r.dies(t, "r2", []agui.Event{started})
	r.turn(t, "r2")
	log := r.events(t)
	if got := results(log)["notes_clear"]; len(got) != 1 || !strings.Contains(got[0], "not known") || r.notes(t) != 1 {
		t.Errorf("the tool said %q, %d notes are left", got, r.notes(t))
	}

	r = newFixture(t, fast())
	q = r.suspended(t)
	r.ask(t, "r2", "", answer(q, agui.ResumeResolved, ""))
	deleted := "Deleted all 1 notes."
	r.dies(t, "r2", []agui.Event{started, {Type: agui.ToolCallResult, MessageID: "m", ToolCallID: q.ToolCallID,
		Role: agui.RoleTool, Content: &deleted}})
	r.turn(t, "r2")
	if got := results(r.events(t))["notes_clear"]; len(got) != 1 || r.notes(t) != 1 ||
		r.status(t, "r2") != chat.RunFinished {
		t.Errorf("with the result in the log the tool said %q, %d notes are left", got, r.notes(t))
	}
}

// A worker dies while one call runs and another call needs approval. The next worker still raises the interrupt.
func TestInterrupt_WorkerDies(t *testing.T) {
	r := newFixture(t, fast())
	r.suspended(t)
	events := r.events(t)
	at := 0
	for i, e := range events {
		if e.Name == agui.CustomAnswer {
			at = i + 1
		}
	}
	r = newFixture(t, fast())
	r.ask(t, "r1",
		"/call notes_save {\"text\":\"kept\"}\n/call calculator {\"expression\":\"1+1\"}\n/call notes_clear\n/say done")
	r.dies(t, "r1", events[:at])
	r.turn(t, "r1")
	log := r.events(t)
	got := results(log)
	if last := log[len(log)-1]; last.Outcome == nil || last.Outcome.Type != agui.OutcomeInterrupt ||
		r.status(t, "r1") != chat.RunSuspended {
		t.Errorf("the run ended with %+v", last)
	}
	if len(got["notes_clear"]) != 0 || got["calculator"][0] != "2" ||
		!strings.Contains(got["notes_save"][0], "not known") || r.notes(t) != 0 {
		t.Errorf("the tools said %q", got)
	}
}

// The interrupt expires without a response. The next message continues the thread without the call.
func TestInterrupt_Expired(t *testing.T) {
	var asked string
	r := newFixture(t, peek{fast(), func(m []agui.Message) { asked = sketch(m) }})
	r.suspended(t)
	r.clock.Advance(25 * time.Hour)
	r.ask(t, "r2", "/say next")
	r.turn(t, "r2")
	if want := "user assistant:+2 tool:Saved as note 1. tool:2 user"; asked != want ||
		r.status(t, "r2") != chat.RunFinished {
		t.Errorf("the model received\n%s\nwant\n%s\nthe run is %s", asked, want, r.status(t, "r2"))
	}
}

// The run that a response starts has the result of the interrupted call, and the log has its audit record, even if that
// run ends before its work begins.
func TestResponse_CallHasResultInEveryCase(t *testing.T) {
	t.Attr("row", "D3: an interrupted call gets a complete set of events, however its resumed run ends")
	paired, records := 0, 0
	for name, c := range map[string]struct {
		before func(*fixture)
		ends   chat.RunStatus
	}{
		"its worker died, and it was cancelled": {func(r *fixture) {
			r.dies(t, "r2", nil)
			if _, err := r.store.Cancel(t.Context(), "r2"); err != nil {
				t.Fatal(err)
			}
		}, chat.RunCancelled},
		"it has reached its time limit": {func(r *fixture) {
			r.dies(t, "r2", nil)
			r.clock.Advance(r.limits.RunTime)
		}, chat.RunFailed},
		"its agent does not exist": {func(r *fixture) {
			r.agents = agentsOf(t, named("other", fast()))
		}, chat.RunFailed},
	} {
		t.Run(name, func(t *testing.T) {
			r := newFixture(t, fast())
			q := r.suspended(t)
			_, err := r.store.Admit(t.Context(), store.Admission{Run: "r2", Thread: "t", Agent: "assistant",
				Grants:    []string{"notes"},
				Responses: []store.Response{answer(q, agui.ResumeResolved, "")}})
			if err != nil {
				t.Fatal(err)
			}
			c.before(r)
			r.log.Reset()
			r.turn(t, "r2")
			got := results(r.events(t))["notes_clear"]
			if len(got) != 1 || r.notes(t) != 1 || r.status(t, "r2") != c.ends {
				t.Errorf("the call has the results %q, %d notes are left, the run is %s", got, r.notes(t),
					r.status(t, "r2"))
			}
			lines := r.decisions(t)
			if len(lines) != 1 || lines[0].Call != q.ToolCallID || lines[0].Tool != "notes_clear" ||
				lines[0].Outcome != tool.NotCalled {
				t.Errorf("recorded %+v", lines)
			}
			paired, records = paired+len(got), records+len(lines)
		})
	}
	t.Attr("figure", fmt.Sprintf("3 answering runs that ended before their work: %d results, %d records", paired,
		records))
}
