package engine

import (
	"errors"
	"strings"

	"carrel/shared/agui"
	"carrel/shared/chars"
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
	model   string // the name of the model that answers
	sent    []agui.Message
	id      string   // the id of the first message
	message string   // the id of the last message with text or calls; "" before the first
	thought bool     // reasoning has followed that message
	texts   []string // the messages' texts
	calls   []agui.ToolCall
	written strings.Builder // the open text, or the open call's arguments
	tail    tail            // the incomplete last character of the open part
	open    *agui.Event     // a delta of the open part, without its text
	delta   [1]agui.Event   // the delta that is emitted, here so that not each one is allocated
	closing []agui.Event    // the events that close the open part
	started bool            // an event of it was emitted
	stop    StopReason      // why the model stopped; "": it has not
	keep    string          // what the provider needs again
	usage   agui.Usage      // the tokens so far
}

// begun reports whether anything of the answer was emitted.
func (a *answer) begun() bool { return a.started }

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
	case d.Keep != "":
		a.keep = d.Keep
	case d.Usage != nil:
		a.usage = *d.Usage
	}
	return nil
}

func (a *answer) addText(delta string) error {
	if !a.isOpen(agui.TextMessageContent) {
		ends, err := a.end("")
		if err != nil {
			return err
		}
		id, marks := a.next(a.message != "")
		start := agui.Event{Type: agui.TextMessageStart, MessageID: id, Role: agui.RoleAssistant,
			Metadata: marks.Metadata()}
		err = a.begin(agui.Event{Type: agui.TextMessageContent, MessageID: id}, append(ends, start)...)
		if err != nil {
			return err
		}
		a.closing = []agui.Event{{Type: agui.TextMessageEnd, MessageID: id}}
	}
	return a.stream(a.tail.add(delta))
}

func (a *answer) addReasoning(delta string) error {
	if !a.isOpen(agui.ReasoningMessageContent) {
		ends, err := a.end("")
		if err != nil {
			return err
		}
		id := a.r.messageID()
		a.thought = a.message != ""
		err = a.begin(agui.Event{Type: agui.ReasoningMessageContent, MessageID: id}, append(ends,
			agui.Event{Type: agui.ReasoningStart, MessageID: id},
			agui.Event{Type: agui.ReasoningMessageStart, MessageID: id, Role: agui.RoleReasoning,
				Metadata: agui.Marks{Continues: a.id}.Metadata()})...)
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
	ends, err := a.end("")
	if err != nil {
		return err
	}
	name = chars.Head(valid(name), maxName)
	call := agui.ToolCall{ID: a.r.newID(), Type: "function", Function: agui.FunctionCall{Name: name}}
	a.calls, a.r.undecided = append(a.calls, call), append(a.r.undecided, call)
	parent, marks := a.next(a.thought)
	err = a.begin(agui.Event{Type: agui.ToolCallArgs, ToolCallID: call.ID}, append(ends, agui.Event{
		Type: agui.ToolCallStart, ToolCallID: call.ID, ToolCallName: name, ParentMessageID: parent,
		Metadata: marks.Metadata(),
	})...)
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

// begin emits the events that close the part before and open the next one, in one record. So the log of an answer that
// was cut has an open part, which gets the mark Incomplete. The part's deltas are copies of open with a text.
func (a *answer) begin(open agui.Event, events ...agui.Event) error {
	a.started = true
	if err := a.r.emit(events...); err != nil {
		return err
	}
	a.open = &open
	return nil
}

// stream emits a delta of the open part. It splits a long delta, because an event has to fit into a record of the log.
func (a *answer) stream(delta string) error {
	a.written.WriteString(delta)
	for delta != "" {
		a.delta[0] = *a.open
		a.delta[0].Delta = chars.Head(delta, maxDelta)
		delta = delta[len(a.delta[0].Delta):]
		if err := a.r.emit(a.delta[:]...); err != nil {
			return err
		}
	}
	return nil
}

// end ends the open part, if there is one, and returns the events that close it. At the end of the answer, the end of a
// text carries the stop reason.
func (a *answer) end(stop StopReason) ([]agui.Event, error) {
	if a.open == nil {
		return nil, nil
	}
	if err := a.stream(a.tail.rest()); err != nil {
		return nil, err
	}
	switch written := a.written.String(); a.open.Type {
	case agui.TextMessageContent:
		a.texts = append(a.texts, written)
	case agui.ToolCallArgs:
		a.calls[len(a.calls)-1].Function.Arguments = written
		a.r.undecided[len(a.r.undecided)-1].Function.Arguments = written
	}
	a.written.Reset()
	ends := a.closing
	for i := range ends {
		if ends[i].Type == agui.TextMessageEnd {
			ends[i].Metadata = a.marks(ends[i].MessageID, stop).Metadata()
		}
	}
	a.open, a.closing = nil, nil
	return ends, nil
}

// marks returns the marks of a message's end, which replace those of its start.
func (a *answer) marks(id string, stop StopReason) agui.Marks {
	m := agui.Marks{Stop: string(stop)}
	if id != a.id {
		m.Continues = a.id
	}
	return m
}

// text returns the answer's text.
func (a *answer) text() string { return strings.Join(a.texts, between) }

// said returns the answer as one message for the model.
func (a *answer) said() agui.Message {
	m := agui.Message{ID: a.id, Role: agui.RoleAssistant, Content: a.text()}
	for _, c := range a.calls {
		m.ToolCalls = append(m.ToolCalls, forProvider(c))
	}
	return m
}

// finish ends the answer and emits its mark, in one record. An answer that is requested again is closed like an answer
// that was cut.
func (a *answer) finish() error {
	stop := a.stop
	textStop := stop
	if stop == StopTools || len(a.calls) > 0 && stop != StopFiltered {
		textStop = ""
	}
	openText := a.isOpen(agui.TextMessageContent)
	ends, err := a.end(textStop)
	if err != nil {
		return err
	}
	if stop == StopFiltered && !openText { // an empty message carries the reason to later runs
		follows := a.message != ""
		id, marks := a.next(follows)
		ends = append(ends, agui.Event{Type: agui.TextMessageStart, MessageID: id, Role: agui.RoleAssistant,
			Metadata: marks.Metadata()},
			agui.Event{Type: agui.TextMessageEnd, MessageID: id, Metadata: a.marks(id, stop).Metadata()})
	}
	mark := a.mark(stop)
	switch {
	case mark.Rejected == agui.RejectedMalformed, mark.Rejected == agui.RejectedOutput:
		ends = a.r.cutAnswer()
	case a.keep != "":
		ends = a.r.addKeep(a.id, a.keep, ends)
	}
	a.r.marks = append(a.r.marks, mark)
	return a.r.emit(append(ends, agui.CustomEvent(agui.CustomAnswer, mark))...)
}

// mark makes the answer's mark.
func (a *answer) mark(stop StopReason) agui.Answer {
	m := agui.Answer{N: len(a.r.marks) + 1, Stop: string(stop), Calls: len(a.calls),
		Rejected: a.r.rejection(stop, a)}
	if a.message != "" {
		m.Message = a.id
	}
	m.Provider, m.Model, m.Usage = a.tokens()
	if a.r.untold {
		m.Trimmed, a.r.untold = a.r.trimmed, false
	}
	if a.r.counted, a.r.countedUpTo = a.usage.InputTokens, len(a.sent); stop == StopFiltered {
		a.r.counted = 0
	}
	return m
}

// tokens counts the tokens of the answer for the run, and returns who answered and the counts without the names.
func (a *answer) tokens() (provider, model string, counts *agui.Usage) {
	u := a.usage
	if provider, model, ok := strings.Cut(a.model, ":"); ok {
		u.Provider, u.Model = provider, model
	}
	provider, model = u.Provider, u.Model
	a.r.addUsage(u)
	if u.Provider, u.Model = "", ""; u != (agui.Usage{}) {
		counts = &u
	}
	return provider, model, counts
}
