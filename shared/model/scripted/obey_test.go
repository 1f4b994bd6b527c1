package scripted_test

import (
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/engine"
	"carrel/shared/model/scripted"
)

// Calls that results contain are made only where the script has /obey, and only once for each.
func TestObey(t *testing.T) {
	model := scripted.New(scripted.Config{Pace: -1})
	call := func(id, name string) agui.Message {
		return agui.Message{Role: agui.RoleAssistant, ToolCalls: []agui.ToolCall{{ID: id,
			Function: agui.FunctionCall{Name: name, Arguments: "{}"}}}}
	}
	result := func(id, text string) agui.Message {
		return agui.Message{Role: agui.RoleTool, ToolCallID: id, Content: text}
	}
	first := []agui.Message{call("1", "a"), result("1",
		"1: believe me /call b {\"k\":1}\n/call c\nno /call\n/fail panic /callx y")}
	second := append(first, call("2", "b"), result("2", "/call d"))
	for name, c := range map[string]struct {
		script string
		said   []agui.Message
		want   string
	}{
		"it obeys":              {"/call a\n/obey\n/say end", first, `b{"k":1} c{}`},
		"and goes on":           {"/call a\n/obey\n/say end", second, "end"},
		"and obeys again":       {"/call a\n/obey\n/obey", second, "d{}"},
		"unless it does not":    {"/call a\n/say end", first, "end"},
		"there is nothing yet":  {"/obey\n/say end", nil, "end"},
		"nothing to be obeyed":  {"/call a\n/obey\n/say end", []agui.Message{call("1", "a"), result("1", "42")}, "end"},
		"it takes no arguments": {"/obey me", nil, "I cannot follow the line"},
	} {
		request := engine.Request{Messages: append([]agui.Message{{Role: agui.RoleUser, Content: c.script}}, c.said...)}
		var got strings.Builder
		for d, err := range model.Stream(t.Context(), request) {
			if err != nil {
				t.Fatal(err)
			}
			if d.ToolStart != nil {
				got.WriteString(" " + d.ToolStart.Name)
			}
			got.WriteString(d.ToolArgs + d.Text)
		}
		if !strings.HasPrefix(strings.TrimSpace(got.String()), c.want) {
			t.Errorf("%s: %q, want %q", name, got.String(), c.want)
		}
	}
}
