package tool_test

import (
	"context"
	"encoding/json"
	"testing"

	"carrel/shared/tool"
)

// A tool asks only if the model had read text from outside, or if the conversation is not known.
func TestTool_AskOutside(t *testing.T) {
	wrote := func(args json.RawMessage, before tool.Conversation) string {
		if before.Wrote("example.com") {
			return ""
		}
		return "Order " + string(args) + "?"
	}
	had := func(c tool.Conversation) func() tool.Conversation { return func() tool.Conversation { return c } }
	outside := tool.Conversation{Outside: true}
	written := tool.Conversation{Outside: true, Person: []string{"read example.com"}}
	for name, c := range map[string]struct {
		call tool.Call
		want tool.Outcome
	}{
		"not known":        {tool.Call{}, tool.Asked},
		"nothing outside":  {tool.Call{Before: had(tool.Conversation{})}, tool.OK},
		"outside":          {tool.Call{Before: had(outside)}, tool.Asked},
		"outside, agreed":  {tool.Call{Before: had(outside), Approved: true}, tool.OK},
		"outside, written": {tool.Call{Before: had(written)}, tool.OK},
	} {
		uc := contextOf(t, "order")
		d := dispatcher(t, uc, define(t, "order", echo).AskOutside(wrote))
		c.call.Name, c.call.Arguments = "order", good
		got := d.Call(uc.Context(), c.call)
		if got.Outcome != c.want {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
		if c.want == tool.Asked && got.Question.Message != "Order "+good+"?" {
			t.Errorf("%s: asked %q", name, got.Question.Message)
		}
		uc.Close(context.Background())
	}
}

// Only a whole name counts as written, so that a name inside of another one does not.
func TestConversation_Wrote(t *testing.T) {
	for text, want := range map[string]bool{
		"read https://Example.com/a?b=c": true, "example.com": true, "and (example.com)?": true,
		"ask example.com.": true, "http://u@example.com:80/": true,
		"example.community": false, "notexample.com": false, "a.example.com": false, "example.com.evil.net": false,
		"éexample.com": false, "example-com": false, "": false,
	} {
		if got := (tool.Conversation{Person: []string{"hello", text}}).Wrote("example.com"); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if (tool.Conversation{Person: []string{"a . b"}}).Wrote("") {
		t.Error("an empty name was written")
	}
}
