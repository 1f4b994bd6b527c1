package wire

import (
	"slices"

	"fmt"

	"carrel/shared/agui"
	"carrel/shared/chars"
	"carrel/shared/chat"
)

// Run requests a run. Its thread is created if the user has no thread of that id.
type Run struct {
	Header
	N        int64          `json:"n"`
	RunID    chat.RunID     `json:"runId"`
	ThreadID chat.ThreadID  `json:"threadId"`
	Messages []agui.Message `json:"messages"` // 1–8 new ones, role user; 0–8 with Resume
	Agent    string         `json:"agent,omitempty"`
	WhenBusy chat.WhenBusy  `json:"whenBusy,omitempty"`
	Resume   []agui.Resume  `json:"resume,omitempty"` // a response to each of the thread's open interrupts, 1–20
}

// Named returns the run and its thread.
func (f *Run) Named() Named { return Named{Thread: f.ThreadID, Run: f.RunID} }

// setType also replaces a nil list of messages: a run without messages must have an empty list.
func (f *Run) setType(t Type) {
	f.Header.setType(t)
	f.Messages = list(f.Messages)
}

func decodeRun(o *object, h Header) *Run {
	for _, name := range []string{"tools", "context", "state", "forwardedProps"} {
		if _, there := o.fields[name]; there {
			o.fail(name, unsupported(name))
			return nil
		}
	}
	f := &Run{Header: h, N: o.integer("n", 1, maxN, required),
		RunID:    chat.RunID(o.id("runId", required)),
		ThreadID: chat.ThreadID(o.id("threadId", required)),
		Resume:   o.responses("resume"),
		Agent:    o.id("agent", optional),
		WhenBusy: o.whenBusy("whenBusy")}
	f.Messages = o.messages("messages", f.Resume == nil)
	for i, m := range f.Messages {
		if err := chat.CheckMessageID(f.RunID, m.ID); err != nil {
			o.fail(fmt.Sprintf("messages[%d].id", i), "It is a "+err.Error()+".")
		}
	}
	return f
}

// unsupported returns why Carrel does not accept this AG-UI member of a run, and what to do instead.
func unsupported(name string) string {
	switch name {
	case "tools":
		return "Tools of the front end are not supported; leave tools out: an agent has its own."
	case "context":
		return "Context is not supported; leave it out and write what the agent should know into the message."
	case "state":
		return "Shared state is not supported; leave state out."
	}
	return "Forwarded properties are not supported; leave forwardedProps out."
}

func (o *object) whenBusy(name string) chat.WhenBusy {
	w := chat.WhenBusy(o.text(name, optional))
	switch w {
	case chat.Enqueue, chat.Reject, chat.Interrupt:
	case "":
		if _, there := o.fields[name]; there {
			o.fail(name, "It must be enqueue, reject or interrupt.")
		}
	default:
		o.fail(name, "It must be enqueue, reject or interrupt.")
	}
	return w
}

// messages reads the new messages of a run. With nonempty there must be at least one.
func (o *object) messages(name string, nonempty bool) []agui.Message {
	entries := o.list(name, required)
	if o.err != nil {
		return nil
	}
	if nonempty && len(entries) < 1 || len(entries) > MaxMessages {
		o.fail(name, fmt.Sprintf("A run takes 1 to %d new messages, not %d.", MaxMessages, len(entries)))
		return nil
	}
	out := make([]agui.Message, 0, len(entries))
	for i, raw := range entries {
		path := fmt.Sprintf("%s[%d]", o.at(name), i)
		m, err := decodeMessage(raw, path)
		for _, previous := range out {
			if err == nil && previous.ID == m.ID {
				err = bad(path+".id", "Two messages have this id; give each its own.")
			}
		}
		if err != nil {
			o.setErr(err)
			return nil
		}
		out = append(out, m)
	}
	return out
}

func decodeMessage(raw []byte, path string) (agui.Message, *Error) {
	o, err := readObject(raw, path)
	if err != nil {
		return agui.Message{}, err
	}
	m := agui.Message{ID: o.id("id", required), Role: agui.Role(o.text("role", required))}
	if m.Role != agui.RoleUser {
		o.fail("role", "A new message must have role user; the others are the agent's.")
	}
	if kind(o.fields["content"]) == "a list" {
		o.fail("content", "Content in parts is not supported; send the text as one string.")
	}
	m.Content = o.text("content", required)
	if o.err == nil && chars.Blank(m.Content) {
		o.fail("content", "The text is empty; write something.")
	}
	if o.err == nil && len(m.Content) > MaxText {
		o.fail("content", fmt.Sprintf("The text is %d bytes long; send at most %d.", len(m.Content), MaxText))
		o.err.Code = CodeTooLarge
	}
	m.Metadata = o.metadata("metadata")
	o.end()
	return m, o.err
}

// Cancel ends a run.
type Cancel struct {
	Header
	RunID chat.RunID `json:"runId"`
}

// Named returns the run.
func (f *Cancel) Named() Named { return Named{Run: f.RunID} }

func decodeCancel(o *object, h Header) *Cancel {
	return &Cancel{Header: h, RunID: chat.RunID(o.id("runId", required))}
}

// Accepted reports that a run, its cancellation or an Erase is durable.
type Accepted struct {
	Kind
	RequestID string        `json:"requestId,omitempty"`
	RunID     chat.RunID    `json:"runId,omitempty"`    // absent for an Erase
	ThreadID  chat.ThreadID `json:"threadId,omitempty"` // absent for the cancel of an unknown run
	State     string        `json:"state"`              // running, queued, ended (a repeat), erasing
	Position  int           `json:"position,omitempty"` // in the queue, from 1
}

// Rejected refuses a run. Nothing was stored.
type Rejected struct {
	Kind
	RequestID    string           `json:"requestId,omitempty"`
	RunID        chat.RunID       `json:"runId"`
	Code         Code             `json:"code"`
	Message      string           `json:"message"`
	Field        string           `json:"field,omitempty"`        // with CodeInterrupted: the wrong part of a response
	RetryAfterMS int64            `json:"retryAfterMs,omitempty"` // with CodeRateLimited and CodeBudgetReached
	Interrupts   []agui.Interrupt `json:"interrupts,omitempty"`   // with CodeInterrupted: the open ones; absent: none
}

// Ended reports that a run ended before it began. Such a run has no events.
type Ended struct {
	Kind
	RunID    chat.RunID     `json:"runId"`
	ThreadID chat.ThreadID  `json:"threadId"`
	Status   chat.RunStatus `json:"status"`
}

// Events holds consecutive events of one run. Row, if there is one, is the row of the thread list as of these events. A
// client applies it after the events, like the row of a Thread.
type Events struct {
	Kind
	ThreadID chat.ThreadID `json:"threadId"`
	Epoch    chat.Epoch    `json:"epoch"`
	Seq      chat.Seq      `json:"seq"` // of the first
	RunID    chat.RunID    `json:"runId"`
	Events   []agui.Event  `json:"events"`
	Row      *ThreadInfo   `json:"row,omitempty"`
}

// shown returns the events as frames show them. It empties the data that a provider wants back (the value of
// REASONING_ENCRYPTED_VALUE), which only the log holds; the event itself keeps its place in the sequence. It replaces
// the nil message list in the input of a RUN_STARTED by an empty one. It works on a copy, because events are shared.
func shown(events []agui.Event) []agui.Event {
	out := events
	change := func(i int, e agui.Event) {
		if &out[0] == &events[0] {
			out = slices.Clone(events)
		}
		out[i] = e
	}
	for i, e := range events {
		if e.EncryptedValue != nil {
			e.EncryptedValue = new(string)
			change(i, e)
		}
		if e.Input != nil && e.Input.Messages == nil {
			in := *e.Input
			in.Messages = []agui.Message{}
			e.Input = &in
			change(i, e)
		}
	}
	return out
}
