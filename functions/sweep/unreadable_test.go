package main

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// A run whose input or log has become unreadable would block its thread for ever. Sweep ends it, once, and the next
// queued run starts.
func TestSweep_UnreadableRun(t *testing.T) {
	for what, c := range map[string]struct{ prefix, attribute string }{
		"its input": {"RUN#r1", "in"}, "its log": {"E#", "e"},
	} {
		t.Run(what, func(t *testing.T) {
			r, corrupt := corruptibleFixture(t)
			alice := r.person("alice")
			alice.admit("r1")
			alice.admit("r2")
			alice.dies("r1")
			corrupt(alice.user, c.prefix, c.attribute)
			r.advance(61 * time.Second)
			r.sweep(schedule)
			if alice.status("r1") != chat.RunFailed || alice.status("r2") != chat.RunAdmitted {
				t.Fatalf("the runs are %s and %s", alice.status("r1"), alice.status("r2"))
			}
			var last *wire.Events
			for _, f := range r.edge.Frames(alice.window) {
				if e, ok := f.(*wire.Events); ok {
					last = e
				}
			}
			if end := last.Events[len(last.Events)-1]; last.Seq != 4 || end.Type != agui.RunError ||
				end.Code != engine.CodeInternal || end.Message == "" {
				t.Errorf("the connection got %+v", last)
			}
			for _, e := range last.Events {
				if e.Type == agui.RunStarted {
					t.Error("the run has two RUN_STARTED events")
				}
			}
			r.sweep(schedule)
			if again := r.edge.Frames(alice.window); len(again) > 0 {
				t.Errorf("the next sweep broadcast the end again: %+v", again)
			}
		})
	}
}

// A run that sweep ends has its usage recorded. A run without records that answers an interrupt gets a RUN_STARTED
// event with the response, and a result for the interrupted tool call.
func TestSweep_EndedRunIsComplete(t *testing.T) {
	r := newFixture(t)
	r.limits.Attempts = 1
	alice := r.person("alice")
	alice.admit("r1")
	alice.dies("r1")
	r.advance(61 * time.Second)
	r.sweep(schedule)
	run, err := alice.store.Run(t.Context(), "r1")
	if want := (chat.RunStats{ModelCalls: 1, ToolCalls: 1, Events: 3}); err != nil || run.Stats != want {
		t.Errorf("the run has used %+v, %v; want %+v", run.Stats, err, want)
	}
	alice.ended("r1", chat.ThreadIdle)

	bob := r.person("bob")
	bob.admit("r1")
	h, err := bob.store.Claim(t.Context(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	interrupt := agui.Event{Type: agui.RunFinished, Outcome: &agui.Outcome{Type: agui.OutcomeInterrupt,
		Interrupts: []agui.Interrupt{{ID: "q", ToolCallID: "c", Reason: agui.ReasonInputRequired}}}}
	if _, err := h.End(t.Context(), []agui.Event{{Type: agui.RunStarted, ThreadID: "t", RunID: "r1"},
		interrupt}); err != nil {
		t.Fatal(err)
	}
	response := agui.Resume{InterruptID: "q", Status: agui.ResumeResolved, Payload: json.RawMessage(`"blue"`)}
	if _, err := bob.store.Admit(t.Context(), store.Admission{Run: "r2", Thread: "t",
		Responses: []store.Response{{Resume: response}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.store.Claim(t.Context(), "r2"); err != nil {
		t.Fatal(err)
	}
	r.advance(61 * time.Second)
	r.sweep(schedule)
	var last, started []agui.Event
	for _, f := range r.edge.Frames(bob.window) {
		if e, ok := f.(*wire.Events); ok {
			last = slices.Clone(e.Events)
			started = slices.DeleteFunc(e.Events, func(e agui.Event) bool { return e.Type != agui.RunStarted })
		}
	}
	if len(started) != 1 || len(started[0].Input.Resume) != 1 ||
		string(started[0].Input.Resume[0].Payload) != `"blue"` {
		t.Errorf("the started events are %+v, want one with the response", started)
	}
	if len(last) != 3 || last[1].Type != agui.ToolCallResult || last[1].ToolCallID != "c" || !last[2].Terminal() {
		t.Errorf("the interrupted call has no result: %+v", last)
	}
}
