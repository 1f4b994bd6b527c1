package agui

import (
	"bytes"
	"encoding/json"
	"slices"

	"carrel/shared/chat"
)

// Folder folds the events of runs, in order, into the messages that they build: the transcript of a run, and a
// client's view of a thread. The npm client's Folder gives the same for every stream, also one that no run makes:
// testdata/folds has the rules, one each. An event that names a message or a call that does not exist is passed over. It
// is for one goroutine. The zero Folder is ready, and holds everything.
type Folder struct {
	// MaxBytes bounds the bytes that are held. What does not fit is left out, with a mark that tells how much: of the longest
	// texts first, then whole messages, but the user's. 0: no bound. It is set before the first Add.
	MaxBytes int

	most     int        // bytes of one text that are held; 0: all
	held     int        // bytes
	gone     int        // messages that were left out
	mark     *folding   // stands for them
	run      chat.RunID // of the last RUN_STARTED
	messages []*folding
	byID     map[string]*folding
	calls    map[string]*foldingCall // that the last run began: their arguments may still come
}

// folding is a message while events still build it. It is held by pointer: a strings.Builder must not be copied.
type folding struct {
	message Message
	run     chat.RunID // that the message is of; "": it is not known
	content beginning
	calls   []*foldingCall
}

type foldingCall struct {
	id, name  string
	arguments beginning
}

// Add folds one event in. Events that build no message (RUN_FINISHED, STEP_*, CUSTOM) change nothing. The user's own
// messages come from RUN_STARTED's input, once per id.
func (f *Folder) Add(e Event) {
	switch e.Type {
	case RunStarted:
		f.run = e.RunID
		clear(f.calls) // a model may name its calls the same in every run
		f.input(e.Input)
	case TextMessageStart, ReasoningMessageStart:
		f.start(e)
	case TextMessageContent, ReasoningMessageContent:
		if m := f.byID[e.MessageID]; m != nil {
			f.write(&m.content, e.Delta)
			m.merge(e.Metadata)
		}
	case TextMessageEnd, ReasoningMessageEnd:
		if m := f.byID[e.MessageID]; m != nil {
			m.merge(e.Metadata)
		}
	case ToolCallStart:
		f.startCall(e)
	case ToolCallArgs:
		if c := f.calls[e.ToolCallID]; c != nil {
			f.write(&c.arguments, e.Delta)
		}
	case ToolCallResult:
		f.result(e)
	}
}

// Runs are the runs of Messages, one for each; "" where the run is not known.
func (f *Folder) Runs() []chat.RunID {
	runs := make([]chat.RunID, len(f.messages))
	for i, m := range f.messages {
		runs[i] = m.run
	}
	return runs
}

// Messages are the messages so far, oldest first, as a copy. It is never nil.
func (f *Folder) Messages() []Message { return f.Truncated(0) }

func (f *Folder) input(in *RunInput) {
	if in == nil {
		return
	}
	for _, m := range in.Messages {
		if f.byID[m.ID] != nil {
			continue
		}
		at := len(f.messages)
		if m.Role == RoleTool { // a snapshot's, whose call an earlier run made
			at = f.behind(m.ToolCallID)
		}
		folded := f.insert(at, m)
		for _, c := range m.ToolCalls {
			f.write(&f.addCall(folded, c.ID, c.Function.Name).arguments, c.Function.Arguments)
		}
	}
}

func (f *Folder) start(e Event) {
	m := f.byID[e.MessageID]
	if m == nil {
		role := e.Role
		switch {
		case e.Type == ReasoningMessageStart:
			role = RoleReasoning
		case role == "":
			role = RoleAssistant
		}
		m = f.insert(len(f.messages), Message{ID: e.MessageID, Role: role})
	}
	m.merge(e.Metadata)
}

// startCall puts the call into the assistant message that the event names, or else into one with the call's id. If there
// is none, it is made.
func (f *Folder) startCall(e Event) {
	if f.calls[e.ToolCallID] != nil {
		return
	}
	id := e.ParentMessageID
	if id == "" || !f.mayCall(id) {
		id = e.ToolCallID
	}
	if !f.mayCall(id) {
		return
	}
	m := f.byID[id]
	if m == nil {
		m = f.insert(len(f.messages), Message{ID: id, Role: RoleAssistant})
	}
	m.merge(e.Metadata)
	if f.calls == nil {
		f.calls = map[string]*foldingCall{}
	}
	f.calls[e.ToolCallID] = f.addCall(m, e.ToolCallID, e.ToolCallName)
}

// mayCall reports whether a call may be in the message of this id: it is an assistant's, or there is none yet.
func (f *Folder) mayCall(id string) bool {
	m := f.byID[id]
	return m == nil || m.message.Role == RoleAssistant
}

func (f *Folder) addCall(m *folding, id, name string) *foldingCall {
	c := &foldingCall{id: id, name: name}
	m.calls = append(m.calls, c)
	f.held += frame
	return c
}

// result puts the tool's message behind the message that made the call and the results that are there already: models
// refuse a conversation in which a call is not followed by its result.
func (f *Folder) result(e Event) {
	if f.byID[e.MessageID] != nil {
		return
	}
	m := Message{ID: e.MessageID, Role: RoleTool, ToolCallID: e.ToolCallID}
	if e.Content != nil {
		m.Content = *e.Content
	}
	f.insert(f.behind(e.ToolCallID), m).merge(e.Metadata)
}

// behind is where the result of a call belongs; the end if the call is not known. Of two calls of one id it is that of the
// last run, or else the later one's.
func (f *Folder) behind(call string) int {
	made := func(c *foldingCall) bool { return c.id == call }
	if c := f.calls[call]; c != nil {
		made = func(other *foldingCall) bool { return other == c }
	}
	for at, m := range slices.Backward(f.messages) {
		if slices.ContainsFunc(m.calls, made) {
			for at++; at < len(f.messages) && f.messages[at].message.Role == RoleTool; at++ {
			}
			return at
		}
	}
	return len(f.messages)
}

func (f *Folder) insert(at int, m Message) *folding {
	folded := &folding{run: f.run, message: Message{ID: m.ID, Role: m.Role, ToolCallID: m.ToolCallID}}
	folded.message.Metadata = bytes.Clone(m.Metadata)
	f.messages = slices.Insert(f.messages, at, folded)
	if f.byID == nil {
		f.byID = map[string]*folding{}
	}
	f.byID[m.ID] = folded
	f.held += frame
	f.write(&folded.content, m.Content)
	return folded
}

// merge lays the keys of an event's metadata over the message's. A key's value is replaced as a whole.
func (m *folding) merge(metadata json.RawMessage) {
	var add map[string]json.RawMessage
	if len(metadata) == 0 || json.Unmarshal(metadata, &add) != nil || add == nil {
		return // absent, or no object: nothing that a client could show
	}
	var have map[string]json.RawMessage
	if len(m.message.Metadata) == 0 || json.Unmarshal(m.message.Metadata, &have) != nil || have == nil {
		have = map[string]json.RawMessage{}
	}
	for key, value := range add {
		have[key] = value
	}
	if merged, err := json.Marshal(have); err == nil {
		m.message.Metadata = merged
	}
}
