package agui

// Deferrable reports whether e is a delta of text, reasoning or arguments, or the progress of a call. The emitter may
// hold such an event until its next flush. It flushes every other event at once.
func Deferrable(e Event) bool {
	return e.Type == TextMessageContent || e.Type == ReasoningMessageContent || e.Type == ToolCallArgs || isProgress(e)
}

// Join joins two adjacent deltas of the same type and id into one event that builds the same messages, with the
// timestamp of a. Of two values of one call's progress it returns the newer. For other events it returns a and false.
// It changes neither event.
func Join(a, b Event) (Event, bool) {
	same := a.Type == b.Type && a.MessageID == b.MessageID && a.ToolCallID == b.ToolCallID
	if !Deferrable(a) || !same || len(a.Metadata) > 0 || len(b.Metadata) > 0 {
		return a, false
	}
	if isProgress(a) {
		if !isProgress(b) || progressCall(a) != progressCall(b) {
			return a, false
		}
		return b, true
	}
	joined := a
	joined.Delta = a.Delta + b.Delta
	return joined, true
}

// progressCall returns the id of the call that a progress event is about.
func progressCall(e Event) string {
	p, _ := ProgressOf(e)
	return p.Call
}
