package agui

import "slices"

// resultOf makes the result event of a call.
func resultOf(call, content string) Event {
	return Event{Type: ToolCallResult, MessageID: call + ".result", ToolCallID: call, Role: RoleTool, Content: &content}
}

// UnknownOutcome is the result of a tool call whose worker died before the answer was written.
const UnknownOutcome = "A failure cut this tool call off before its result was recorded. " +
	"It is not known whether it was carried out."

// notCalled is the result of a call in an answer that was cut off.
const notCalled = "The answer was cut off before this tool call was made. It was not carried out."

// notMade makes the result event of a call that was not made, because its answer was cut off.
func notMade(call string, marks Marks) Event {
	e := resultOf(call, notCalled)
	marks.Outcome = "not_called"
	e.Metadata = marks.Metadata()
	return e
}

// Close returns the events that close what a dead run's events left open. They precede its RUN_ERROR. The results of
// its open calls say that their outcome is unknown. interrupted are calls of an earlier run whose results this run had
// to bring, after a person responded, outermost first. They get such a result too.
func Close(events []Event, interrupted ...LineCall) []Event {
	o := leftOpen(events)
	for _, c := range interrupted {
		if !HasResult(events, c.ID) {
			o.AddCall(c)
		}
	}
	return o.Close(UnknownOutcome, Marks{})
}

// HasResult reports whether the events have the result of a call.
func HasResult(events []Event, call string) bool {
	return slices.ContainsFunc(events, func(e Event) bool { return e.Type == ToolCallResult && e.ToolCallID == call })
}

// CloseAttempt returns the events that close what a dead worker left open of a run that continues, and the ids of the
// calls of the run's own line that the worker may have made. Calls are made only after their whole answer, with its
// mark, is in the log. So if an answer was cut off, none of its calls was made, whatever the other lines were doing:
// they get results that say so, marked Incomplete like the rest of the answer. Lines of sub-agents stay open, because
// the next attempt continues them.
func CloseAttempt(events []Event) (closing []Event, pending []string) {
	o := leftOpen(events)
	var steps []Event
	for _, l := range slices.Backward(o.lines) {
		_, more := l.close(Marks{})
		closing, steps = append(closing, o.CutAnswer(l.id)...), append(steps, more...)
	}
	return append(closing, steps...), o.line("").calls
}

// Unfinished returns the ids of the calls of a line that have no result in the events of its run.
func Unfinished(events []Event, line string) []string {
	o := leftOpen(events)
	return o.line(line).calls
}

// leftOpen returns what the events of a run left open.
func leftOpen(events []Event) (o Open) {
	for _, e := range events {
		o.Add(e)
	}
	return o
}
