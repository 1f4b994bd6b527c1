package agui

// Deferrable reports whether e is a delta of text, reasoning or arguments. The emitter may hold a delta until its next
// flush. It flushes every other event at once.
func Deferrable(e Event) bool {
	return e.Type == TextMessageContent || e.Type == ReasoningMessageContent || e.Type == ToolCallArgs
}

// Join joins two adjacent deltas of the same type and id into one event that builds the same messages, with the
// timestamp of a. For other events it returns a and false. It changes neither event.
func Join(a, b Event) (Event, bool) {
	same := a.Type == b.Type && a.MessageID == b.MessageID && a.ToolCallID == b.ToolCallID
	if !Deferrable(a) || !same || len(a.Metadata) > 0 || len(b.Metadata) > 0 {
		return a, false
	}
	joined := a
	joined.Delta = a.Delta + b.Delta
	return joined, true
}
