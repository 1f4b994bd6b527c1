package engine

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"carrel/shared/agui"
)

// The marks that a model reads after an answer that was cut off. The person saw the answer only up to the mark.
const (
	stoppedMark = "[stopped here by the person]"
	cutMark     = "[cut off]"
)

// between separates the texts of one answer when its messages become one message for a model.
const between = "\n\n"

// entry is one entry of a conversation as a model receives it: a user's message, or an answer that is joined from all
// its messages, with the results of its calls.
type entry struct {
	message agui.Message
	results []agui.Message // one for each call of the message
	marks   agui.Marks     // the combined marks of the answer's messages and of its calls' results
	called  bool           // the answer calls a tool, even if the call is left out for the model
}

// conversation groups the messages of a thread, in their order, into entries.
func conversation(history []agui.Message) []*entry {
	results := map[string]agui.Message{}
	for _, m := range history {
		if _, twice := results[m.ToolCallID]; m.Role == agui.RoleTool && !twice {
			results[m.ToolCallID] = m
		}
	}
	var all []*entry
	answers := map[string]*entry{} // by the id of their first message
	for _, m := range history {
		marks := agui.MarksOf(m.Metadata)
		e := answers[marks.Continues]
		switch {
		case m.Role == agui.RoleTool, m.Role == agui.RoleReasoning && e == nil:
		case m.Role == agui.RoleReasoning:
			e.mark(marks)
		case e == nil:
			e = &entry{message: m}
			e.message.Content, e.message.ToolCalls = "", nil
			all = append(all, e)
			answers[cmp.Or(marks.Continues, m.ID)] = e // a long transcript may lack the first message
			e.add(m, marks, results)
		default:
			e.add(m, marks, results)
		}
	}
	return all
}

// add adds a message to the entry that it continues. A call is added only together with its result, which may come
// later in the history, because a person responds in a later run.
func (e *entry) add(m agui.Message, marks agui.Marks, results map[string]agui.Message) {
	e.mark(marks)
	if e.message.Content != "" && m.Content != "" {
		e.message.Content += between
	}
	e.message.Content += m.Content
	for _, c := range m.ToolCalls {
		e.called = true
		result, ok := results[c.ID]
		e.mark(agui.MarksOf(result.Metadata))
		if ok && callable(c) {
			e.message.ToolCalls = append(e.message.ToolCalls, c)
			e.results = append(e.results, result)
		}
	}
}

func (e *entry) mark(m agui.Marks) {
	e.marks.Incomplete = e.marks.Incomplete || m.Incomplete
	e.marks.Again = e.marks.Again || m.Again
	e.marks.Stopped = e.marks.Stopped || m.Stopped
	if m.Stop != "" {
		e.marks.Stop = m.Stop
	}
}

// forModel returns the part of a thread that a model receives, as a copy. It leaves out reasoning, because providers
// accept it only with their own signatures. It leaves out calls without a result, and answers that a worker's death cut
// off and that are given again. Other answers that were cut off stay and end with a mark, because the person has read
// them.
func forModel(history []agui.Message) []agui.Message {
	all := conversation(history)
	out := make([]agui.Message, 0, len(history))
	for i, s := range all {
		if s.marks.Again && repeated(all[i+1:]) {
			continue
		}
		m := s.message
		if m.Role == agui.RoleAssistant {
			m.Metadata = s.marks.Metadata()
		}
		if s.marks.Incomplete && m.Role == agui.RoleAssistant {
			m.Content = strings.TrimPrefix(m.Content+" "+s.cut(), " ")
		}
		if m.Role == agui.RoleAssistant && m.Content == "" && len(m.ToolCalls) == 0 {
			continue
		}
		out = append(append(out, m), s.results...)
	}
	return out
}

// repeated reports whether the run gives an answer again that a worker's death cut off, by the entries after it: the
// run has done so, or it will, because no user message follows.
func repeated(later []*entry) bool {
	return len(later) == 0 || later[0].message.Role == agui.RoleAssistant
}

// cut returns the mark of an answer that was cut off.
func (e *entry) cut() string {
	if e.marks.Stopped {
		return stoppedMark
	}
	return cutMark
}

// callable reports whether the call's arguments are JSON. Arguments that were cut off may not be, and providers reject
// them.
func callable(c agui.ToolCall) bool {
	return strings.TrimSpace(c.Function.Arguments) == "" || json.Valid([]byte(c.Function.Arguments))
}

// DropUnfinished returns the messages of a run that continues after its worker's death, without an answer that was cut
// off: an answer with text, without a call and without a stop reason. The model does not receive that answer and gives
// it again.
func DropUnfinished(messages []agui.Message) []agui.Message {
	cut := map[string]bool{}
	for _, s := range conversation(messages) {
		if s.message.Role == agui.RoleAssistant && !s.called && s.marks.Stop == "" {
			cut[s.message.ID] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(messages), func(m agui.Message) bool {
		return cut[m.ID] || cut[agui.MarksOf(m.Metadata).Continues]
	})
}

// complete reports whether a conversation, as a model receives it, ends with a complete answer.
func complete(history []agui.Message) bool {
	if len(history) == 0 {
		return false
	}
	last := history[len(history)-1]
	return last.Role == agui.RoleAssistant && len(last.ToolCalls) == 0 && agui.MarksOf(last.Metadata).Stop != ""
}
