package agui

import (
	"encoding/json"
	"slices"
)

// Incomplete is the metadata of a message that was cut off: its run ended, or a new attempt says it again.
const Incomplete = `{"carrel":{"incomplete":true}}`

// Open keeps what a run has opened and not closed. Whoever ends a run closes it, so that clients accept the end and
// every tool call has a result. The zero Open is at the start of a run. It is for one goroutine.
type Open struct {
	open  []opened
	calls []string // calls without a result, in order of their start
}

// Add takes the run's next event.
func (o *Open) Add(e Event) {
	what := opened{kind: kind(e.Type), id: e.openID()}
	switch e.Type {
	case RunStarted, RunError, RunFinished:
		*o = Open{}
	case TextMessageStart, ReasoningStart, ReasoningMessageStart, StepStarted:
		o.open = append(o.open, what)
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

// Close returns the events that close all that is open, innermost first, with messages marked Incomplete, and gives
// each call without a result this one. Nothing is open afterwards. The results' message ids follow from their calls',
// so that closing twice says the same.
func (o *Open) Close(result string) []Event {
	var events []Event
	var steps []Event // a step may span calls: their results come before its end
	for _, w := range slices.Backward(o.open) {
		switch w.kind {
		case kindText:
			events = append(events, Event{Type: TextMessageEnd, MessageID: w.id, Metadata: json.RawMessage(Incomplete)})
		case kindReasoning:
			e := Event{Type: ReasoningMessageEnd, MessageID: w.id, Metadata: json.RawMessage(Incomplete)}
			events = append(events, e)
		case kindSpan:
			events = append(events, Event{Type: ReasoningEnd, MessageID: w.id})
		case kindCall:
			events = append(events, Event{Type: ToolCallEnd, ToolCallID: w.id})
		case kindStep:
			steps = append(steps, Event{Type: StepFinished, StepName: w.id})
		}
	}
	for _, id := range o.calls {
		events = append(events, Event{
			Type: ToolCallResult, MessageID: id + ".result", ToolCallID: id, Role: RoleTool, Content: &result,
		})
	}
	*o = Open{}
	return append(events, steps...)
}

// UnknownOutcome is the result of a tool call whose run died before the answer was written.
const UnknownOutcome = "The run ended before this tool call's result was recorded. " +
	"It is not known whether it was carried out."

// Close returns the events that close what a dead run's events left open. They go before its RUN_ERROR. The
// results of its tool calls say that their outcome is unknown.
func Close(events []Event) []Event {
	var o Open
	for _, e := range events {
		o.Add(e)
	}
	return o.Close(UnknownOutcome)
}
