package engine

import (
	"maps"

	"carrel/shared/agui"
)

// Bounds in bytes of the data that providers want back. Longer data is dropped.
const (
	maxKeep    = 128 << 10 // of one answer
	maxAllKeep = 512 << 10 // of one run
)

// keptIn returns the data that providers want back, by the id of the answer's message. Only answers with a mark count.
func keptIn(log []agui.Event) map[string]string {
	kept, unmarked := map[string]string{}, map[string]string{}
	for _, e := range log {
		if e.Type == agui.ReasoningEncryptedValue && e.EncryptedValue != nil {
			unmarked[e.EntityID] = *e.EncryptedValue
		}
		if _, ok := agui.AnswerOf(e); ok {
			maps.Copy(kept, unmarked)
			clear(unmarked)
		}
	}
	return kept
}

// addKeep adds the event with an answer's data to the events that end the answer, unless the data is too long.
func (r *run) addKeep(id, value string, events []agui.Event) []agui.Event {
	all := len(value)
	for _, v := range r.keep {
		all += len(v)
	}
	if len(value) > maxKeep || all > maxAllKeep {
		return events
	}
	r.keep[id] = value
	return append(events, agui.Event{
		Type: agui.ReasoningEncryptedValue, Subtype: "message", EntityID: id, EncryptedValue: &value,
	})
}
