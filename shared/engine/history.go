package engine

import (
	"encoding/json"
	"slices"

	"carrel/shared/agui"
)

// forModel is the part of a thread that a model is sent: no thinking (which providers take only with their own
// signatures), no message that was cut off, and calls only with their results. It is a copy.
func forModel(history []agui.Message) []agui.Message {
	answered, called := map[string]bool{}, map[string]bool{}
	for _, m := range history {
		if m.Role == agui.RoleTool {
			answered[m.ToolCallID] = true
		}
	}
	out := make([]agui.Message, 0, len(history))
	for _, m := range history {
		if m.Role == agui.RoleReasoning || incomplete(m) || m.Role == agui.RoleTool && !called[m.ToolCallID] {
			continue
		}
		calls := slices.DeleteFunc(slices.Clone(m.ToolCalls), func(c agui.ToolCall) bool { return !answered[c.ID] })
		if m.Role == agui.RoleAssistant && m.Content == "" && len(calls) == 0 {
			continue
		}
		for _, c := range calls {
			called[c.ID] = true
		}
		m.ToolCalls = calls
		out = append(out, m)
	}
	return out
}

// incomplete reports whether a message was cut off (agui.Incomplete).
func incomplete(m agui.Message) bool {
	var metadata struct {
		Carrel struct {
			Incomplete bool `json:"incomplete"`
		} `json:"carrel"`
	}
	return json.Unmarshal(m.Metadata, &metadata) == nil && metadata.Carrel.Incomplete
}
