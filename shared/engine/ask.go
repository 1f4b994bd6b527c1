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

// Bounds in bytes of what a model may write into one event.
const (
	maxDelta = 16 << 10
	maxName  = 128 // of a tool; one that exists has 64 at most
)

// answer is one model call's stream on its way to events. At most one of text, thinking and a tool call is open at a
// time. Text that opens again is a message of its own, and so is a call behind such thinking: views keep the order. The
// model is sent all of them as one message.
type answer struct {
	r       *run
	id      string   // of the first message
	message string   // the id of the last message with text or calls; "": there is none
	thought bool     // thinking has come since that message
	texts   []string // of the messages
	calls   []agui.ToolCall
	written strings.Builder // the open text, or the open call's arguments
	tail    tail            // of what is open
	open    *agui.Event     // a delta of what is open, without its text
	closing []agui.Event    // what closes what is open
}

// stream makes one model call, emits what it streams and returns the message that it makes.
func (r *run) stream(ctx context.Context, history []agui.Message) (agui.Message, error) {
	request := Request{System: r.c.System, Messages: slices.Clone(history), Tools: r.specs()}
	a := &answer{r: r, id: r.messageID()}
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
		if !a.isOpen(agui.ToolCallArgs) {
			return modelFailed(errors.New("arguments without a tool call"))
		}
		return a.stream(a.tail.add(d.ToolArgs))
	case d.Usage != nil:
		a.r.count(*d.Usage)
	}
	return nil
}

func (a *answer) addText(delta string) error {
	if !a.isOpen(agui.TextMessageContent) {
		if err := a.end(""); err != nil {
			return err
		}
		id, marks := a.next(a.message != "")
		start := agui.Event{Type: agui.TextMessageStart, MessageID: id, Role: agui.RoleAssistant, Metadata: marks.Metadata()}
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
			agui.Event{Type: agui.ReasoningMessageStart, MessageID: id, Role: agui.RoleReasoning, Metadata: marks.Metadata()})
		if err != nil {
			return err
		}
		a.closing = []agui.Event{{Type: agui.ReasoningMessageEnd, MessageID: id}, {Type: agui.ReasoningEnd, MessageID: id}}
	}
	return a.stream(a.tail.add(delta))
}

// startCall gives the call an id of ours: the model's is unique only within the run, and a client's view needs one that
// is unique in the thread.
func (a *answer) startCall(name string) error {
	if err := a.end(""); err != nil {
		return err
	}
	name = chars.Head(valid(name), maxName)
	call := agui.ToolCall{ID: a.r.newID(), Type: "function", Function: agui.FunctionCall{Name: name}}
	a.calls, a.r.undecided = append(a.calls, call), append(a.r.undecided, call)
	parent, marks := a.next(a.thought)
	err := a.begin(agui.Event{Type: agui.ToolCallArgs, ToolCallID: call.ID}, agui.Event{
		Type: agui.ToolCallStart, ToolCallID: call.ID, ToolCallName: name, ParentMessageID: parent, Metadata: marks.Metadata(),
	})
	if err != nil {
		return err
	}
	a.closing = []agui.Event{{Type: agui.ToolCallEnd, ToolCallID: call.ID}}
	return nil
}

// next is the message that text or a call goes into: another one than the last if anew, and then with a mark that binds
// it to the first.
func (a *answer) next(anew bool) (id string, marks agui.Marks) {
	switch {
	case a.message == "":
		a.message = a.id
	case anew:
		a.message, marks.Continues = a.r.messageID(), a.id
	}
	a.thought = false
	return a.message, marks
}

func (a *answer) isOpen(delta agui.EventType) bool { return a.open != nil && a.open.Type == delta }

// begin emits what opens something, whose deltas are to be like open.
func (a *answer) begin(open agui.Event, opening ...agui.Event) error {
	for _, e := range opening {
		if err := a.r.emit(e); err != nil {
			return err
		}
	}
	a.open = &open
	return nil
}

// stream emits a delta of what is open, in pieces if it is long: an event has to fit in a record of the log.
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

// end ends what is open, if anything; if that is the answer's end, a text's end says why.
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

// marks of a message's end replace those of its start.
func (a *answer) marks(id string, stop StopReason) agui.Marks {
	m := agui.Marks{Stop: string(stop)}
	if id != a.id {
		m.Continues = a.id
	}
	return m
}

// finish ends the answer for this reason and returns its message. The calls of an answer that was cut are not made:
// the last one's arguments are incomplete. The end of a text with which an answer ends says why: who goes on after this
// worker's death knows by it that nothing more was to come.
func (a *answer) finish(stop StopReason) (agui.Message, error) {
	var why StopReason
	switch stop {
	case StopEnd:
		why = stop
	case StopTools:
		if len(a.calls) == 0 {
			return agui.Message{}, modelFailed(errors.New("it waits for tools that it has not called"))
		}
	case StopMaxTokens:
		if len(a.calls) > 0 {
			return agui.Message{}, modelFailed(errors.New("it was cut while it called tools"))
		}
		why = stop
	case StopFiltered:
		return agui.Message{}, &failure{
			code: CodeModel, message: "The model's provider refused to answer this.", cause: errors.New("filtered"),
		}
	default:
		return agui.Message{}, modelFailed(fmt.Errorf("its answer ended with the stop reason %q", stop))
	}
	if err := a.end(why); err != nil {
		return agui.Message{}, err
	}
	return agui.Message{ID: a.id, Role: agui.RoleAssistant, Content: strings.Join(a.texts, between), ToolCalls: a.calls}, nil
}
