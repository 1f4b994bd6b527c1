package agui

import "slices"

// Open tracks the messages, calls and steps that a run has opened and not closed. The code that ends a run emits the
// events of Close first, so that clients accept the end and every tool call has a result. The zero Open is at the start
// of a run. It must not be used concurrently.
type Open struct {
	open  []opened
	calls []string // calls without a result, in order of their start
	// Continues of open messages; their end repeats it, because it replaces the start's metadata
	first map[opened]string
	// the calls of an answer that has no mark yet, and whether there is such an answer
	unmarked  []string
	answering bool
}

// Add takes the run's next event.
func (o *Open) Add(e Event) {
	what := opened{kind: kind(e.Type), id: e.openID()}
	o.answer(e)
	switch e.Type {
	case RunStarted, RunError, RunFinished:
		*o = Open{}
	case TextMessageStart, ReasoningStart, ReasoningMessageStart, StepStarted:
		o.open = append(o.open, what)
		if continues := MarksOf(e.Metadata).Continues; continues != "" {
			if o.first == nil {
				o.first = map[opened]string{}
			}
			o.first[what] = continues
		}
	case ToolCallStart:
		o.open = append(o.open, what)
		o.calls = append(o.calls, e.ToolCallID)
	case TextMessageEnd, ReasoningEnd, ReasoningMessageEnd, StepFinished, ToolCallEnd:
		if at := slices.Index(o.open, what); at >= 0 {
			o.open = slices.Delete(o.open, at, at+1)
		}
	case ToolCallResult:
		if at := slices.Index(o.calls, e.ToolCallID); at >= 0 {
			o.calls = slices.Delete(o.calls, at, at+1)
		}
	}
}

// answer tracks whether the model is in the middle of an answer. The mark of the answer ends it, and so does the event
// that says that the answer was cut.
func (o *Open) answer(e Event) {
	switch e.Type {
	case TextMessageStart, ReasoningStart:
		o.answering = true
	case ToolCallStart:
		o.answering = true
		o.unmarked = append(o.unmarked, e.ToolCallID)
	case Custom:
		if e.Name == CustomAnswer || e.Name == CustomAgain || e.Name == CustomAttempt {
			o.answering, o.unmarked = false, nil
		}
	}
}

// CutAnswer returns the events that close the answer that the model is in the middle of, and afterwards none of it is
// open. None of its calls was made: they get results that say so. Open messages and those results get the marks
// Incomplete and Again. The other calls stay open.
func (o *Open) CutAnswer() []Event {
	events, _ := o.close(Marks{Incomplete: true, Again: true})
	for _, id := range o.unmarked {
		events = append(events, notMade(id, Marks{Incomplete: true, Again: true}))
		o.Suspend(id)
	}
	o.open = slices.DeleteFunc(o.open, func(w opened) bool { return w.kind != kindStep })
	o.answering, o.unmarked = false, nil
	return events
}

// AddCall adds a call that began before the first event of Add and has no result yet.
func (o *Open) AddCall(call string) { o.calls = append(o.calls, call) }

// Suspend removes a call that needs no result in this run: it interrupts the run, and a later run has the result.
func (o *Open) Suspend(call string) {
	o.calls = slices.DeleteFunc(o.calls, func(id string) bool { return id == call })
}

// Close returns the events that close everything that is open, innermost first, and afterwards nothing is open. Each
// call without a result gets this one. A call of an answer that has no mark was not made, and its result says that.
// Open messages, and the results of calls that were not made, get these marks and Incomplete. The message ids of
// results are derived from the calls' ids, so closing twice gives the same events.
func (o *Open) Close(result string, marks Marks) []Event {
	marks.Incomplete = true
	events, steps := o.close(marks)
	for _, id := range o.calls {
		if slices.Contains(o.unmarked, id) {
			events = append(events, notMade(id, marks))
		} else {
			events = append(events, resultOf(id, result))
		}
	}
	*o = Open{}
	return append(events, steps...)
}

// close returns the events that close everything but the calls without a result. It returns the ends of steps apart,
// because a step may contain calls, whose results come before the step's end.
func (o *Open) close(marks Marks) (events, steps []Event) {
	for _, w := range slices.Backward(o.open) {
		marks.Continues = o.first[w]
		switch w.kind {
		case kindText:
			events = append(events, Event{Type: TextMessageEnd, MessageID: w.id, Metadata: marks.Metadata()})
		case kindReasoning:
			events = append(events, Event{Type: ReasoningMessageEnd, MessageID: w.id, Metadata: marks.Metadata()})
		case kindSpan:
			events = append(events, Event{Type: ReasoningEnd, MessageID: w.id})
		case kindCall:
			events = append(events, Event{Type: ToolCallEnd, ToolCallID: w.id})
		case kindStep:
			steps = append(steps, Event{Type: StepFinished, StepName: w.id})
		}
	}
	return events, steps
}

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
// to bring, after a person responded. They get such a result too.
func Close(events []Event, interrupted ...string) []Event {
	o := leftOpen(events)
	for _, id := range interrupted {
		if !slices.ContainsFunc(events, func(e Event) bool { return e.Type == ToolCallResult && e.ToolCallID == id }) {
			o.AddCall(id)
		}
	}
	return o.Close(UnknownOutcome, Marks{})
}

// CloseAttempt returns the events that close what a dead worker left open of a run that continues, and the ids of the
// calls that the worker may have made. Calls are made only after their whole answer, with its mark, is in the log. So
// if the answer was cut off, none of its calls was made: they get results that say so, marked Incomplete like the rest
// of the answer.
func CloseAttempt(events []Event) (closing []Event, pending []string) {
	o := leftOpen(events)
	_, steps := o.close(Marks{})
	return append(o.CutAnswer(), steps...), o.calls
}

// leftOpen returns what the events of a run left open.
func leftOpen(events []Event) (o Open) {
	for _, e := range events {
		o.Add(e)
	}
	return o
}
