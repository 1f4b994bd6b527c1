package agui

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrOrder is wrapped by every error of Order.
var ErrOrder = errors.New("agui: event out of order")

// Order checks that a stream of events obeys AG-UI's rules of order. AG-UI's npm client aborts a run that breaks one:
//
//   - A stream begins with RUN_STARTED or RUN_ERROR, and one run follows the other.
//   - The START of an id precedes its CONTENT and END, and everything is closed before RUN_FINISHED.
//   - After a terminal event only the next RUN_STARTED may follow, or a RUN_ERROR after a RUN_FINISHED.
//   - A line of a sub-agent begins with SUBAGENT_STARTED and ends once in a run.
//
// Order also checks what Carrel promises of tool calls. Each call has one result, after the call's end and before
// RUN_FINISHED. If RUN_FINISHED has an interrupt for the call, the result is in a later run, and so is the result of
// the call whose line ends as suspended. Each event of a line comes between the line's start and end, and a line ends
// after all lines that began from its calls. A result whose call is not
// in the stream is accepted, because the stream may have begun later. The zero Order is at the start of a stream. It
// must not be used concurrently.
type Order struct {
	last  EventType // RUN_STARTED, or the terminal event that ended the last run; "" before the first
	open  []opened
	calls map[string]*madeCall
	lines map[string]*orderLine // the lines of the present run
}

// madeCall is a call of the stream.
type madeCall struct {
	state callState
	line  string
}

// callState is the state of a call of the stream.
type callState int

const (
	callMade        callState = iota + 1 // made in this run, without a result
	callInterrupted                      // made in an earlier run, which it interrupted
	callClosed                           // has its result, or its run failed
)

// opened identifies something that must be closed. The kind distinguishes the ids of messages, calls and steps.
type opened struct{ kind, id, line string }

// The kinds of things that an event can open, as errors name them.
const (
	kindText      = "text message"
	kindCall      = "tool call"
	kindSpan      = "reasoning span"
	kindReasoning = "reasoning message"
	kindStep      = "step"
	kindLine      = "line of the sub-agent"
)

// Check takes the next event. If the event breaks a rule, Check returns an error that names the rule, and ignores the
// event.
func (o *Order) Check(e Event) error {
	if err := o.run(e.Type); err != nil {
		return err
	}
	if err := o.line(e); err != nil {
		return err
	}
	if err := o.call(e); err != nil {
		return err
	}
	what := opened{kind: kind(e.Type), id: e.openID(), line: e.SubagentRunID}
	at := slices.Index(o.open, what)
	switch e.Type {
	case RunStarted, RunError:
		o.last, o.open, o.lines = e.Type, nil, nil
		o.closeCalls()
	case RunFinished:
		if open := append(o.openLines(), o.open...); len(open) > 0 {
			return refuse(e.Type, "still open: "+list(open))
		}
		if err := o.finish(e); err != nil {
			return err
		}
		o.last, o.lines = e.Type, nil
	case TextMessageStart, ToolCallStart, ReasoningStart, ReasoningMessageStart, StepStarted:
		if at >= 0 {
			return refuse(e.Type, what.String()+" is already open")
		}
		o.open = append(o.open, what)
	case TextMessageContent, ToolCallArgs, ReasoningMessageContent:
		if at < 0 {
			return refuse(e.Type, what.String()+" is not open")
		}
	case TextMessageEnd, ToolCallEnd, ReasoningEnd, ReasoningMessageEnd, StepFinished:
		if at < 0 {
			return refuse(e.Type, what.String()+" is not open")
		}
		o.open = slices.Delete(o.open, at, at+1)
	}
	return nil
}

// call checks the rules about results of calls, and records calls and results.
func (o *Order) call(e Event) error {
	id := e.ToolCallID
	switch e.Type {
	case ToolCallStart:
		if o.calls == nil {
			o.calls = map[string]*madeCall{}
		}
		if !slices.Contains(o.open, opened{kindCall, id, e.SubagentRunID}) { // otherwise Check rejects it
			o.calls[id] = &madeCall{state: callMade, line: e.SubagentRunID}
		}
	case ToolCallResult:
		c := o.calls[id]
		switch {
		case slices.Contains(o.open, opened{kindCall, id, e.SubagentRunID}):
			return refuse(e.Type, fmt.Sprintf("tool call %q has not ended", id))
		case c == nil:
		case c.state == callClosed:
			return refuse(e.Type, fmt.Sprintf("tool call %q has a result", id))
		case c.line != e.SubagentRunID:
			return refuse(e.Type, fmt.Sprintf("tool call %q is of another line", id))
		default:
			c.state = callClosed
		}
	}
	return nil
}

// finish checks that each call of the run has a result or an interrupt, and records the interrupts.
func (o *Order) finish(e Event) error {
	interrupted := map[string]bool{}
	if e.Outcome != nil && e.Outcome.Type == OutcomeInterrupt {
		for _, i := range e.Outcome.Interrupts {
			interrupted[i.ToolCallID] = true
		}
	}
	for _, l := range o.lines {
		if l.state == lineSuspended && len(interrupted) > 0 {
			interrupted[l.call] = true
		}
	}
	for id, c := range o.calls {
		if c.state == callMade && !interrupted[id] {
			return refuse(e.Type, fmt.Sprintf("tool call %q has no result", id))
		}
	}
	for id := range interrupted {
		if c := o.calls[id]; c != nil && c.state == callMade {
			c.state = callInterrupted
		}
	}
	return nil
}

// closeCalls closes the calls of a run that failed, because they get no result any more.
func (o *Order) closeCalls() {
	for _, c := range o.calls {
		if c.state == callMade {
			c.state = callClosed
		}
	}
}

// run checks the rules about whole runs.
func (o *Order) run(t EventType) error {
	switch {
	case o.last == "" && t != RunStarted && t != RunError:
		return refuse(t, "a stream begins with RUN_STARTED")
	case o.last == RunError && t != RunStarted:
		return refuse(t, "the run has ended with RUN_ERROR")
	case o.last == RunFinished && t != RunStarted && t != RunError:
		return refuse(t, "the run has ended with RUN_FINISHED")
	case o.last == RunStarted && t == RunStarted:
		return refuse(t, "the run before it has not ended")
	}
	return nil
}

func (w opened) String() string { return fmt.Sprintf("%s %q", w.kind, w.id) }

// refuse makes the error about an event of this type.
func refuse(t EventType, why string) error { return fmt.Errorf("%w: %s: %s", ErrOrder, t, why) }

func list(open []opened) string {
	names := make([]string, len(open))
	for i, w := range open {
		names[i] = w.String()
	}
	return strings.Join(names, ", ")
}

// kind returns the kind of thing that an event of this type opens, continues or closes, or "".
func kind(t EventType) string {
	switch t {
	case TextMessageStart, TextMessageContent, TextMessageEnd:
		return kindText
	case ToolCallStart, ToolCallArgs, ToolCallEnd:
		return kindCall
	case ReasoningStart, ReasoningEnd:
		return kindSpan
	case ReasoningMessageStart, ReasoningMessageContent, ReasoningMessageEnd:
		return kindReasoning
	case StepStarted, StepFinished:
		return kindStep
	}
	return ""
}

// openID returns the id of the thing that e opens, continues or closes.
func (e Event) openID() string {
	switch kind(e.Type) {
	case kindCall:
		return e.ToolCallID
	case kindStep:
		return e.StepName
	}
	return e.MessageID
}
