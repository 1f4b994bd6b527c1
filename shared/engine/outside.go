package engine

import (
	"slices"

	"carrel/shared/agui"
	"carrel/shared/tool"
)

// before returns what the model had read before it requested a call of this run. An unknown call was requested after
// everything else. It uses the whole history, because planted text stays in the thread, and what the model wrote about
// it remains when the text itself is left out of a request.
func (r *run) before(call string) (c tool.Conversation) {
	requested := false
	is := func(c agui.ToolCall) bool { return c.ID == call }
	for _, m := range r.c.History {
		requested = requested || slices.ContainsFunc(m.ToolCalls, is)
		if m.Role == agui.RoleTool && !requested && agui.MarksOf(m.Metadata).Outside {
			c.Outside = true
		}
	}
	for _, m := range r.said { // the question to a sub-agent is a model's, whatever its role
		if m.Role == agui.RoleUser && m.SubagentRunID == "" {
			c.Person = append(c.Person, m.Content)
		}
	}
	c.Outside = c.Outside || r.outside && !requested || r.tainted
	return c
}

// hasOutside reports whether one of these results holds text from outside.
func hasOutside(results []agui.Message) bool {
	return slices.ContainsFunc(results, func(m agui.Message) bool { return agui.MarksOf(m.Metadata).Outside })
}
