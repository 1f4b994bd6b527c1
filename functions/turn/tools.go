package main

import (
	"fmt"

	"carrel/shared/agui"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/tool"
	"carrel/shared/tool/notes"
)

// registry is what a run may call at all: the deployment's tools, and those that are made from its user's store.
func (h *handler) registry(s *store.Store) (*tool.Registry, error) {
	own, err := notes.New(s)
	if err != nil {
		return nil, err
	}
	return h.tools.With(own...)
}

// dispatcher is the run's only way to the named tools. It goes on from what earlier attempts called.
func (t *turn) dispatcher(s start, names []string) (*tool.Dispatcher, error) {
	registry, err := t.registry(t.store)
	if err != nil {
		return nil, err
	}
	d, err := tool.NewDispatcher(t.uc, registry, names)
	if err != nil {
		return nil, err
	}
	d.Record = t.decided
	d.Logf = func(format string, args ...any) {
		t.log.WarnContext(t.uc.Context(), "call a tool", "err", fmt.Errorf(format, args...))
	}
	d.CountPrevious(s.events)
	for _, e := range s.first {
		if e.Type == agui.ToolCallResult { // a dead worker's model was cut off while it called
			d.RecordSkipped(tool.Call{ID: e.ToolCallID, Name: nameOf(e.ToolCallID, s.events)}, tool.NotCalled)
		}
	}
	return d, nil
}

func nameOf(call string, events []agui.Event) string {
	for _, e := range events {
		if e.Type == agui.ToolCallStart && e.ToolCallID == call {
			return e.ToolCallName
		}
	}
	return ""
}

// decided is the audit record of one tool call, allowed or not: a line of the log, which has the hash of the user and the
// run, and no content.
func (t *turn) decided(d tool.Decision) {
	t.log.InfoContext(t.uc.Context(), "tool call", "call", d.Call, "tool", d.Tool, "grant", d.Grant, "outcome", string(d.Outcome),
		"ms", d.Took.Milliseconds(), "argumentBytes", d.ArgumentBytes, "edited", d.Edited, "cut", d.Cut)
	if d.Outcome == tool.Denied {
		t.monitor.Count(monitor.ToolCallsDenied, 1)
	}
}
