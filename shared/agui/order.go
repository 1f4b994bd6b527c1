package agui

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrOrder is what every error of Order wraps.
var ErrOrder = errors.New("agui: event out of order")

// Order checks that a stream of events obeys AG-UI's order rules, as its npm client does (which aborts a run that
// breaks one): RUN_STARTED or RUN_ERROR first, START before CONTENT and END of an id, everything closed before
// RUN_FINISHED, one run after the other, nothing after a terminal event but the next RUN_STARTED (or a RUN_ERROR after
// a RUN_FINISHED). Beyond that client it wants what Carrel promises of tool calls: one result each, behind the call's
// end, before RUN_FINISHED or, if that asks a person about the call, in a later run. The result of a call that the stream
// has not shown is taken: the stream may have begun after it. The zero Order is at the start of a stream. It is for one
// goroutine.
type Order struct {
	last  EventType // RUN_STARTED, or the terminal event that ended the last run; "" before the first
	open  []opened
	calls map[string]callState
}

// callState is where a call is that the stream has shown.
type callState int

const (
	callMade     callState = iota + 1 // in this run, and has no result
	callAsked                         // in an earlier run, which asked a person
	callAnswered                      // it has its result, or its run failed
)

// opened is something that must be closed. The kind keeps ids of messages, calls and steps apart.
type opened struct{ kind, id string }

// What an event of Carrel can open, as it is called in errors.
const (
	kindText      = "text message"
	kindCall      = "tool call"
	kindSpan      = "reasoning span"
	kindReasoning = "reasoning message"
	kindStep      = "step"
)

// Check takes the next event and returns an error that names the rule it breaks; the event is then not counted.
func (o *Order) Check(e Event) error {
	if err := o.run(e.Type); err != nil {
		return err
	}
	if err := o.call(e); err != nil {
		return err
	}
	what := opened{kind: kind(e.Type), id: e.openID()}
	at := slices.Index(o.open, what)
	switch e.Type {
	case RunStarted, RunError:
		o.last, o.open = e.Type, nil
		o.forget()
	case RunFinished:
		if len(o.open) > 0 {
			return refuse(e.Type, "still open: "+list(o.open))
		}
		if err := o.finish(e); err != nil {
			return err
		}
		o.last = e.Type
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

// call checks the rules about a call's result, and notes calls and results.
func (o *Order) call(e Event) error {
	id := e.ToolCallID
	switch e.Type {
	case ToolCallStart:
		if o.calls == nil {
			o.calls = map[string]callState{}
		}
		if !slices.Contains(o.open, opened{kindCall, id}) { // else Check refuses it
			o.calls[id] = callMade
		}
	case ToolCallResult:
		if slices.Contains(o.open, opened{kindCall, id}) {
			return refuse(e.Type, fmt.Sprintf("tool call %q has not ended", id))
		}
		if o.calls[id] == callAnswered {
			return refuse(e.Type, fmt.Sprintf("tool call %q has a result", id))
		}
		if o.calls[id] != 0 {
			o.calls[id] = callAnswered
		}
	}
	return nil
}

// finish checks that each call of the run has a result or a question, and notes the questions.
func (o *Order) finish(e Event) error {
	asked := map[string]bool{}
	if e.Outcome != nil && e.Outcome.Type == OutcomeInterrupt {
		for _, i := range e.Outcome.Interrupts {
			asked[i.ToolCallID] = true
		}
	}
	for id, state := range o.calls {
		if state == callMade && !asked[id] {
			return refuse(e.Type, fmt.Sprintf("tool call %q has no result", id))
		}
	}
	for id := range asked {
		if o.calls[id] == callMade {
			o.calls[id] = callAsked
		}
	}
	return nil
}

// forget drops the calls of a run that failed: they get no result any more.
func (o *Order) forget() {
	for id, state := range o.calls {
		if state == callMade {
			o.calls[id] = callAnswered
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

func refuse(t EventType, why string) error { return fmt.Errorf("%w: %s: %s", ErrOrder, t, why) }

func list(open []opened) string {
	names := make([]string, len(open))
	for i, w := range open {
		names[i] = w.String()
	}
	return strings.Join(names, ", ")
}

// kind is what an event of this type opens, continues or closes; "" if nothing.
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

// openID is the id under which e opens, continues or closes something.
func (e Event) openID() string {
	switch kind(e.Type) {
	case kindCall:
		return e.ToolCallID
	case kindStep:
		return e.StepName
	}
	return e.MessageID
}
