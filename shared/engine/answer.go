package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"carrel/shared/agui"
	"carrel/shared/chars"
	"carrel/shared/tool"
)

// Bounds in bytes of the model's text in one event.
const (
	maxDelta = 16 << 10
	maxName  = 128 // of a tool's name; a registered tool's name has at most 64
)

// answer turns the stream of one model call into events. At most one of text, reasoning and a tool call is open at a
// time. Text that opens again becomes a new message, and so does a call after reasoning that follows a message, so that
// views keep the order. Later model calls receive all these messages as one.
type answer struct {
	r       *run
	id      string   // the id of the first message
	message string   // the id of the last message with text or calls; "" before the first
	thought bool     // reasoning has followed that message
	texts   []string // the messages' texts
	calls   []agui.ToolCall
	written strings.Builder // the open text, or the open call's arguments
	tail    tail            // the incomplete last character of the open part
	open    *agui.Event     // a delta of the open part, without its text
	closing []agui.Event    // the events that close the open part
}

// stream makes one model call, emits its deltas as events, and returns the answer as one message.
func (r *run) stream(ctx context.Context, history []agui.Message) (agui.Message, error) {
	request := Request{System: r.c.System, Messages: slices.Clone(history), Tools: r.specs(),
		Settings: r.c.Settings, UserHash: r.c.UserHash}
	a := &answer{r: r, id: r.messageID()}
	var stop StopReason
	var usage agui.Usage
	defer func() { r.count(usage) }()
	for delta, err := range r.c.Models[0].Stream(ctx, request) {
		if ctx.Err() != nil {
			return agui.Message{}, stopped(ctx)
		}
		if err != nil {
			return agui.Message{}, modelFailed(err)
		}
		if err := a.add(delta); err != nil {
			return agui.Message{}, err
		}
		if delta.Usage != nil {
			usage = *delta.Usage
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

// add emits one delta.
func (a *answer) add(d Delta) error {
	switch {
	case d.Text != "":
		return a.addText(d.Text)
	case d.Reasoning != "":
		return a.addReasoning(d.Reasoning)
	case d.ToolStart != nil:
		return a.startCall(d.ToolStart.Name)
	case d.ToolArgs != "":
		if !a.isOpen(agui.ToolCallArgs) {
			return modelFailed(errors.New("arguments without a tool call"))
		}
		return a.stream(a.tail.add(d.ToolArgs))
	}
	return nil
}

func (a *answer) addText(delta string) error {
	if !a.isOpen(agui.TextMessageContent) {
		if err := a.end(""); err != nil {
			return err
		}
		id, marks := a.next(a.message != "")
		start := agui.Event{Type: agui.TextMessageStart, MessageID: id, Role: agui.RoleAssistant,
			Metadata: marks.Metadata()}
		if err := a.begin(agui.Event{Type: agui.TextMessageContent, MessageID: id}, start); err != nil {
			return err
		}
		a.closing = []agui.Event{{Type: agui.TextMessageEnd, MessageID: id}}
	}
	return a.stream(a.tail.add(delta))
}

func (a *answer) addReasoning(delta string) error {
	if !a.isOpen(agui.ReasoningMessageContent) {
		if err := a.end(""); err != nil {
			return err
		}
		id := a.r.messageID()
		var marks agui.Marks
		if a.message != "" {
			a.thought, marks.Continues = true, a.id
		}
		err := a.begin(agui.Event{Type: agui.ReasoningMessageContent, MessageID: id},
			agui.Event{Type: agui.ReasoningStart, MessageID: id},
			agui.Event{Type: agui.ReasoningMessageStart, MessageID: id, Role: agui.RoleReasoning,
				Metadata: marks.Metadata()})
		if err != nil {
			return err
		}
		a.closing = []agui.Event{{Type: agui.ReasoningMessageEnd, MessageID: id},
			{Type: agui.ReasoningEnd, MessageID: id}}
	}
	return a.stream(a.tail.add(delta))
}

// startCall begins a tool call with a new id. The model's id is unique only within the run, and a client's view needs
// an id that is unique in the thread.
func (a *answer) startCall(name string) error {
	if err := a.end(""); err != nil {
		return err
	}
	name = chars.Head(valid(name), maxName)
	call := agui.ToolCall{ID: a.r.newID(), Type: "function", Function: agui.FunctionCall{Name: name}}
	a.calls, a.r.undecided = append(a.calls, call), append(a.r.undecided, call)
	parent, marks := a.next(a.thought)
	err := a.begin(agui.Event{Type: agui.ToolCallArgs, ToolCallID: call.ID}, agui.Event{
		Type: agui.ToolCallStart, ToolCallID: call.ID, ToolCallName: name, ParentMessageID: parent,
		Metadata: marks.Metadata(),
	})
	if err != nil {
		return err
	}
	a.closing = []agui.Event{{Type: agui.ToolCallEnd, ToolCallID: call.ID}}
	return nil
}

// next returns the id of the message that text or a call belongs to. With separate it is a new message, whose marks
// name the answer's first message.
func (a *answer) next(separate bool) (id string, marks agui.Marks) {
	switch {
	case a.message == "":
		a.message = a.id
	case separate:
		a.message, marks.Continues = a.r.messageID(), a.id
	}
	a.thought = false
	return a.message, marks
}

// isOpen reports whether the open part has deltas of this type.
func (a *answer) isOpen(delta agui.EventType) bool { return a.open != nil && a.open.Type == delta }

// begin emits the opening events of a part. Its deltas are copies of open with a text.
func (a *answer) begin(open agui.Event, opening ...agui.Event) error {
	for _, e := range opening {
		if err := a.r.emit(e); err != nil {
			return err
		}
	}
	a.open = &open
	return nil
}

// stream emits a delta of the open part. It splits a long delta, because an event has to fit into a record of the log.
func (a *answer) stream(delta string) error {
	a.written.WriteString(delta)
	for delta != "" {
		e := *a.open
		e.Delta = chars.Head(delta, maxDelta)
		delta = delta[len(e.Delta):]
		if err := a.r.emit(e); err != nil {
			return err
		}
	}
	return nil
}

// end closes the open part, if there is one. At the end of the answer, the end of a text carries the stop reason.
func (a *answer) end(stop StopReason) error {
	if a.open == nil {
		return nil
	}
	if err := a.stream(a.tail.rest()); err != nil {
		return err
	}
	switch written := a.written.String(); a.open.Type {
	case agui.TextMessageContent:
		a.texts = append(a.texts, written)
	case agui.ToolCallArgs:
		a.calls[len(a.calls)-1].Function.Arguments = written
		a.r.undecided[len(a.r.undecided)-1].Function.Arguments = written
	}
	a.written.Reset()
	for _, e := range a.closing {
		if e.Type == agui.TextMessageEnd {
			e.Metadata = a.marks(e.MessageID, stop).Metadata()
		}
		if err := a.r.emit(e); err != nil {
			return err
		}
	}
	a.open, a.closing = nil, nil
	return nil
}

// marks returns the marks of a message's end, which replace those of its start.
func (a *answer) marks(id string, stop StopReason) agui.Marks {
	m := agui.Marks{Stop: string(stop)}
	if id != a.id {
		m.Continues = a.id
	}
	return m
}

// finish ends the answer and returns its message. An answer that was cut while it called tools is a failure, because
// the arguments of its last call are incomplete. If the answer ends with a text, the end of that text carries the stop
// reason. A worker that continues the run after this worker's death recognises a complete answer by it.
func (a *answer) finish(stop StopReason) (agui.Message, error) {
	var textStop StopReason
	switch stop {
	case StopEnd:
		textStop = stop
	case StopTools:
		if len(a.calls) == 0 {
			return agui.Message{}, modelFailed(errors.New("the model waits for results and has called no tool"))
		}
	case StopMaxTokens:
		if len(a.calls) > 0 {
			return agui.Message{}, modelFailed(errors.New("the answer was cut while it called tools"))
		}
		textStop = stop
	case StopFiltered:
		return agui.Message{}, &failure{
			code: CodeModel, message: "The model's provider refused to answer this.", cause: errors.New("filtered"),
		}
	default:
		return agui.Message{}, modelFailed(fmt.Errorf("the answer ended with the unknown stop reason %q", stop))
	}
	if err := a.end(textStop); err != nil {
		return agui.Message{}, err
	}
	text := strings.Join(a.texts, between)
	return agui.Message{ID: a.id, Role: agui.RoleAssistant, Content: text, ToolCalls: a.calls}, nil
}
