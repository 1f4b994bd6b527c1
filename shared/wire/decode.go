package wire

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"carrel/shared/agui"
	"carrel/shared/chars"
	"carrel/shared/chat"
	"carrel/shared/visible"
)

// Bounds of numbers. A sequence number has at most 12 digits because keys are made with so many.
const (
	maxN     = 1<<53 - 1
	maxSeq   = 999_999_999_999
	maxLimit = 100

	maxListCursor = 256 // bytes: more than the base64 of any id with its time
)

// DecodeClient decodes one frame of a client strictly: an unknown type, a missing or extra field, a wrong type, a bad
// id or an over-long text gives an *Error (bad_frame or too_large) that names the field, ready to be sent, with the
// frame's requestId if that much could be read.
func DecodeClient(data []byte) (ClientFrame, *Error) {
	if len(data) > MaxFrame {
		return nil, &Error{Type: TypeError, Code: CodeTooLarge,
			Message: fmt.Sprintf("The frame is %d bytes long; send at most %d.", len(data), MaxFrame)}
	}
	if !utf8.Valid(data) {
		return nil, bad("", "The frame is not UTF-8 text.")
	}
	o, err := readObject(data, "")
	if err != nil {
		if o != nil {
			err.RequestID = o.readableID("requestId")
		}
		return nil, err
	}
	f := decodeFrame(o)
	if o.err != nil {
		o.err.RequestID = o.readableID("requestId")
		return nil, o.err
	}
	return f, nil
}

// decodeFrame reads the frame that its type names. What is wrong is in o.err.
func decodeFrame(o *object) ClientFrame {
	h := Header{Type: Type(o.text("type", required)), RequestID: o.id("requestId", optional)}
	if o.err != nil {
		return nil
	}
	var f ClientFrame
	switch h.Type {
	case TypeHello:
		f = &Hello{Header: h, N: o.integer("n", 1, maxN, required),
			ThreadID: chat.ThreadID(o.id("threadId", optional)), Cursor: o.cursor("cursor")}
	case TypeRun:
		f = decodeRun(o, h)
	case TypeCancel:
		f = &Cancel{Header: h, RunID: chat.RunID(o.id("runId", required))}
	case TypeThreads:
		f = &Threads{Header: h, Before: o.listCursor("before"),
			Limit: int(o.integer("limit", 1, maxLimit, optional))}
	case TypeHistory:
		f = &History{Header: h, ThreadID: chat.ThreadID(o.id("threadId", required)),
			Before: chat.Seq(o.integer("before", 1, maxSeq, optional)),
			Limit:  int(o.integer("limit", 1, maxLimit, optional))}
	case TypeRename:
		f = &Rename{Header: h, ThreadID: chat.ThreadID(o.id("threadId", required)), Title: o.title("title")}
	case TypeDelete:
		f = &Delete{Header: h, ThreadID: chat.ThreadID(o.id("threadId", required))}
	case TypeRuns:
		f = &Runs{Header: h, Before: o.listCursor("before"),
			Limit: int(o.integer("limit", 1, maxLimit, optional))}
	case TypeErase:
		f = &Erase{Header: h, Confirm: o.confirmed("confirm", "everything is erased for ever.")}
	case TypeSignOut:
		f = &SignOut{Header: h, Everywhere: o.confirmed("everywhere", "every session of yours is ended."), CancelRuns: o.boolean("cancelRuns")}
	case TypePing:
		f = &Ping{Header: h, ThreadID: chat.ThreadID(o.id("threadId", optional)), Cursor: o.cursor("cursor")}
	default:
		o.fail("type", fmt.Sprintf("There is no frame of type %q; use hello, run, cancel, threads, history, rename, delete, runs, erase, signOut or ping.", clip(string(h.Type))))
	}
	o.end()
	return f
}

func decodeRun(o *object, h Header) *Run {
	for _, name := range []string{"tools", "context", "state", "forwardedProps"} {
		if _, there := o.fields[name]; there {
			o.fail(name, notTaken(name))
			return nil
		}
	}
	f := &Run{Header: h, N: o.integer("n", 1, maxN, required),
		RunID:    chat.RunID(o.id("runId", required)),
		ThreadID: chat.ThreadID(o.id("threadId", required)),
		Resume:   o.answers("resume"),
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

// notTaken says of AG-UI's members of a run that Carrel does not take why, and what to do instead.
func notTaken(name string) string {
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

// title reads what a person calls a thread: one line, without white space around it.
func (o *object) title(name string) string {
	s := strings.TrimSpace(o.text(name, required))
	n := utf8.RuneCountInString(s)
	unseen, hides := visible.Hidden(s)
	switch {
	case o.err != nil:
	case chars.Blank(s):
		o.fail(name, "The title is empty; write something.")
	case n > MaxTitle:
		o.fail(name, fmt.Sprintf("The title is %d characters long; send at most %d.", n, MaxTitle))
	case hides:
		o.fail(name, fmt.Sprintf("The title has the character U+%04X, which cannot be seen or does not stay in its line; leave it out.", unseen))
	}
	return s
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

// listCursor reads where a page of a list begins. What is in it only the store knows.
func (o *object) listCursor(name string) chat.ListCursor {
	s := o.text(name, optional)
	outside := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	}
	if _, there := o.fields[name]; there && o.err == nil && (s == "" || len(s) > maxListCursor || strings.ContainsFunc(s, outside)) {
		o.fail(name, "This is not a cursor; send the before of an answer, or leave it out.")
	}
	return chat.ListCursor(s)
}

func (o *object) cursor(name string) *chat.Cursor {
	in := o.object(name)
	if in == nil {
		return nil
	}
	c := &chat.Cursor{Epoch: chat.Epoch(in.id("epoch", required)), Seq: chat.Seq(in.integer("seq", 0, maxSeq, required))}
	in.end()
	o.adopt(in)
	return c
}

// messages reads a run's new messages: at least one, unless it answers interrupts.
func (o *object) messages(name string, one bool) []agui.Message {
	list := o.list(name, required)
	if o.err != nil {
		return nil
	}
	if one && len(list) < 1 || len(list) > MaxMessages {
		o.fail(name, fmt.Sprintf("A run takes 1 to %d new messages, not %d.", MaxMessages, len(list)))
		return nil
	}
	out := make([]agui.Message, 0, len(list))
	for i, raw := range list {
		path := fmt.Sprintf("%s[%d]", o.at(name), i)
		m, err := decodeMessage(raw, path)
		for _, earlier := range out {
			if err == nil && earlier.ID == m.ID {
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
