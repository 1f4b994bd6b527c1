package engine_test

import (
	"context"
	"encoding/json"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/tool"
)

// reader returns the tool other, whose results are text from outside. It asks if the model had read such a text, unless
// the person wrote the name of the page.
func reader(t *testing.T) tool.Tool {
	t.Helper()
	made, err := tool.Define("other", "Reads a page.", "all", func(_ context.Context, in input) (string, error) {
		return "read " + in.Say, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return made.ReadOnly().Outside().AskOutside(func(args json.RawMessage, before tool.Conversation) string {
		var in input
		if json.Unmarshal(args, &in) == nil && before.Wrote(in.Say) {
			return ""
		}
		return "Read it?"
	})
}

// An answer was given before its own calls had results. So its calls ask only because of earlier results.
func TestRun_AskOutside(t *testing.T) {
	read := func(pages ...string) (deltas []engine.Delta) {
		for _, p := range pages {
			deltas = append(deltas, start("other"), args(`{"say":"`+p+`"}`))
		}
		return append(deltas, stop(engine.StopTools))
	}
	m := says(read("a.example", "b.example"), read("hello.example"), read("c.example", "hello.example"))
	f := setUp(t, m, chat.Limits{}, reader(t))
	f.config.History[0].Content = "read hello.example"
	end := f.runAsking()
	var asked []string
	for _, i := range end.Outcome.Interrupts {
		asked = append(asked, string(i.Metadata))
	}
	if len(asked) != 1 || !contains(asked[0], "c.example") || len(m.asked) != 3 {
		t.Errorf("after %d answers a person was asked about %q, want c.example", len(m.asked), asked)
	}
}

func contains(metadata, argument string) bool {
	var about struct{ Carrel struct{ Arguments string } }
	var in input
	return json.Unmarshal([]byte(metadata), &about) == nil &&
		json.Unmarshal([]byte(about.Carrel.Arguments), &in) == nil && in.Say == argument
}

// The next worker asks about the same calls as the worker that died, although it knows the results of the calls beside
// them. A text from outside counts in later runs too.
func TestPendingCall_AskOutside(t *testing.T) {
	answer := func(id string, calls ...string) agui.Message {
		m := agui.Message{ID: id, Role: agui.RoleAssistant}
		for _, c := range calls {
			m.ToolCalls = append(m.ToolCalls, other(c, c))
		}
		return m
	}
	result := func(call string) agui.Message {
		return agui.Message{ID: "t" + call, Role: agui.RoleTool, ToolCallID: call, Content: "read " + call,
			Metadata: agui.Marks{Outside: true}.Metadata()}
	}
	for name, c := range map[string]struct {
		history []agui.Message
		asks    bool
	}{
		"beside a result":        {[]agui.Message{answer("a1", "c1", "c2"), result("c1")}, false},
		"after a result":         {[]agui.Message{answer("a1", "c1"), result("c1"), answer("a2", "c2")}, true},
		"requested by no answer": {[]agui.Message{answer("a1", "c1"), result("c1")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t, done(), chat.Limits{}, reader(t))
			f.config.History = append(f.config.History, c.history...)
			f.config.Pending = []engine.PendingCall{{Call: other("c2", "x"), MayHaveRun: true}}
			end := f.runAsking()
			if asks := end.Outcome.Type == agui.OutcomeInterrupt; asks != c.asks {
				t.Errorf("ended with %+v; %s", end.Outcome, f.results())
			}
		})
	}
}
