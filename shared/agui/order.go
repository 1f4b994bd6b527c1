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
// a RUN_FINISHED). The zero Order is at the start of a stream. It is for one goroutine.
type Order struct {
	last EventType // RUN_STARTED, or the terminal event that ended the last run; "" before the first
	open []opened
}

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
	what := opened{kind: kind(e.Type), id: e.openID()}
	at := slices.Index(o.open, what)
	switch e.Type {
	case RunStarted, RunError:
		o.last, o.open = e.Type, nil
	case RunFinished:
		if len(o.open) > 0 {
			return refuse(e.Type, "still open: "+list(o.open))
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
