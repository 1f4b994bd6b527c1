package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
)

// turns makes a conversation of n turns, each with a call whose result has this many bytes, and a last question.
func turns(n, bytes int) (history []agui.Message) {
	for i := range n {
		id := fmt.Sprint(i)
		history = append(history, agui.Message{ID: "u" + id, Role: agui.RoleUser, Content: "question " + id},
			agui.Message{ID: "a" + id, Role: agui.RoleAssistant, ToolCalls: []agui.ToolCall{{ID: "c" + id,
				Type: "function", Function: agui.FunctionCall{Name: "echo", Arguments: "{}"}}}},
			agui.Message{ID: "r" + id, Role: agui.RoleTool, ToolCallID: "c" + id, Content: strings.Repeat("x", bytes)},
			agui.Message{ID: "b" + id, Role: agui.RoleAssistant, Content: "answer " + id})
	}
	return append(history, agui.Message{ID: "last", Role: agui.RoleUser, Content: "the last question"})
}

// sends runs one answer on a conversation with a model of this context, and returns what the model was sent.
func (f *fixture) sends(m *model, context int, history []agui.Message) ([]agui.Message, agui.Event) {
	f.t.Helper()
	f.config.Models = []engine.Candidate{{Model: m, Name: "p:m", Context: context, MaxOutput: context / 10}}
	f.config.History = history
	end := f.run()
	if len(m.asked) == 0 {
		return nil, end
	}
	return m.asked[len(m.asked)-1].Messages, end
}

// bytesOf counts what a model was sent.
func bytesOf(messages []agui.Message) (n int) {
	for _, m := range messages {
		n += len(m.Content)
	}
	return n
}

func TestWindow(t *testing.T) {
	for name, c := range map[string]struct {
		history []agui.Message
		context int
		begins  string // the id of the first message that is sent
		code    string
	}{
		"all fits":              {turns(5, 1000), 10_000, "u0", ""},
		"older results are cut": {turns(8, 10_000), 30_000, "u0", ""},
		"older turns are out":   {turns(50, 3000), 10_000, "carrel.left-out", ""},
		"the last results too":  {turns(1, 100_000)[:3], 10_000, "u0", ""},
		"the question is too long": {[]agui.Message{{ID: "u", Role: agui.RoleUser, Content: strings.Repeat("x",
			50_000)}},
			10_000, "", engine.CodeTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			m := done()
			f := setUp(t, m, chat.Limits{})
			sent, end := f.sends(m, c.context, c.history)
			if end.Code != c.code {
				t.Fatalf("ended with %+v", end)
			}
			if c.code != "" {
				return
			}
			if sent[0].ID != c.begins || sent[len(sent)-1].ID != c.history[len(c.history)-1].ID ||
				bytesOf(sent)/3 > c.context*81/100 {
				t.Errorf("sent %d messages of %d bytes from %s to %s", len(sent), bytesOf(sent), sent[0].ID,
					sent[len(sent)-1].ID)
			}
			for i, m := range sent {
				if len(m.ToolCalls) > 0 && sent[i+1].ToolCallID != m.ToolCalls[0].ID {
					t.Errorf("the call %s is sent without its result", m.ToolCalls[0].ID)
				}
			}
			cut := bytesOf(sent) < bytesOf(c.history)
			if marks := f.marks(); (marks[0].Trimmed != nil) != cut || cut != (name != "all fits") {
				t.Errorf("cut: %v, and the mark is %+v", cut, marks[0])
			}
			again := done()
			f2 := setUp(t, again, chat.Limits{})
			f2.config.Log = []agui.Event{agui.CustomEvent(agui.CustomAnswer, agui.Answer{N: 1, Stop: "tools", Calls: 1,
				Trimmed: f.marks()[0].Trimmed})}
			next, _ := f2.sends(again, c.context, c.history)
			if !slices.EqualFunc(next, sent, func(a, b agui.Message) bool {
				return a.ID == b.ID &&
					a.Content == b.Content
			}) {
				t.Error("the next worker sends another conversation")
			}
		})
	}
}

// A provider finds a request too long: the engine sends half of it, once.
func TestWindow_TooLong(t *testing.T) {
	m := &flaky{name: "ok", fails: kind(1, engine.TooLong, 0)}
	f := setUp(t, m, chat.Limits{})
	f.config.History = turns(20, 1000)
	if end := f.run(); end.Outcome == nil || bytesOf(m.sent[1].Messages) > bytesOf(m.sent[0].Messages)/2 {
		t.Errorf("ended with %+v after %d and %d bytes", end, bytesOf(m.sent[0].Messages), bytesOf(m.sent[1].Messages))
	}
	always := &flaky{fails: kind(9, engine.TooLong, 0)}
	f = setUp(t, always, chat.Limits{})
	f.config.History = turns(20, 1000)
	if end := f.run(); end.Code != engine.CodeTooLong || len(always.asked) != 2 {
		t.Errorf("ended with %+v after %d model calls", end, len(always.asked))
	}
}

// The limit of tokens counts all attempts. It bounds the output of the next answer, and ends the run.
func TestRun_TokenLimit(t *testing.T) {
	call := func(in int) []engine.Delta {
		return []engine.Delta{start("echo"), args(`{"say":"a"}`), used("m", in, 0), stop(engine.StopTools)}
	}
	m := says(call(500), call(400), call(1))
	f := setUp(t, m, chat.Limits{Tokens: 1000})
	f.config.Log = []agui.Event{agui.CustomEvent(agui.CustomAnswer, agui.Answer{N: 1, Stop: "tools", Calls: 1,
		Model: "m", Usage: &agui.Usage{InputTokens: 50, OutputTokens: 50}})}
	end := f.run()
	if end.Code != engine.CodeTokens || len(m.asked) != 2 || m.asked[0].Settings.MaxTokens != 900 ||
		m.asked[1].Settings.MaxTokens != 400 {
		t.Errorf("ended with %+v after %d model calls", end, len(m.asked))
	}
}
