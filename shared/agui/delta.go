package agui

// Deferrable reports whether e may wait for the emitter's flush interval: the deltas of text, reasoning and arguments.
// Everything else is flushed at once.
func Deferrable(e Event) bool {
	return e.Type == TextMessageContent || e.Type == ReasoningMessageContent || e.Type == ToolCallArgs
}

// Join joins two adjacent deltas of one type and id to one event that builds the same, with the first's timestamp.
// It reports false, and returns a, for events that do not join. Neither event is changed.
func Join(a, b Event) (Event, bool) {
	same := a.Type == b.Type && a.MessageID == b.MessageID && a.ToolCallID == b.ToolCallID
	if !Deferrable(a) || !same || len(a.Metadata) > 0 || len(b.Metadata) > 0 {
		return a, false
	}
	joined := a
	joined.Delta = a.Delta + b.Delta
	return joined, true
}
