package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"carrel/shared/agui"
	"carrel/shared/tool"
)

// Bounds in bytes of what a model may write into one event.
const (
	maxDelta = 16 << 10
	maxName  = 128 // of a tool; one that exists has 64 at most
)

// answer is one model call's stream on its way to events. At most one of text, thinking and a tool call is open at a
// time. All text and calls of one answer belong to one message.
type answer struct {
	r         *run
	id        string // of the message
	text      strings.Builder
	calls     []agui.ToolCall
	arguments strings.Builder // of the last call
	closing   []agui.Event    // what closes what is open now
}

// stream makes one model call, emits what it streams and returns the message that it makes.
func (r *run) stream(ctx context.Context, history []agui.Message) (agui.Message, error) {
	request := Request{System: r.c.System, Messages: slices.Clone(history), Tools: r.specs()}
	a := &answer{r: r, id: r.newID()}
	var stop StopReason
	for delta, err := range r.c.Model.Stream(ctx, request) {
		if ctx.Err() != nil {
			return agui.Message{}, stopped(ctx)
		}
		if err != nil {
			return agui.Message{}, modelFailed(err)
		}
		if err := a.add(delta); err != nil {
			return agui.Message{}, err
		}
		if stop = delta.Stop; stop != "" {
			break
		}
	}
	if ctx.Err() != nil && stop == "" {
		return agui.Message{}, stopped(ctx)
	}
	return a.finish(stop)
}

func (r *run) specs() []tool.Spec {
	if r.c.Tools == nil {
		return nil
	}
	return r.c.Tools.Specs()
}

func (a *answer) add(d Delta) error {
	switch {
	case d.Text != "":
		return a.addText(d.Text)
	case d.Reasoning != "":
		return a.addReasoning(d.Reasoning)
	case d.ToolStart != nil:
		return a.startCall(d.ToolStart.Name)
	case d.ToolArgs != "":
		if !a.isOpen(agui.ToolCallEnd) {
			return modelFailed(errors.New("arguments without a tool call"))
		}
		a.arguments.WriteString(d.ToolArgs)
		return a.stream(agui.Event{Type: agui.ToolCallArgs, ToolCallID: a.closing[0].ToolCallID}, d.ToolArgs)
	case d.Usage != nil:
		a.r.count(*d.Usage)
	}
	return nil
}

func (a *answer) addText(delta string) error {
	if !a.isOpen(agui.TextMessageEnd) {
		start := agui.Event{Type: agui.TextMessageStart, MessageID: a.id, Role: agui.RoleAssistant}
		if err := a.begin(agui.Event{Type: agui.TextMessageEnd, MessageID: a.id}, start); err != nil {
			return err
		}
	}
	a.text.WriteString(delta)
	return a.stream(agui.Event{Type: agui.TextMessageContent, MessageID: a.id}, delta)
}

func (a *answer) addReasoning(delta string) error {
	if !a.isOpen(agui.ReasoningMessageEnd) {
		id := a.r.newID()
		err := a.begin(agui.Event{Type: agui.ReasoningMessageEnd, MessageID: id},
			agui.Event{Type: agui.ReasoningStart, MessageID: id},
			agui.Event{Type: agui.ReasoningMessageStart, MessageID: id, Role: agui.RoleReasoning})
		if err != nil {
			return err
		}
		a.closing = append(a.closing, agui.Event{Type: agui.ReasoningEnd, MessageID: id})
	}
	return a.stream(agui.Event{Type: agui.ReasoningMessageContent, MessageID: a.closing[0].MessageID}, delta)
}

// stream emits a delta, in pieces if it is long: an event has to fit in a record of the log.
func (a *answer) stream(e agui.Event, delta string) error {
	for delta != "" {
		e.Delta = prefix(delta, maxDelta)
		delta = delta[len(e.Delta):]
		if err := a.r.emit(e); err != nil {
			return err
		}
	}
	return nil
}

// prefix is the beginning of s, at most max bytes, that cuts no character in two.
func prefix(s string, max int) string {
	if len(s) <= max {
		return s
	}
	end := max
	for end > max-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// startCall gives the call an id of ours: the model's is unique only within the run, and a client's view needs one that
// is unique in the thread.
func (a *answer) startCall(name string) error {
	if err := a.end(nil); err != nil {
		return err
	}
	name = prefix(name, maxName)
	call := agui.ToolCall{ID: a.r.newID(), Type: "function", Function: agui.FunctionCall{Name: name}}
	a.calls, a.r.undecided = append(a.calls, call), append(a.r.undecided, call)
	return a.begin(agui.Event{Type: agui.ToolCallEnd, ToolCallID: call.ID}, agui.Event{
		Type: agui.ToolCallStart, ToolCallID: call.ID, ToolCallName: name, ParentMessageID: a.id,
	})
}

func (a *answer) isOpen(end agui.EventType) bool {
	return len(a.closing) > 0 && a.closing[0].Type == end
}

// begin ends what is open and emits what opens the next, which closing closes.
func (a *answer) begin(closing agui.Event, opening ...agui.Event) error {
	if err := a.end(nil); err != nil {
		return err
	}
	for _, e := range opening {
		if err := a.r.emit(e); err != nil {
			return err
		}
	}
	a.closing = []agui.Event{closing}
	return nil
}

// end ends what is open, if anything; the metadata goes to a text message's end.
func (a *answer) end(metadata json.RawMessage) error {
	if a.isOpen(agui.ToolCallEnd) {
		arguments := a.arguments.String()
		a.calls[len(a.calls)-1].Function.Arguments = arguments
		a.r.undecided[len(a.r.undecided)-1].Function.Arguments = arguments
		a.arguments.Reset()
	}
	for _, e := range a.closing {
		if e.Type == agui.TextMessageEnd {
			e.Metadata = metadata
		}
		if err := a.r.emit(e); err != nil {
			return err
		}
	}
	a.closing = nil
	return nil
}

// finish ends the answer for this reason and returns its message. The calls of an answer that was cut are not made:
// the last one's arguments are incomplete. The end of a text with which an answer ends says why: who goes on after this
// worker's death knows by it that nothing more was to come.
func (a *answer) finish(stop StopReason) (agui.Message, error) {
	var metadata json.RawMessage
	switch stop {
	case StopEnd:
		metadata = json.RawMessage(`{"carrel":{"stop":"end"}}`)
	case StopTools:
		if len(a.calls) == 0 {
			return agui.Message{}, modelFailed(errors.New("it waits for tools that it has not called"))
		}
	case StopMaxTokens:
		if len(a.calls) > 0 {
			return agui.Message{}, modelFailed(errors.New("it was cut while it called tools"))
		}
		metadata = json.RawMessage(`{"carrel":{"stop":"max_tokens"}}`)
	case StopFiltered:
		return agui.Message{}, &failure{
			code: CodeModel, message: "The model's provider refused to answer this.", cause: errors.New("filtered"),
		}
	default:
		return agui.Message{}, modelFailed(fmt.Errorf("its answer ended with the stop reason %q", stop))
	}
	if err := a.end(metadata); err != nil {
		return agui.Message{}, err
	}
	return agui.Message{ID: a.id, Role: agui.RoleAssistant, Content: a.text.String(), ToolCalls: a.calls}, nil
}
