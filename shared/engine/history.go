package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
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
// later in the history, because a person responds in a later run. A call that was cut off in its arguments is left out
// with its result.
func (e *entry) add(m agui.Message, marks agui.Marks, results map[string]agui.Message) {
	e.mark(marks)
	if e.message.Content != "" && m.Content != "" {
		e.message.Content += between
	}
	e.message.Content += m.Content
	for _, c := range m.ToolCalls {
		result, ok := results[c.ID]
		e.mark(agui.MarksOf(result.Metadata))
		if ok && (json.Valid([]byte(c.Function.Arguments)) || !agui.MarksOf(result.Metadata).Incomplete) {
			e.message.ToolCalls = append(e.message.ToolCalls, forProvider(c))
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
// accept it only with their own signatures. It leaves out calls without a result, and answers that were cut off and are
// given again. Other answers that were cut off stay and end with a mark, because the person has read them. A turn whose
// answer a content policy withheld becomes two messages that say so: a question that was blocked is not sent again.
func forModel(history []agui.Message) []agui.Message {
	all := withoutFiltered(conversation(history))
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

// forProvider returns a call with arguments that every provider accepts. Arguments that are not JSON were cut off, and
// the call was not made, as its result says.
func forProvider(c agui.ToolCall) agui.ToolCall {
	if !json.Valid([]byte(c.Function.Arguments)) {
		c.Function.Arguments = "{}"
	}
	return c
}

// withheldQuestion replaces the messages of a user in a turn that a content policy withheld.
const withheldQuestion = "[withheld by the content policy]"

// withoutFiltered replaces each turn whose answer a content policy withheld. What remains are the names and the
// outcomes of its calls, because their effects remain.
func withoutFiltered(all []*entry) (out []*entry) {
	var turn []*entry // a user's messages and the answers to them
	flush := func() {
		if slices.ContainsFunc(turn, func(e *entry) bool { return e.marks.Stop == string(StopFiltered) }) {
			turn = withheldTurn(turn)
		}
		out, turn = append(out, turn...), nil
	}
	for _, e := range all {
		if n := len(turn); n > 0 && e.message.Role == agui.RoleUser && turn[n-1].message.Role != agui.RoleUser {
			flush()
		}
		turn = append(turn, e)
	}
	flush()
	return out
}

// withheldTurn returns the two entries that stand for a withheld turn.
func withheldTurn(turn []*entry) []*entry {
	var calls []string
	for _, e := range turn {
		for i, c := range e.message.ToolCalls {
			outcome := cmp.Or(agui.MarksOf(e.results[i].Metadata).Outcome, "done")
			calls = append(calls, fmt.Sprintf("%s (%s)", c.Function.Name, outcome))
		}
	}
	text := "[withheld]"
	if len(calls) > 0 {
		text = fmt.Sprintf("[withheld. Tools called: %s]", strings.Join(calls, ", "))
	}
	first, last := *turn[0], *turn[len(turn)-1]
	pair := []*entry{{message: agui.Message{ID: last.message.ID, Role: agui.RoleAssistant, Content: text}}}
	if first.message.Role == agui.RoleUser {
		question := &entry{message: agui.Message{ID: first.message.ID, Role: agui.RoleUser, Content: withheldQuestion}}
		pair = append([]*entry{question}, pair...)
	}
	return pair
}
