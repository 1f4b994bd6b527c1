package agui

import "slices"

// Open tracks the messages, calls, steps and lines of sub-agents that a run has opened and not closed. The code that
// ends a run emits the events of Close first, so that clients accept the end and every tool call has a result. The zero
// Open is at the start of a run. It must not be used concurrently.
type Open struct {
	lines []*openLine // in order of their start, so a line comes before the lines of its calls
}

// openLine is what one line has opened.
type openLine struct {
	id, parent string
	begun      bool // SUBAGENT_STARTED is among the events
	open       []opened
	calls      []string // calls without a result, in order of their start
	// Continues of open messages; their end repeats it, because it replaces the start's metadata
	first map[opened]string
	// the calls of an answer that has no mark yet
	unmarked []string
}

// line returns what a line has opened.
func (o *Open) line(id string) *openLine {
	for _, l := range o.lines {
		if l.id == id {
			return l
		}
	}
	l := &openLine{id: id}
	if id == "" { // lines close in reverse order, and this one last
		o.lines = slices.Insert(o.lines, 0, l)
	} else {
		o.lines = append(o.lines, l)
	}
	return l
}

// Add takes the run's next event.
func (o *Open) Add(e Event) {
	switch e.Type {
	case RunStarted, RunError, RunFinished:
		*o = Open{}
	case SubagentStarted:
		l := o.line(e.SubagentRunID)
		l.begun, l.parent = true, e.ParentSubagentRunID
	case SubagentFinished, SubagentError:
		o.lines = slices.DeleteFunc(o.lines, func(l *openLine) bool { return l.id == e.SubagentRunID })
	case Custom:
		if e.Name == CustomAttempt {
			for _, l := range o.lines {
				l.unmarked = nil
			}
		}
		if e.Name == CustomAnswer || e.Name == CustomAgain {
			o.line(e.SubagentRunID).unmarked = nil
		}
	default:
		o.line(e.SubagentRunID).add(e)
	}
}

// add takes the line's next event.
func (l *openLine) add(e Event) {
	what := opened{kind: kind(e.Type), id: e.openID()}
	switch e.Type {
	case TextMessageStart, ReasoningStart, ReasoningMessageStart, StepStarted:
		l.open = append(l.open, what)
		if continues := MarksOf(e.Metadata).Continues; continues != "" {
			if l.first == nil {
				l.first = map[opened]string{}
			}
			l.first[what] = continues
		}
	case ToolCallStart:
		l.open = append(l.open, what)
		l.calls = append(l.calls, e.ToolCallID)
		l.unmarked = append(l.unmarked, e.ToolCallID)
	case TextMessageEnd, ReasoningEnd, ReasoningMessageEnd, StepFinished, ToolCallEnd:
		if at := slices.Index(l.open, what); at >= 0 {
			l.open = slices.Delete(l.open, at, at+1)
		}
	case ToolCallResult:
		l.closeCall(e.ToolCallID)
	}
}

func (l *openLine) closeCall(call string) {
	l.calls = slices.DeleteFunc(l.calls, func(id string) bool { return id == call })
}

// CutAnswer returns the events that close the answer that the model of a line is in the middle of, and afterwards none
// of it is open. None of its calls was made: they get results that say so. Open messages and those results get the
// marks Incomplete and Again. The other calls stay open.
func (o *Open) CutAnswer(line string) []Event {
	l := o.line(line)
	events, _ := l.close(Marks{Incomplete: true, Again: true})
	for _, id := range l.unmarked {
		events = append(events, l.of(notMade(id, Marks{Incomplete: true, Again: true})))
		l.closeCall(id)
	}
	l.open = slices.DeleteFunc(l.open, func(w opened) bool { return w.kind != kindStep })
	l.unmarked = nil
	return events
}

// AddCall adds a call of a line that began before the first event of Add and has no result yet.
func (o *Open) AddCall(c LineCall) {
	if l := o.line(c.Line); !slices.Contains(l.calls, c.ID) {
		l.calls = append(l.calls, c.ID)
	}
}

// Suspend records that the run ends with these interrupts. It removes the calls of the interrupts, and the calls of the
// lines that are open. It returns the ends of these lines, innermost first: each line is suspended, and the run with
// the responses continues it.
func (o *Open) Suspend(interrupts []Interrupt) (ends []Event) {
	for _, i := range interrupts {
		o.line(i.SubagentRunID).closeCall(i.ToolCallID)
	}
	for _, l := range slices.Backward(o.lines) {
		if !l.begun {
			continue
		}
		end := Event{Type: SubagentFinished, SubagentRunID: l.id, Outcome: &Outcome{Type: OutcomeSuspended}}
		for _, i := range interrupts {
			if i.SubagentRunID == l.id {
				end.Outcome.InterruptIDs = append(end.Outcome.InterruptIDs, i.ID)
			}
		}
		ends = append(ends, end)
		o.line(l.parent).closeCall(l.id)
	}
	return ends
}

// Close returns the events that close everything that is open, innermost first, and afterwards nothing is open. Each
// call without a result gets this one. A call of an answer that has no mark was not made, and its result says that.
// Open messages, and the results of calls that were not made, get these marks and Incomplete. Open lines end with
// SUBAGENT_ERROR. The message ids of results are derived from the calls' ids, so closing twice gives the same events.
func (o *Open) Close(result string, marks Marks) (events []Event) {
	for _, l := range slices.Backward(o.lines) {
		events = append(events, l.closeAll(result, marks)...)
		if l.begun {
			events = append(events, StoppedLine(l.id))
		}
	}
	*o = Open{}
	return events
}

// CloseLine is Close for one line and the lines that began from its calls. The line's own end is left to the caller.
func (o *Open) CloseLine(line, result string, marks Marks) (events []Event) {
	below := map[string]bool{line: true}
	for _, l := range o.lines {
		below[l.id] = below[l.id] || l.begun && below[l.parent]
	}
	for _, l := range slices.Backward(o.lines) {
		if !below[l.id] {
			continue
		}
		events = append(events, l.closeAll(result, marks)...)
		if l.id != line {
			events = append(events, StoppedLine(l.id))
		}
	}
	return events
}

// CodeStopped is the code of the SUBAGENT_ERROR of a line that ended because its run did.
const CodeStopped = "stopped"

// StoppedLine makes the end of a line that ended because its run did.
func StoppedLine(line string) Event {
	return Event{Type: SubagentError, SubagentRunID: line, Code: CodeStopped,
		Message: "The run ended before this agent had answered."}
}

// closeAll returns the events that close everything in the line.
func (l *openLine) closeAll(result string, marks Marks) []Event {
	marks.Incomplete = true
	events, steps := l.close(marks)
	for _, id := range l.calls {
		if slices.Contains(l.unmarked, id) {
			events = append(events, l.of(notMade(id, marks)))
		} else {
			events = append(events, l.of(resultOf(id, result)))
		}
	}
	return append(events, steps...)
}

// close returns the events that close everything but the calls without a result. It returns the ends of steps apart,
// because a step may contain calls, whose results come before the step's end.
func (l *openLine) close(marks Marks) (events, steps []Event) {
	for _, w := range slices.Backward(l.open) {
		marks.Continues = l.first[w]
		switch w.kind {
		case kindText:
			events = append(events, l.of(Event{Type: TextMessageEnd, MessageID: w.id, Metadata: marks.Metadata()}))
		case kindReasoning:
			events = append(events, l.of(Event{Type: ReasoningMessageEnd, MessageID: w.id, Metadata: marks.Metadata()}))
		case kindSpan:
			events = append(events, l.of(Event{Type: ReasoningEnd, MessageID: w.id}))
		case kindCall:
			events = append(events, l.of(Event{Type: ToolCallEnd, ToolCallID: w.id}))
		case kindStep:
			steps = append(steps, l.of(Event{Type: StepFinished, StepName: w.id}))
		}
	}
	return events, steps
}

// of returns the event as one of the line.
func (l *openLine) of(e Event) Event {
	e.SubagentRunID = l.id
	return e
}
