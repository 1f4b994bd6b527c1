package agui_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"carrel/shared/agui"
)

func text(s string) *string { return &s }

// aRun returns a run with every kind of content that Carrel produces: reasoning, text, two parallel calls, and the
// answer.
func aRun() []agui.Event {
	question := agui.Message{ID: "u1", Role: agui.RoleUser, Content: "2+2 and 3+3?"}
	return []agui.Event{
		{Type: agui.RunStarted, ThreadID: "t", RunID: "r", ProtocolVersion: "1.0",
			Input: &agui.RunInput{ThreadID: "t", RunID: "r", Messages: []agui.Message{question}}},
		{Type: agui.StepStarted, StepName: "s"},
		{Type: agui.ReasoningStart, MessageID: "think"},
		{Type: agui.ReasoningMessageStart, MessageID: "think", Role: agui.RoleReasoning},
		{Type: agui.ReasoningMessageContent, MessageID: "think", Delta: "two "},
		{Type: agui.ReasoningMessageContent, MessageID: "think", Delta: "sums"},
		{Type: agui.ReasoningMessageEnd, MessageID: "think"},
		{Type: agui.ReasoningEnd, MessageID: "think"},
		{Type: agui.TextMessageStart, MessageID: "a1", Role: agui.RoleAssistant,
			Metadata: json.RawMessage(`{"a":1,"b":1}`)},
		{Type: agui.TextMessageContent, MessageID: "a1", Delta: "Let me "},
		{Type: agui.TextMessageContent, MessageID: "a1", Delta: "see."},
		{Type: agui.TextMessageEnd, MessageID: "a1", Metadata: json.RawMessage(`{"b":2,"c":{"d":[]}}`)},
		{Type: agui.ToolCallStart, ToolCallID: "c1", ToolCallName: "calculator", ParentMessageID: "a1"},
		{Type: agui.ToolCallArgs, ToolCallID: "c1", Delta: `{"expression":`},
		{Type: agui.ToolCallArgs, ToolCallID: "c1", Delta: `"2+2"}`},
		{Type: agui.ToolCallEnd, ToolCallID: "c1"},
		{Type: agui.ToolCallStart, ToolCallID: "c2", ToolCallName: "clock", ParentMessageID: "a1"},
		{Type: agui.ToolCallEnd, ToolCallID: "c2"},
		agui.CustomEvent(agui.CustomAnswer, agui.Answer{N: 1, Message: "a1", Stop: "tools", Calls: 2}),
		{Type: agui.ToolCallResult, MessageID: "r1", ToolCallID: "c1", Role: agui.RoleTool, Content: text("4")},
		{Type: agui.ToolCallResult, MessageID: "r2", ToolCallID: "c2", Role: agui.RoleTool, Content: text("")},
		{Type: agui.Custom, Name: "carrel.attempt", Value: json.RawMessage(`{"n":2}`)},
		{Type: agui.TextMessageStart, MessageID: "a2", Role: agui.RoleAssistant},
		{Type: agui.TextMessageContent, MessageID: "a2", Delta: "4."},
		{Type: agui.TextMessageEnd, MessageID: "a2"},
		agui.CustomEvent(agui.CustomAnswer, agui.Answer{N: 2, Message: "a2", Stop: "end"}),
		{Type: agui.StepFinished, StepName: "s"},
		{Type: agui.RunFinished, ThreadID: "t", RunID: "r", Outcome: &agui.Outcome{Type: agui.OutcomeSuccess},
			Usage: []agui.Usage{{Provider: "p", Model: "m", InputTokens: 3, OutputTokens: 0}}},
	}
}

func fold(events ...agui.Event) []agui.Message {
	var f agui.Folder
	for _, e := range events {
		f.Add(e)
	}
	return f.Messages()
}

func call(id, name, arguments string) agui.ToolCall {
	return agui.ToolCall{ID: id, Type: "function", Function: agui.FunctionCall{Name: name, Arguments: arguments}}
}

func TestFolder_WholeRun(t *testing.T) {
	want := []agui.Message{
		{ID: "u1", Role: agui.RoleUser, Content: "2+2 and 3+3?"},
		{ID: "think", Role: agui.RoleReasoning, Content: "two sums"},
		{ID: "a1", Role: agui.RoleAssistant, Content: "Let me see.",
			Metadata:  json.RawMessage(`{"a":1,"b":2,"c":{"d":[]}}`),
			ToolCalls: []agui.ToolCall{call("c1", "calculator", `{"expression":"2+2"}`), call("c2", "clock", "")}},
		{ID: "r1", Role: agui.RoleTool, ToolCallID: "c1", Content: "4"},
		{ID: "r2", Role: agui.RoleTool, ToolCallID: "c2"},
		{ID: "a2", Role: agui.RoleAssistant, Content: "4."},
	}
	if got := fold(aRun()...); !reflect.DeepEqual(got, want) {
		t.Errorf("folded to\n%+v\nwant\n%+v", got, want)
	}
}

func TestFolder_UserMessageOnce(t *testing.T) {
	again := agui.Event{Type: agui.RunStarted, Input: &agui.RunInput{Messages: []agui.Message{
		{ID: "u1", Role: agui.RoleUser, Content: "again"}, {ID: "u2", Role: agui.RoleUser, Content: "more"},
	}}}
	got := fold(append(aRun(), again)...)
	if last := got[len(got)-1]; last.ID != "u2" || got[0].Content != "2+2 and 3+3?" || len(got) != 7 {
		t.Errorf("a repeated message was not passed over: %+v", got)
	}
}

func TestFolder_ParentOfToolCall(t *testing.T) {
	user := agui.Event{Type: agui.RunStarted, Input: &agui.RunInput{Messages: []agui.Message{{ID: "u",
		Role: agui.RoleUser}}}}
	for _, c := range []struct{ name, parent, want string }{
		{"a message that is not there yet", "p", "p"},
		{"no parent", "", "c"},
		{"a parent with another role", "u", "c"},
	} {
		got := fold(user, agui.Event{Type: agui.ToolCallStart, ToolCallID: "c", ToolCallName: "x",
			ParentMessageID: c.parent})
		if len(got) != 2 || got[1].ID != c.want || got[1].Role != agui.RoleAssistant || len(got[1].ToolCalls) != 1 {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestFolder_TextAfterCall(t *testing.T) {
	got := fold(
		agui.Event{Type: agui.ToolCallStart, ToolCallID: "c", ToolCallName: "x", ParentMessageID: "a"},
		agui.Event{Type: agui.TextMessageStart, MessageID: "b", Role: agui.RoleAssistant},
		agui.Event{Type: agui.TextMessageStart, MessageID: "a", Role: agui.RoleAssistant},
		agui.Event{Type: agui.TextMessageContent, MessageID: "a", Delta: "text"},
		agui.Event{Type: agui.ToolCallResult, MessageID: "r", ToolCallID: "c", Content: text("4")},
	)
	if len(got) != 3 || got[0].Content != "text" || got[1].ID != "r" {
		t.Errorf("want the result behind its call's message, have %+v", got)
	}
}

// A snapshot has the messages of each run in turn, so the result of an approved call is in the responding run. A view
// that folded the live events shows it after the call.
func TestFolder_ResultInSnapshot(t *testing.T) {
	call := []agui.ToolCall{{ID: "c", Type: "function", Function: agui.FunctionCall{Name: "x", Arguments: "{}"}}}
	got := fold(agui.Event{Type: agui.RunStarted, Input: &agui.RunInput{Messages: []agui.Message{
		{ID: "a", Role: agui.RoleAssistant, ToolCalls: call},
		{ID: "u", Role: agui.RoleUser, Content: "yes"},
		{ID: "r", Role: agui.RoleTool, ToolCallID: "c", Content: "4"},
		{ID: "r2", Role: agui.RoleTool, ToolCallID: "of a call that is not here", Content: "5"},
	}}})
	var ids []string
	for _, m := range got {
		ids = append(ids, m.ID)
	}
	if !slices.Equal(ids, []string{"a", "r", "u", "r2"}) {
		t.Errorf("the messages are %q", ids)
	}
}

func TestFolder_UnknownIDs(t *testing.T) {
	got := fold(
		agui.Event{Type: agui.TextMessageContent, MessageID: "no", Delta: "x"},
		agui.Event{Type: agui.TextMessageEnd, MessageID: "no", Metadata: json.RawMessage(`{}`)},
		agui.Event{Type: agui.ToolCallArgs, ToolCallID: "no", Delta: "x"},
		agui.Event{Type: "SOMETHING_NEW", MessageID: "no"},
	)
	if got == nil || len(got) != 0 {
		t.Errorf("want an empty list, have %#v", got)
	}
}

func TestFolder_MessagesAreACopy(t *testing.T) {
	var f agui.Folder
	for _, e := range aRun() {
		f.Add(e)
	}
	got := f.Messages()
	got[2].ToolCalls[0].Function.Name, got[2].Metadata[2] = "changed", 'X'
	if again := f.Messages(); again[2].ToolCalls[0].Function.Name != "calculator" || again[2].Metadata[2] != 'a' {
		t.Error("a change of the copy changed the folder")
	}
}
