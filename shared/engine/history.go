package engine

import (
	"encoding/json"
	"slices"
	"strings"

	"carrel/shared/agui"
)

// forModel is the part of a thread that a model is sent: no thinking (which providers take only with their own
// signatures), no message that was cut off, and calls only with their results, which follow them whatever came between:
// a person's answer comes in a later run. It is a copy.
func forModel(history []agui.Message) []agui.Message {
	results := map[string]agui.Message{}
	for _, m := range history {
		if _, twice := results[m.ToolCallID]; m.Role == agui.RoleTool && !twice {
			results[m.ToolCallID] = m
		}
	}
	out := make([]agui.Message, 0, len(history))
	for _, m := range history {
		if m.Role == agui.RoleReasoning || m.Role == agui.RoleTool || cut(m, results) {
			continue
		}
		calls := slices.DeleteFunc(slices.Clone(m.ToolCalls), func(c agui.ToolCall) bool {
			_, ok := results[c.ID]
			return !ok || !callable(c)
		})
		if m.Role == agui.RoleAssistant && m.Content == "" && len(calls) == 0 {
			continue
		}
		m.ToolCalls = calls
		out = append(out, m)
		for _, c := range calls {
			out = append(out, results[c.ID])
		}
	}
	return out
}

// cut reports whether a message was cut off, also while it made its calls.
func cut(m agui.Message, results map[string]agui.Message) bool {
	return said(m).Incomplete || slices.ContainsFunc(m.ToolCalls, func(c agui.ToolCall) bool { return said(results[c.ID]).Incomplete })
}

// callable reports whether the call's arguments are JSON: those of a call that was cut off may not be, and providers
// refuse them.
func callable(c agui.ToolCall) bool {
	return strings.TrimSpace(c.Function.Arguments) == "" || json.Valid([]byte(c.Function.Arguments))
}

// Unfinished reports whether a message of a run that goes on after its worker's death was cut off at its end: it has
// said something, called nothing, and does not tell why it stopped. The model is not sent it, and says it again.
func Unfinished(m agui.Message) bool {
	return m.Role == agui.RoleAssistant && len(m.ToolCalls) == 0 && said(m).Stop == ""
}

// answered reports whether a conversation ends with a whole answer.
func answered(history []agui.Message) bool {
	if len(history) == 0 {
		return false
	}
	last := history[len(history)-1]
	return last.Role == agui.RoleAssistant && len(last.ToolCalls) == 0 && said(last).Stop != ""
}

// ours is what Carrel says of a message in its metadata.
type ours struct {
	Incomplete bool   `json:"incomplete"` // it was cut off (agui.Incomplete)
	Stop       string `json:"stop"`       // why its model stopped behind it
}

func said(m agui.Message) ours {
	var metadata struct {
		Carrel ours `json:"carrel"`
	}
	if json.Unmarshal(m.Metadata, &metadata) != nil {
		return ours{} // none, or another's
	}
	return metadata.Carrel
}
