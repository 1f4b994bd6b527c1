package engine

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"carrel/shared/agui"
)

// What a model reads behind an answer that was cut off, as far as a person saw it.
const (
	stoppedMark = "[stopped here by the person]"
	cutMark     = "[cut off]"
)

// between is what stands between the texts of one answer, which are messages of their own, where they are one for a model.
const between = "\n\n"

// said is a message of a conversation as a model is sent it: one of the user's, or an answer, joined from all its
// messages, with the results of its calls.
type said struct {
	message agui.Message
	results []agui.Message // one for each of the message's calls
	marks   agui.Marks     // of the answer's messages and of the results of its calls, together
	called  bool           // it calls a tool, if perhaps in a way that no model is sent
}

// conversation reads the messages of a thread, in their order, as what was said.
func conversation(history []agui.Message) []*said {
	results := map[string]agui.Message{}
	for _, m := range history {
		if _, twice := results[m.ToolCallID]; m.Role == agui.RoleTool && !twice {
			results[m.ToolCallID] = m
		}
	}
	var all []*said
	answers := map[string]*said{} // by the id of their first message
	for _, m := range history {
		marks := agui.MarksOf(m.Metadata)
		of := answers[marks.Continues]
		switch {
		case m.Role == agui.RoleTool, m.Role == agui.RoleReasoning && of == nil:
		case m.Role == agui.RoleReasoning:
			of.mark(marks)
		case of == nil:
			of = &said{message: m}
			of.message.Content, of.message.ToolCalls = "", nil
			all = append(all, of)
			answers[cmp.Or(marks.Continues, m.ID)] = of // the first may have been left out of a long transcript
			of.add(m, marks, results)
		default:
			of.add(m, marks, results)
		}
	}
	return all
}

// add adds a message to what it continues. Calls are added only with their results, which follow them whatever came
// between: a person's answer comes in a later run.
func (s *said) add(m agui.Message, marks agui.Marks, results map[string]agui.Message) {
	s.mark(marks)
	if s.message.Content != "" && m.Content != "" {
		s.message.Content += between
	}
	s.message.Content += m.Content
	for _, c := range m.ToolCalls {
		s.called = true
		result, ok := results[c.ID]
		s.mark(agui.MarksOf(result.Metadata))
		if ok && callable(c) {
			s.message.ToolCalls = append(s.message.ToolCalls, c)
			s.results = append(s.results, result)
		}
	}
}

func (s *said) mark(m agui.Marks) {
	s.marks.Incomplete = s.marks.Incomplete || m.Incomplete
	s.marks.Again = s.marks.Again || m.Again
	s.marks.Stopped = s.marks.Stopped || m.Stopped
	if m.Stop != "" {
		s.marks.Stop = m.Stop
	}
}

// forModel is the part of a thread that a model is sent: no thinking (which providers take only with their own
// signatures), calls only with their results, and of the answers that a worker's death cut off only those that were not
// given again. What else was cut off says so: the person has read it. It is a copy.
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

// repeated reports whether a run gives an answer again that a worker's death cut off: it has done so, or it will, if no
// question of the user's has come since.
func repeated(later []*said) bool {
	return len(later) == 0 || later[0].message.Role == agui.RoleAssistant
}

func (s *said) cut() string {
	if s.marks.Stopped {
		return stoppedMark
	}
	return cutMark
}

// callable reports whether the call's arguments are JSON: those of a call that was cut off may not be, and providers
// refuse them.
func callable(c agui.ToolCall) bool {
	return strings.TrimSpace(c.Function.Arguments) == "" || json.Valid([]byte(c.Function.Arguments))
}

// DropUnfinished are the messages of a run that goes on after its worker's death, without those of an answer that was cut off
// at its end: it has said something, called nothing, and does not tell why it stopped. The model is not sent it, and says
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

// answered reports whether a conversation, as a model is sent it, ends with a whole answer.
func answered(history []agui.Message) bool {
	if len(history) == 0 {
		return false
	}
	last := history[len(history)-1]
	return last.Role == agui.RoleAssistant && len(last.ToolCalls) == 0 && agui.MarksOf(last.Metadata).Stop != ""
}
