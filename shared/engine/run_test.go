package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/tool"
)

func TestRun_ReasoningToolsAndAnswer(t *testing.T) {
	m := says(
		[]engine.Delta{reasoning("hm"), reasoning("m"), text("Let "), text("me."), start("echo"), args(`{"say":`),
			args(`"a"}`),
			start("echo"), args(`{"say":"b"}`), {}, used("big", 5, 1), used("big", 5, 6), stop(engine.StopTools)},
		[]engine.Delta{text("Done."), used("big", 1, 1), stop(engine.StopEnd)},
	)
	f := setUp(t, m, chat.Limits{})
	end := f.run()
	want := `RUN_STARTED
REASONING_START
REASONING_MESSAGE_START
REASONING_MESSAGE_CONTENT hm
REASONING_MESSAGE_CONTENT m
REASONING_MESSAGE_END
REASONING_END
TEXT_MESSAGE_START
TEXT_MESSAGE_CONTENT Let 
TEXT_MESSAGE_CONTENT me.
TEXT_MESSAGE_END
TOOL_CALL_START
TOOL_CALL_ARGS {"say":
TOOL_CALL_ARGS "a"}
TOOL_CALL_END
TOOL_CALL_START
TOOL_CALL_ARGS {"say":"b"}
TOOL_CALL_END
TOOL_CALL_RESULT echo a
TOOL_CALL_RESULT echo b
TEXT_MESSAGE_START
TEXT_MESSAGE_CONTENT Done.
TEXT_MESSAGE_END{"carrel":{"stop":"end"}}
`
	got := f.types()
	belongs := `{"carrel":{"continues":"` + f.messages()[1].ID + `"}}` // of the thought
	if strings.Replace(got, belongs, "", 1) != want {
		t.Errorf("emitted\n%s\nwant\n%s", got, want)
	}
	usage := []agui.Usage{{Model: "big", InputTokens: 6, OutputTokens: 7}}
	if end.Type != agui.RunFinished || end.Outcome.Type != agui.OutcomeSuccess || end.RunID != "r" ||
		end.ThreadID != "t" ||
		!reflect.DeepEqual(end.Usage, usage) {
		t.Errorf("ended with %+v", end)
	}
	second := m.asked[1]
	transcript := f.messages()
	if len(second.System) != 1 || second.System[0].Text != "be brief" ||
		len(second.Tools) != 1 || second.Tools[0].Name != "echo" {
		t.Errorf("the model was asked with %+v", second)
	}
	said := slices.DeleteFunc(transcript[:len(transcript)-1],
		func(m agui.Message) bool { return m.Role == agui.RoleReasoning })
	for i := range said {
		said[i].Metadata = nil
	}
	if !reflect.DeepEqual(second.Messages[1:], said) {
		t.Errorf("the model was sent\n%+v\nthe user saw\n%+v", second.Messages[1:], said)
	}
}

// The model gives both calls the same id. A client's view needs ids that are unique in the thread.
func TestRun_UniqueIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 2 {
		f := setUp(t, says([]engine.Delta{reasoning("x"), start("echo"), start("echo"), reasoning("y"),
			stop(engine.StopTools)},
			[]engine.Delta{text("z"), stop(engine.StopEnd)}), chat.Limits{})
		f.run()
		for _, m := range f.messages() {
			ids := []string{m.ID}
			if m.Role != agui.RoleUser && !strings.HasPrefix(m.ID, chat.ServerPrefix) {
				t.Errorf("the %s message's id %q could be a client's", m.Role, m.ID)
			}
			for _, c := range m.ToolCalls {
				ids = append(ids, c.ID)
			}
			for _, id := range ids {
				if seen[id] || chat.CheckID(id) != nil {
					t.Errorf("the id %q is there twice, or no id", id)
				}
				seen[id] = true
			}
		}
	}
	if len(seen) != 2*(2+1+2+2+1) {
		t.Errorf("%d ids", len(seen))
	}
}

func TestRun_OrderOfResults(t *testing.T) {
	t.Attr("row", "D3: parallel calls return their results in order")
	second := make(chan struct{})
	slow, err := tool.Define("other", "", "all", func(context.Context, input) (string, error) {
		<-second // the first call ends only when the second has run: they run at once
		return "slow", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	m := says([]engine.Delta{start("other"), args(`{"say":""}`), start("echo"), args(`{"say":"b"}`),
		stop(engine.StopTools)},
		[]engine.Delta{text("ok"), stop(engine.StopEnd)})
	f := setUp(t, m, chat.Limits{}, slow)
	f.config.Tools.Record = func(d tool.Decision) {
		if d.Tool == "echo" {
			close(second)
		}
	}
	f.run()
	got := f.types()
	if !strings.Contains(got, "TOOL_CALL_RESULT slow\nTOOL_CALL_RESULT echo b\n") {
		t.Errorf("emitted\n%s", got)
	}
	t.Attr("figure", fmt.Sprintf("%d calls that ended in the other order, their results in that of the calls",
		strings.Count(got, "TOOL_CALL_RESULT")))
}

func TestRun_BadCall(t *testing.T) {
	for _, c := range []struct{ name, args, want string }{
		{"nothing", `{}`, `{"carrel":{"outcome":"unknown"}}`},
		{"echo", `{"say":1}`, `{"carrel":{"outcome":"bad_arguments"}}`},
		{"echo", ``, `{"carrel":{"outcome":"bad_arguments"}}`},
	} {
		deltas := []engine.Delta{start(c.name), stop(engine.StopTools)}
		if c.args != "" {
			deltas = slices.Insert(deltas, 1, args(c.args))
		}
		m := says(deltas, []engine.Delta{text("I see."), stop(engine.StopEnd)})
		f := setUp(t, m, chat.Limits{})
		if end := f.run(); end.Type != agui.RunFinished || !strings.Contains(f.types(), c.want) {
			t.Errorf("%s %s: ended with %+v\n%s", c.name, c.args, end, f.types())
		}
		if last := m.asked[1].Messages; last[len(last)-1].Role != agui.RoleTool || last[len(last)-1].Content == "" {
			t.Errorf("the model did not receive it: %+v", last)
		}
	}
}

func TestRun_WithoutTools(t *testing.T) {
	f := setUp(t, says([]engine.Delta{start("echo"), stop(engine.StopTools)}, []engine.Delta{text("ok"),
		stop(engine.StopEnd)}),
		chat.Limits{})
	f.config.Tools = nil
	if end := f.run(); end.Type != agui.RunFinished || !strings.Contains(f.types(), `There is no tool "echo"`) {
		t.Errorf("ended with %+v\n%s", end, f.types())
	}
}

func TestRun_CutAnswer(t *testing.T) {
	f := setUp(t, says([]engine.Delta{text("so"), stop(engine.StopMaxTokens)}), chat.Limits{})
	if end := f.run(); end.Outcome == nil || !strings.Contains(f.types(),
		`TEXT_MESSAGE_END{"carrel":{"stop":"max_tokens"}}`) {
		t.Errorf("ended with %+v\n%s", end, f.types())
	}
}

func TestHistory_ForModel(t *testing.T) {
	call := func(id string) agui.ToolCall {
		return agui.ToolCall{ID: id, Type: "function", Function: agui.FunctionCall{Name: "echo", Arguments: "{}"}}
	}
	history := []agui.Message{
		{ID: "u1", Role: agui.RoleUser, Content: "one"},
		{ID: "t1", Role: agui.RoleReasoning, Content: "thought"},
		{ID: "a1", Role: agui.RoleAssistant, Content: "half", Metadata: agui.Marks{Incomplete: true,
			Again: true}.Metadata(), ToolCalls: []agui.ToolCall{call("c0")}},
		{ID: "r0", Role: agui.RoleTool, ToolCallID: "c0", Content: "of a message that is not sent"},
		{ID: "a2", Role: agui.RoleAssistant, ToolCalls: []agui.ToolCall{call("c1"), call("c2")}},
		{ID: "r1", Role: agui.RoleTool, ToolCallID: "c1", Content: "1"},
		{ID: "a3", Role: agui.RoleAssistant, ToolCalls: []agui.ToolCall{call("c3")}},
		{ID: "a4", Role: agui.RoleAssistant, Content: "whole", Metadata: json.RawMessage(`{"x":1}`)},
		{ID: "u2", Role: agui.RoleUser, Content: "two"},
	}
	m := says([]engine.Delta{text("ok"), stop(engine.StopEnd)})
	f := setUp(t, m, chat.Limits{})
	f.config.History = history
	f.run()
	var got []string
	for _, m := range m.asked[0].Messages {
		got = append(got, m.ID)
	}
	if want := []string{"u1", "a2", "r1", "a4", "u2"}; !slices.Equal(got, want) ||
		len(m.asked[0].Messages[1].ToolCalls) != 1 {
		t.Errorf("sent %v, want %v, the call without result left out", got, want)
	}
	if len(history[4].ToolCalls) != 2 {
		t.Error("the caller's history was changed")
	}
}

// An event has to fit into a record of the log, whatever the size of the model's delta.
func TestAnswer_LongDelta(t *testing.T) {
	long := strings.Repeat("xä", 50_000)
	arguments := `{"say":"` + long[:90_000] + `"}`
	m := says([]engine.Delta{reasoning(long), text(long), start(strings.Repeat("n", 10_000)), start("echo"),
		args(arguments),
		stop(engine.StopTools)}, []engine.Delta{text(strings.Repeat("\x80", 40_000)), stop(engine.StopEnd)})
	f := setUp(t, m, chat.Limits{})
	if end := f.run(); end.Type != agui.RunFinished {
		t.Fatalf("ended with %+v", end)
	}
	for _, e := range f.sink.events {
		if len(e.Delta) > 16<<10 || len(e.ToolCallName) > 128 {
			t.Errorf("%s with %d and %d bytes", e.Type, len(e.Delta), len(e.ToolCallName))
		}
	}
	got := f.messages()
	if got[0].Content != long || got[1].Content != long || got[1].ToolCalls[1].Function.Arguments != arguments {
		t.Error("the pieces do not make the whole")
	}
}

func TestRun_IncompleteConfig(t *testing.T) {
	if _, err := engine.Run(context.Background(), engine.Config{}); err == nil {
		t.Error("ran without user, model and sink")
	}
}
