package scripted_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrel/agents"
	"carrel/shared/agui"
	"carrel/shared/chat/chattest"
	"carrel/shared/engine"
	"carrel/shared/model/scripted"
	"carrel/shared/tool"
	"carrel/shared/tool/calculator"
	"carrel/shared/usercontext"
)

type sink struct {
	t      *testing.T
	order  agui.Order
	folder agui.Folder
	events []agui.Event
}

func (s *sink) Sync(context.Context) error { return nil }

func (s *sink) Emit(_ context.Context, events ...agui.Event) error {
	for _, e := range events {
		if err := s.order.Check(e); err != nil {
			s.t.Error(err)
		}
		s.folder.Add(e)
		s.events = append(s.events, e)
	}
	return nil
}

// conversation is a thread with the sample agent, of a user with these grants.
type conversation struct {
	sink
	grants []string
	cancel time.Duration // after which the next run is cancelled; 0: never
}

// ask executes one run with the sample agent, the scripted model, the calculator and the engine.
func (c *conversation) ask(question string) agui.Event {
	c.t.Helper()
	made, err := calculator.New()
	if err != nil {
		c.t.Fatal(err)
	}
	registry, err := tool.NewRegistry(made)
	if err != nil {
		c.t.Fatal(err)
	}
	set, err := agents.Definitions()
	if err != nil {
		c.t.Fatal(err)
	}
	assistant, err := set.Find("", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	uc, err := usercontext.New(context.Background(), usercontext.Config{
		User: chattest.User(c.t, "alice"), Thread: "t", Run: "r", Request: "q", Grants: c.grants,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	tools, err := tool.NewDispatcher(uc, registry, []string{calculator.Name})
	if err != nil {
		c.t.Fatal(err)
	}
	message := agui.Message{ID: fmt.Sprintf("u%d", len(c.events)), Role: agui.RoleUser, Content: question}
	c.emit(agui.Event{Type: agui.RunStarted, Input: &agui.RunInput{Messages: []agui.Message{message}}})
	if c.cancel > 0 {
		time.AfterFunc(c.cancel, func() { uc.Cancel(engine.ErrCancelled) })
	}
	end, err := engine.Run(uc.Context(), engine.Config{
		User: uc, Sink: c, History: c.folder.Messages(),
		Agent: engine.Agent{Models: []engine.Candidate{{Model: scripted.New(scripted.Config{})}}, Tools: tools,
			System: []engine.Part{{Text: assistant.Instructions, Stable: true}}},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.emit(end)
	if err := uc.Close(context.Background()); err != nil {
		c.t.Error(err)
	}
	return end
}

func (c *conversation) emit(e agui.Event) {
	c.t.Helper()
	if err := c.Emit(context.Background(), e); err != nil {
		c.t.Fatal(err)
	}
}

// said returns the conversation as a person reads it.
func (c *conversation) said() string {
	var lines []string
	for _, m := range c.folder.Messages() {
		if m.Content != "" {
			lines = append(lines, string(m.Role)+": "+m.Content)
		}
		for _, call := range m.ToolCalls {
			lines = append(lines, "call: "+call.Function.Name+call.Function.Arguments)
		}
	}
	return strings.Join(lines, "\n")
}

func talk(t *testing.T, questions ...string) (*conversation, agui.Event) {
	t.Helper()
	c := &conversation{sink: sink{t: t}, grants: []string{"calculator"}}
	var end agui.Event
	for _, q := range questions {
		end = c.ask(q)
	}
	return c, end
}

// A script of the configuration answers every message that is not a script itself. It quotes results as they are.
func TestConfig_Script(t *testing.T) {
	const script = "/say Sum:\n/call calculator {\"expression\":\"2+2\"}\n" +
		"/call calculator {\"expression\":\"1/0\"}\n/quote"
	if err := scripted.Check(script); err != nil {
		t.Fatal(err)
	}
	if err := scripted.Check("/dance"); err == nil {
		t.Error("a wrong script was accepted")
	}
	model := scripted.New(scripted.Config{Pace: -1, Script: script})
	ask := agui.Message{ID: "u", Role: agui.RoleUser, Content: "what is 3+3?"}
	calls := agui.Message{ID: "a", Role: agui.RoleAssistant, ToolCalls: []agui.ToolCall{{ID: "1"}, {ID: "2"}}}
	one := agui.Message{Role: agui.RoleTool, ToolCallID: "1", Content: "4\n| a |\n"}
	two := agui.Message{Role: agui.RoleTool, ToolCallID: "2", Content: "division by zero"}
	for want, messages := range map[string][]agui.Message{
		"Sum:calculator calculator ":   {ask},
		"4\n| a |\n\ndivision by zero": {ask, calls, one, two},
		"said":                         {ask, calls, one, two, {ID: "v", Role: agui.RoleUser, Content: "/say said"}},
	} {
		got := ""
		for d, err := range model.Stream(t.Context(), engine.Request{Messages: messages}) {
			if err != nil {
				t.Fatal(err)
			}
			if got += d.Text; d.ToolStart != nil {
				got += d.ToolStart.Name + " "
			}
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A script continues by a number in a result.
func TestConfig_When(t *testing.T) {
	const script = "/call a\n/when n 0.8\n/say full\n/when n 0.4 0.8\n/call b\n/quote\n/when n 0 0.4\n/say none"
	model := scripted.New(scripted.Config{Pace: -1, Script: script})
	for result, want := range map[string]string{
		`{"n":0.8}`: "full", `{"n":0.40}`: "b", `{"n":0.39,"x":[1]}`: "none", `{"n":-1}`: "Done.",
		`{"x":1}`: "a: ", "text": "a: ",
	} {
		calls := []agui.ToolCall{{ID: "1", Function: agui.FunctionCall{Name: "a"}}}
		messages := []agui.Message{{ID: "u", Role: agui.RoleUser, Content: "Go."},
			{ID: "a", Role: agui.RoleAssistant, ToolCalls: calls},
			{Role: agui.RoleTool, ToolCallID: "1", Content: result}}
		got := ""
		for d, err := range model.Stream(t.Context(), engine.Request{Messages: messages}) {
			if err != nil {
				t.Fatal(err)
			}
			if got += d.Text; d.ToolStart != nil {
				got += d.ToolStart.Name
			}
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, want %q", result, got, want)
		}
	}
	for _, wrong := range []string{"/when", "/when a b", "/when a 1 2 3"} {
		if scripted.Check(wrong) == nil {
			t.Errorf("%s was accepted", wrong)
		}
	}
}

func TestConversation(t *testing.T) {
	for _, c := range []struct{ question, want string }{
		{"what is 12*(3+4)?", "assistant: Let me calculate 12*(3+4) for you.\n" +
			`call: calculator{"expression":"12*(3+4)"}` + "\ntool: 84\nassistant: 12*(3+4) = 84"},
		{"Please compute (1.5 + 2) × 3^2, thanks.", "assistant: (1.5 + 2) × 3^2 = 31.5"},
		{"1/3", "assistant: 1/3 ≈ 0.3333333333333333333333333333333333 (rounded to 34 digits)"},
		{"How much is 1/0?", "assistant: I could not calculate 1/0: division by zero at position 2"},
		{"1,000+5", "assistant: I could not calculate 1,000+5: unexpected ','"},
		{"Sum (what is 2+2)?", "assistant: 2+2 = 4"},
		{"-3-4", "assistant: -3-4 = -7"},
		{"help", "assistant: I am Carrel's built-in demonstration"},
		{"Help!", "assistant: I am Carrel's built-in demonstration"},
		{"/help", "assistant: I am Carrel's built-in demonstration"},
		{"Tell me of H2+O2 and 2x+3y", "assistant: You wrote: “Tell me of H2+O2 and 2x+3y”."},
		{"Call 5 people - or 6", "no language model is behind me"},
		{"", "assistant: You wrote: “”."},
		{"/say one\ntwo", "assistant: one\ntwo"},
		{"think about it", "reasoning: it\nassistant: I have thought about it"},
		{"/think deep\n/say high", "reasoning: deep\nassistant: high"},
		{"/stream 3 100", "assistant: 1 2 3 "},
		{"/stream 2 0 6", "assistant: ....1 ....2 "},
		{"/say a\n/call calculator {\"expression\":\"2+2\"}\n/call calculator {\"expression\":\"3+3\"}\n/say " +
			"b\n/call missing",
			"call: calculator{\"expression\":\"3+3\"}\ntool: 4\ntool: 6\nassistant: b\ncall: missing{}\n" +
				"tool: There is no tool \"missing\". There are: calculator.\nassistant: missing: There is no tool"},
		{`/call calculator {"expression":"2+2"}`, "tool: 4\nassistant: 2+2 = 4"},
		{"/fail tool", "tool: The arguments of calculator are wrong"},
		{"/fail late", "assistant: This answer will not be finished"},
		{"/dance", "assistant: I cannot follow the line \"/dance\": there is no such directive. I am"},
		{"/stream many", "it needs a number of deltas and a rate"},
		{"/stream 1 -1", "a rate a second, from 0 to"},
		{"/stream 1 1 70000", "a delta has up to 65536 bytes"},
		{strings.Repeat("1+", 300) + "1", "assistant: You wrote"},
		{"/wait long", "it needs a number of milliseconds"},
		{"/fail badly", "it needs one of model, late"},
		{"/fail lost often", "it needs one of model, late"}, {"/usage 1", "it needs two numbers"},
		{"/keep", "it needs the data"},
		{"/say", "it needs a text"},
		{"/call", "it needs a tool's name"},
	} {
		synctest.Test(t, func(t *testing.T) {
			got, _ := talk(t, c.question)
			if !strings.Contains(got.said(), c.want) {
				t.Errorf("%q was answered\n%s\nwant\n%s", c.question, got.said(), c.want)
			}
		})
	}
}

func TestStream_LaterQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := talk(t, "2+2", "hello", "what is 3*3?", "/call calculator {\"expression\":\"1+1\"}\n/say end")
		for _, want := range []string{"2+2 = 4\nuser: hello\nassistant: You wrote", "assistant: 3*3 = 9\nuser",
			"tool: 2\nassistant: end"} {
			if !strings.Contains(c.said(), want) {
				t.Errorf("want %q in\n%s", want, c.said())
			}
		}
	})
}

func TestStream_ToolNotOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &conversation{sink: sink{t: t}}
		c.ask("2+2")
		c.ask(`/call calculator {"expression":"2+2"}`)
		for _, want := range []string{"you are not permitted to use the calculator here",
			"tool: This user is not permitted"} {
			if !strings.Contains(c.said(), want) {
				t.Errorf("want %q in\n%s", want, c.said())
			}
		}
	})
}

func TestFail(t *testing.T) {
	for how, want := range map[string]string{
		"model": engine.CodeModel, "late": engine.CodeModel, "panic": engine.CodeInternal, "filtered": "",
		"tool": "", "cut": "",
	} {
		synctest.Test(t, func(t *testing.T) {
			c, end := talk(t, "/say before\n/fail "+how)
			if end.Code != want {
				t.Errorf("%s: ended with %+v", how, end)
			}
			if how == "cut" && !strings.Contains(string(c.events[len(c.events)-3].Metadata), "max_tokens") {
				t.Errorf("the cut message does not say so: %+v", c.events)
			}
		})
	}
}

// Text streams word by word, at about 50 words per second.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c, end := talk(t, "hello")
		deltas := 0
		for _, e := range c.events {
			if e.Type == agui.TextMessageContent {
				deltas++
			}
		}
		if took := time.Since(start); deltas < 30 || deltas > 99 || took != time.Duration(deltas)*20*time.Millisecond {
			t.Errorf("%d deltas in %v", deltas, took)
		}
		if len(end.Usage) != 1 || end.Usage[0].Provider != "carrel" || end.Usage[0].InputTokens == 0 ||
			end.Usage[0].OutputTokens < deltas {
			t.Errorf("used %+v", end.Usage)
		}
		start = time.Now()
		talk(t, "/stream 200 50")
		talk(t, "/wait 1500")
		talk(t, "/stream 200 0")
		if took := time.Since(start); took != 5500*time.Millisecond {
			t.Errorf("the scripts took %v, want 4 s + 1.5 s", took)
		}
	})
}

func TestStream_StopsWithItsContext(t *testing.T) {
	for _, script := range []string{"/stream 200 50", "/stream 1 50\n/wait 4000", "hello",
		"/stream 1 50\n/wait 1000\n/fail panic"} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			c := &conversation{sink: sink{t: t}, cancel: 510 * time.Millisecond}
			end := c.ask(script)
			if took := time.Since(start); took != c.cancel || end.Outcome == nil ||
				end.Outcome.Type != agui.OutcomeCancelled {
				t.Errorf("%q ended after %v with %+v", script, took, end)
			}
		})
	}
}

func TestStream_ContextError(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	n := 0
	for _, err := range scripted.New(scripted.Config{Pace: -1}).Stream(ctx, engine.Request{}) {
		if n++; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
	if n != 1 {
		t.Errorf("%d pieces", n)
	}
	for range scripted.New(scripted.Config{Pace: -1}).Stream(context.Background(), engine.Request{}) {
		break // whoever has enough is not called again
	}
}

// /recite shows the whole request: instructions, tools, and the conversation.
func TestRecite(t *testing.T) {
	c, _ := talk(t, "/say hello\n/call calculator {\"expression\":\"6*7\"}", "/recite")
	last := c.folder.Messages()[len(c.folder.Messages())-1].Content
	for _, line := range []string{"system: You are", "offered: calculator\n", "user: /say hello\n",
		"assistant: hello\n",
		`calls: calculator {"expression":"6*7"}`, "tool: 42\n", "user: /recite\n"} {
		if !strings.Contains(last, line) {
			t.Errorf("%q is missing in\n%s", line, last)
		}
	}
}
