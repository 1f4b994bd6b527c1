package emit

import (
	"strings"
	"testing"

	"carrel/shared/agui"
)

// The deltas of lines that alternate join, as the deltas of one line do, and no delta passes an event of its own line.
func TestPending_Lines(t *testing.T) {
	var w pending
	delta := func(line, message string) {
		e := agui.Event{Type: agui.TextMessageContent, SubagentRunID: line, MessageID: message, Delta: "x"}
		w.add(sized{event: e, size: 100})
	}
	for range 10 {
		delta("", "a")
		delta("c1", "b")
		delta("c2", "c")
	}
	w.add(sized{event: agui.Event{Type: agui.ToolCallStart, SubagentRunID: "c1", ToolCallID: "t"}})
	delta("", "a")
	delta("c2", "d")
	delta("c2", "c")
	var got []string
	for _, e := range w.events {
		got = append(got, e.MessageID+e.ToolCallID+strings.Repeat(".", len(e.Delta)))
	}
	want := "a.......... b.......... c.......... t a. d. c."
	if strings.Join(got, " ") != want {
		t.Errorf("pending are %q, want %s", got, want)
	}
}
