package agui

import (
	"cmp"
	"encoding/json"

	"carrel/shared/chat"
)

// RunStats returns a lower bound of a run's usage, derived from its events. A model call counts if it gave text or a
// tool call, or its answer has a mark. Joined deltas count as one event.
func RunStats(events []Event) chat.RunStats {
	var f chat.RunStats
	answers, first := map[string]bool{}, map[string]string{}
	empty := 0
	count := func(id string, e Event) {
		if continues := MarksOf(e.Metadata).Continues; continues != "" {
			first[id] = continues
		}
		answers[cmp.Or(first[id], id)] = true
	}
	for _, e := range events {
		f.Events++
		f.OutputBytes += OutputBytes(e)
		switch e.Type {
		case TextMessageStart:
			count(e.MessageID, e)
		case ToolCallStart:
			count(e.ParentMessageID, e)
			f.ToolCalls++
		case Custom:
			if a, ok := AnswerOf(e); ok && a.Message == "" {
				empty++
			}
		}
	}
	f.ModelCalls = len(answers) + empty
	return f
}

// OutputBytes returns how many bytes e adds to the run's output: those of its delta or of a tool's result.
func OutputBytes(e Event) int64 {
	if e.Content != nil {
		return int64(len(*e.Content))
	}
	return int64(len(e.Delta))
}

// WithStats returns a copy of a terminal event with the run's usage in metadata.carrel.stats.
func WithStats(e Event, f chat.RunStats) Event {
	var m struct {
		Carrel struct {
			Stats chat.RunStats `json:"stats"`
		} `json:"carrel"`
	}
	m.Carrel.Stats = f
	if b, err := json.Marshal(m); err == nil { // cannot fail: only numbers
		e.Metadata = b
	}
	return e
}
