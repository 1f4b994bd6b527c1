package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"carrel/shared/agui"
	"carrel/shared/client"
	"carrel/shared/visible"
)

// report prints for what the run waits, how far its calls are, and which servers' tools it lacks. A pipe prints the
// servers only, because its output is read later.
func (s *session) report(state client.State) {
	var all []string
	for _, m := range state.Sources {
		why := "cannot be reached"
		if m.State == "late" {
			why = "did not answer in time"
		}
		all = append(all, fmt.Sprintf("(the server %s %s: its tools are missing)", visible.Line(m.Server), why))
	}
	if s.std.terminal && state.Waiting != nil {
		all = append(all, waits(state.Waiting.Why))
	}
	for _, id := range slices.Sorted(maps.Keys(state.Progress)) {
		if s.std.terminal {
			all = append(all, "("+far(state.Progress[id])+")")
		}
	}
	text := strings.Join(all, "\n")
	if text == s.reported {
		return
	}
	old := strings.Split(s.reported, "\n")
	s.reported = text
	for _, line := range all {
		if !slices.Contains(old, line) {
			s.printer.endLine()
			fmt.Fprintln(s.std.err, line)
		}
	}
}

// waits says for what a run waits.
func waits(why string) string {
	switch why {
	case "thinking":
		return "(the model is thinking)"
	case "trying_another_model":
		return "(the model does not answer, another one is asked)"
	}
	return "(the model has too many requests, it is asked again in a moment)"
}

// far says how far a call is.
func far(p agui.Progress) string {
	text := strconv.FormatFloat(p.Done, 'f', -1, 64)
	if p.Total > 0 {
		text = fmt.Sprintf("%.0f %%", 100*min(1, max(0, p.Done/p.Total)))
	}
	return strings.TrimSpace(text + " " + visible.Line(p.Message))
}
