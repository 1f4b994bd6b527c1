package main

import (
	"bytes"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/client"
	"carrel/shared/visible"
)

// What asked agents did is printed below each other, indented by depth, once the call that asked has its result.
func TestPrinter_Lines(t *testing.T) {
	call := func(id, name, arguments string) []agui.ToolCall {
		return []agui.ToolCall{{ID: id, Type: "function", Function: agui.FunctionCall{Name: name,
			Arguments: arguments}}}
	}
	asks := agui.Message{ID: "a", Role: agui.RoleAssistant, ToolCalls: call("c1", "ask_helper", `{"question":"Why?"}`)}
	line := []agui.Message{
		{ID: "h", Role: agui.RoleAssistant, SubagentRunID: "c1", ToolCalls: call("c2", "ask_other", "{}")},
		{ID: "r2", Role: agui.RoleTool, SubagentRunID: "c1", ToolCallID: "c2", Content: "So."},
		{ID: "o", Role: agui.RoleAssistant, SubagentRunID: "c2", Content: "So."},
		{ID: "i", Role: agui.RoleAssistant, SubagentRunID: "c1", Content: "Because."},
	}
	var out bytes.Buffer
	p := &printer{out: visible.NewWriter(&out)}
	p.show(client.State{ThreadID: "t", Messages: append([]agui.Message{asks}, line...)})
	if out.String() != "" {
		t.Errorf("before the result it printed %q", out.String())
	}
	result := agui.Message{ID: "r1", Role: agui.RoleTool, ToolCallID: "c1", Content: "Because."}
	for range 2 {
		p.show(client.State{ThreadID: "t", Messages: append([]agui.Message{asks, result}, line...)})
	}
	want := "    other: So.\n  helper: ask_other({}) → So.\n  helper: Because.\n" +
		"ask_helper({\"question\":\"Why?\"}) → Because.\n"
	if out.String() != want {
		t.Errorf("it printed\n%swant\n%s", out.String(), want)
	}
}
