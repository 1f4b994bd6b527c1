package agui

import (
	"bytes"
	"encoding/json"
	"slices"

	"carrel/shared/chat"
)

// Folder folds the events of runs, in order, into the messages that they build. Transcripts of runs and a client's view
// of a thread are made by it. The npm client's Folder gives the same result for every stream, even for one that no run
// can produce: each file of testdata/folds is one rule. An event that names an unknown message or call has no effect. A
// Folder must not be used concurrently. The zero Folder is ready to use and has no bound.
type Folder struct {
	// MaxBytes bounds the bytes that are held; 0 means no bound. Beyond it, the longest texts are cut first, and then
	// messages other than the user's are dropped. A mark states how much is missing. It must be set before the first
	// Add.
	MaxBytes int

	most     int        // the bound of one text in bytes; 0 for none
	held     int        // the bytes that are held
	gone     int        // the number of dropped messages
	mark     *folding   // the message in their place
	run      chat.RunID // the run of the last RUN_STARTED
	messages []*folding
	byID     map[string]*folding
	calls    map[string]*foldingCall // the calls of the last run, whose arguments may be incomplete
}

// folding is a message under construction. It is used by pointer, because a strings.Builder must not be copied.
type folding struct {
	message Message
	run     chat.RunID // the run of the message; "" if unknown
	content beginning
	calls   []*foldingCall
}

type foldingCall struct {
	id, name  string
	arguments beginning
}

// Add folds in one event. Events that build no message (RUN_FINISHED, STEP_*, CUSTOM) have no effect. The user's
// messages are taken from RUN_STARTED's input, once per id.
func (f *Folder) Add(e Event) {
	switch e.Type {
	case RunStarted:
		f.run = e.RunID
		clear(f.calls) // a model may use the same call ids in every run
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

// Runs returns the run of each message of Messages, or "" where the run is unknown.
func (f *Folder) Runs() []chat.RunID {
	runs := make([]chat.RunID, len(f.messages))
	for i, m := range f.messages {
		runs[i] = m.run
	}
	return runs
}

// Messages returns a copy of the messages so far, oldest first. It is never nil.
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
		if m.Role == RoleTool { // from a snapshot; an earlier run made its call
			at = f.resultIndex(m.ToolCallID)
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
		m = f.insert(len(f.messages), Message{ID: e.MessageID, Role: role, SubagentRunID: e.SubagentRunID})
	}
	m.merge(e.Metadata)
}

// startCall adds the call to the assistant message that the event names, or else to the message with the call's id. It
// makes the message if there is none.
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
		m = f.insert(len(f.messages), Message{ID: id, Role: RoleAssistant, SubagentRunID: e.SubagentRunID})
	}
	m.merge(e.Metadata)
	if f.calls == nil {
		f.calls = map[string]*foldingCall{}
	}
	f.calls[e.ToolCallID] = f.addCall(m, e.ToolCallID, e.ToolCallName)
}

// mayCall reports whether the message of this id can have a call: it is an assistant's, or does not exist yet.
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

// result inserts the tool's message after the message that made the call, and after the results that are there already.
// Model providers reject a conversation in which a call is not followed by its result.
func (f *Folder) result(e Event) {
	if f.byID[e.MessageID] != nil {
		return
	}
	m := Message{ID: e.MessageID, Role: RoleTool, ToolCallID: e.ToolCallID, SubagentRunID: e.SubagentRunID}
	if e.Content != nil {
		m.Content = *e.Content
	}
	f.insert(f.resultIndex(e.ToolCallID), m).merge(e.Metadata)
}

// resultIndex returns the index at which the result of a call is inserted: the end if the call is unknown. If two calls
// have the id, it uses the last run's call, or else the later call.
func (f *Folder) resultIndex(call string) int {
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
	folded := &folding{run: f.run, message: Message{ID: m.ID, Role: m.Role, ToolCallID: m.ToolCallID,
		SubagentRunID: m.SubagentRunID}}
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

// merge sets the keys of an event's metadata in the message's metadata. It replaces a key's value as a whole.
func (m *folding) merge(metadata json.RawMessage) {
	var add map[string]json.RawMessage
	if len(metadata) == 0 || json.Unmarshal(metadata, &add) != nil || add == nil {
		return // absent, or not an object
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
