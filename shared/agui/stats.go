package agui

import (
	"cmp"
	"encoding/json"

	"carrel/shared/chat"
)

// RunStats returns what a run has used at least, as its events show it: of model calls those that said something or called a
// tool. Deltas that were joined are one event.
func RunStats(events []Event) chat.RunStats {
	var f chat.RunStats
	answers, first := map[string]bool{}, map[string]string{}
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
		}
	}
	f.ModelCalls = len(answers)
	return f
}

// OutputBytes is how much of a run's output e is: its delta, or a tool's result.
func OutputBytes(e Event) int64 {
	if e.Content != nil {
		return int64(len(*e.Content))
	}
	return int64(len(e.Delta))
}

// WithStats is a terminal event that tells what its run has used, as metadata.carrel.stats.
func WithStats(e Event, f chat.RunStats) Event {
	var m struct {
		Carrel struct {
			Stats chat.RunStats `json:"stats"`
		} `json:"carrel"`
	}
	m.Carrel.Stats = f
	if b, err := json.Marshal(m); err == nil { // numbers: it cannot fail
		e.Metadata = b
	}
	return e
}
