package engine_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/engine"
	"carrel/shared/tool"
)

// made makes the tool "other", whose result has the number of calls and their keys.
func made(t *testing.T, keys *[]string) tool.Tool {
	t.Helper()
	other, err := tool.Define("other", "", "all", func(ctx context.Context, in input) (string, error) {
		*keys = append(*keys, tool.IdempotencyKey(ctx))
		return "did " + in.Say, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return other
}

func other(id, say string) agui.ToolCall {
	return agui.ToolCall{ID: id, Type: "function", Function: agui.FunctionCall{Name: "other", Arguments: `{"say":"` +
		say + `"}`}}
}

func done() *model { return says([]engine.Delta{text("done"), stop(engine.StopEnd)}) }

// results returns the results that a run emitted, as "call: content".
func (f *fixture) results() string {
	var all []string
	for _, e := range f.sink.events {
		if e.Type == agui.ToolCallResult {
			all = append(all, e.ToolCallID+": "+*e.Content)
		}
	}
	return strings.Join(all, "; ")
}

func sent(r engine.Request) string {
	var all []string
	for _, m := range r.Messages {
		all = append(all, m.ID+strings.TrimPrefix(":"+m.ToolCallID, ":"))
	}
	return strings.Join(all, " ")
}

// After a worker's death only an idempotent tool's call is made again, with the same key.
func TestPendingCall_PreviousAttempt(t *testing.T) {
	for name, idempotent := range map[string]bool{"idempotent": true, "not idempotent": false} {
		t.Run(name, func(t *testing.T) {
			var keys []string
			tool := made(t, &keys)
			if idempotent {
				tool = tool.Idempotent()
			}
			m := done()
			f := setUp(t, m, chat.Limits{}, tool)
			f.config.History = append(f.config.History, agui.Message{ID: "a", Role: agui.RoleAssistant,
				ToolCalls: []agui.ToolCall{other("c1", "x")}})
			f.config.Pending = []engine.PendingCall{{Call: other("c1", "x"), MayHaveRun: true}}
			end := f.run()
			want, wantKeys := "c1: "+agui.UnknownOutcome, []string(nil)
			if idempotent {
				want, wantKeys = "c1: did x", []string{chattest.User(t, "alice").Hash() + ":r:c1"}
			}
			if f.results() != want || !slices.Equal(keys, wantKeys) || end.Outcome.Type != agui.OutcomeSuccess {
				t.Errorf("%s; called with the keys %q; ended with %+v", f.results(), keys, end)
			}
			if got := m.asked[0].Messages; len(got) != 3 || got[2].Content != strings.TrimPrefix(want, "c1: ") {
				t.Errorf("the model was sent %s", sent(m.asked[0]))
			}
		})
	}
}

// A response is applied to its call, wherever in the thread the call was made.
func TestResolve(t *testing.T) {
	var keys []string
	m := done()
	f := setUp(t, m, chat.Limits{}, made(t, &keys).AskFirst("Really?"))
	f.config.History = []agui.Message{
		{ID: "u0", Role: agui.RoleUser, Content: "do both"},
		{ID: "a", Role: agui.RoleAssistant, ToolCalls: []agui.ToolCall{other("c1", "x"), other("c2", "y"),
			other("c3", "z")}},
		{ID: "t2", Role: agui.RoleTool, ToolCallID: "c2", Content: "known"},
		{ID: "u1", Role: agui.RoleUser, Content: "and go on"},
	}
	refused := tool.Result{Outcome: tool.Refused, Content: "no"}
	f.config.Pending = []engine.PendingCall{{Call: other("c3", "z"), Result: &refused},
		{Call: other("c1", "x"), Approved: true}}
	f.run()
	if f.results() != "c3: no; c1: did x" || len(keys) != 1 {
		t.Errorf("%s; called with %q", f.results(), keys)
	}
	var calls []string
	for _, m := range m.asked[0].Messages {
		calls = append(calls, string(m.Role)+m.ToolCallID)
	}
	if want := "user assistant toolc1 toolc2 toolc3 user"; strings.Join(calls, " ") != want {
		t.Errorf("the model was sent %v, want %s", calls, want)
	}
}

// asking is a model that calls echo and, twice, other.
func asking() *model {
	return says([]engine.Delta{text("let me"), start("other"), args(`{"say":"x"}`), start("echo"), args(`{"say":"b"}`),
		start("other"), args(`{"say":"y"}`), stop(engine.StopTools)})
}

// runAsking executes the run and returns its end, without the check that each call has its result.
func (f *fixture) runAsking() agui.Event {
	f.t.Helper()
	end, err := engine.Run(f.ctx, f.config)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.sink.order.Check(end); err != nil {
		f.t.Error(err)
	}
	if err := f.uc.Close(context.Background()); err != nil {
		f.t.Error(err)
	}
	return end
}

func TestRun_EndsWithInterrupts(t *testing.T) {
	var keys []string
	m := asking()
	f := setUp(t, m, chat.Limits{}, made(t, &keys).AskFirst("Really?"))
	end := f.runAsking()
	if end.Type != agui.RunFinished || end.Outcome.Type != agui.OutcomeInterrupt || len(end.Outcome.Interrupts) != 2 ||
		len(keys) != 0 || len(m.asked) != 1 || !strings.HasSuffix(f.results(), ": echo b") ||
		strings.Contains(f.results(), ";") {
		t.Fatalf("ended with %+v; %s; called %q", end, f.results(), keys)
	}
	first := end.Outcome.Interrupts[0]
	expires, err := time.Parse(time.RFC3339, first.ExpiresAt)
	if err != nil || time.Until(expires) > 24*time.Hour || time.Until(expires) < 23*time.Hour ||
		first.Message != "Really?" ||
		first.Reason != agui.ReasonToolCall || first.ID == end.Outcome.Interrupts[1].ID {
		t.Errorf("asked %+v", first)
	}
	for _, c := range []struct {
		answer agui.Resume
		want   engine.PendingCall
	}{
		{agui.Resume{Status: agui.ResumeResolved}, engine.PendingCall{Approved: true}},
		{agui.Resume{Status: agui.ResumeResolved, Payload: json.RawMessage(`{"approved":false}`)},
			engine.PendingCall{Result: &tool.Result{Outcome: tool.Refused}}},
		{agui.Resume{Status: agui.ResumeCancelled}, engine.PendingCall{Result: &tool.Result{Outcome: tool.Refused}}},
		{agui.Resume{}, engine.PendingCall{Result: &tool.Result{Outcome: tool.Refused}}},
	} {
		p, err := engine.Resolve(first, c.answer)
		if err != nil || p.Approved != c.want.Approved || (p.Result == nil) != (c.want.Result == nil) ||
			p.Call.ID != first.ToolCallID ||
			p.Call.Function != (agui.FunctionCall{Name: "other", Arguments: `{"say":"x"}`}) {
			t.Errorf("%+v: %+v, %v", c.answer, p, err)
		}
	}
	if _, err := engine.Resolve(agui.Interrupt{ID: "i"}, agui.Resume{Status: agui.ResumeResolved}); err == nil {
		t.Error("responded to no interrupt")
	}
}

// A handler that requests input is not called again. The response is the result.
func TestRun_ToolRequestsInput(t *testing.T) {
	schema := json.RawMessage(`{"type":"string"}`)
	wants, err := tool.Define("other", "", "all", func(context.Context, input) (string, error) {
		return "", fmt.Errorf("wrapped: %w", &tool.InputError{Message: "Which color?", Schema: schema})
	})
	if err != nil {
		t.Fatal(err)
	}
	f := setUp(t, says([]engine.Delta{start("other"), args(`{"say":"x"}`), stop(engine.StopTools)}), chat.Limits{},
		wants)
	f.config.Agent.Name = "painter"
	end := f.runAsking()
	if end.Outcome == nil || len(end.Outcome.Interrupts) != 1 {
		t.Fatalf("ended with %+v", end)
	}
	q := end.Outcome.Interrupts[0]
	if q.Reason != agui.ReasonInputRequired || q.Message != "Which color?" ||
		string(q.ResponseSchema) != string(schema) || engine.InterruptAgent(q) != "painter" {
		t.Errorf("asked %+v %s", q, q.Metadata)
	}
	for payload, wrong := range map[string]string{`"red"`: "", `3`: `want "string"`, "": "payload is missing",
		`{"approved":false}`:                     "",
		`["` + strings.Repeat("red", 300) + `"]`: "The question is still open"} {
		got := ""
		if w := engine.CheckResponse(q, agui.Resume{Status: agui.ResumeResolved,
			Payload: json.RawMessage(payload)}); w != nil {
			got = w.Text
		}
		if (got == "") != (wrong == "") || !strings.Contains(got, wrong) || len(got) > 700 {
			t.Errorf("%s is wrong: %q, want %q", payload, got, wrong)
		}
	}
	for payload, want := range map[string]string{`"red"`: "red", `{"rgb":[1,2,3]}`: `{"rgb":[1,2,3]}`} {
		p, err := engine.Resolve(q, agui.Resume{Status: agui.ResumeResolved, Payload: json.RawMessage(payload)})
		if err != nil || p.Result == nil || *p.Result != (tool.Result{Outcome: tool.OK, Content: want}) {
			t.Errorf("%s: %+v, %v", payload, p, err)
		}
	}
}

// Interrupts are stored with the thread, so their size is bounded.
func TestRun_InterruptBounds(t *testing.T) {
	var deltas []engine.Delta
	for range 8 {
		deltas = append(deltas, start("other"), args(`{"say":"`+strings.Repeat("x", 7000)+`"}`))
	}
	var keys []string
	f := setUp(t, says(append(deltas, stop(engine.StopTools))), chat.Limits{}, made(t, &keys).AskFirst("Really?"))
	end := f.runAsking()
	if n := len(end.Outcome.Interrupts); n != 4 || strings.Count(f.results(), "too many such calls") != 4 ||
		len(keys) != 0 {
		t.Errorf("asked %d questions; %s", n, f.results())
	}
	deltas = nil
	for range 22 {
		deltas = append(deltas, start("other"), args(`{"say":"x"}`))
	}
	f = setUp(t, says(append(deltas, stop(engine.StopTools))), chat.Limits{}, made(t, &keys).AskFirst("Really?"))
	if end := f.runAsking(); len(end.Outcome.Interrupts) != 20 ||
		strings.Count(f.results(), "too many such calls") != 2 {
		t.Errorf("asked %d small questions; %s", len(end.Outcome.Interrupts), f.results())
	}
	f = setUp(t, says([]engine.Delta{start("other"), args(`{"say":"` + strings.Repeat("x", 8<<10) + `"}`),
		stop(engine.StopTools)},
		[]engine.Delta{text("ok"), stop(engine.StopEnd)}), chat.Limits{}, made(t, &keys).AskFirst("Really?"))
	if end := f.run(); end.Outcome.Type != agui.OutcomeSuccess ||
		!strings.Contains(f.results(), "too long to be shown") || len(keys) != 0 {
		t.Errorf("ended with %+v; %s", end, f.results())
	}
}

// After a cancel no model and no tool is called, and the run raises no interrupt.
func TestRun_NothingStartsAfterCancel(t *testing.T) {
	for _, when := range []agui.EventType{agui.RunStarted, agui.TextMessageContent, agui.ToolCallEnd,
		agui.ToolCallResult} {
		var keys []string
		m := asking()
		f := setUp(t, m, chat.Limits{}, made(t, &keys).AskFirst("Really?"))
		f.config.Pending = []engine.PendingCall{{Call: other("c0", "pending"), Approved: true}}
		if when == agui.RunStarted {
			f.uc.Cancel(engine.ErrCancelled)
		}
		results := 0
		f.sink.fail = func(e agui.Event) error {
			if e.Type == agui.ToolCallResult {
				results++
			}
			if e.Type == when && (when != agui.ToolCallResult || results == 2) {
				f.uc.Cancel(engine.ErrCancelled)
			}
			return nil
		}
		end := f.run() // each call has a result
		want := map[bool]int{true: 0, false: 1}[when == agui.RunStarted]
		if end.Outcome == nil || end.Outcome.Type != agui.OutcomeCancelled || len(keys) != want ||
			len(m.asked) != want {
			t.Errorf("cancelled at %s: ended with %+v; %d model calls; tools called with %q", when, end, len(m.asked),
				keys)
		}
		if when == agui.RunStarted && f.results() != "c0: The run ended before this tool call had a result." {
			t.Errorf("cancelled at once: %s", f.results())
		}
		if when == agui.ToolCallEnd && strings.Contains(f.results(), "echo b") {
			t.Errorf("cancelled at %s: %s", when, f.results())
		}
	}
}

// No tool is called before its call is durable and before Ready allows it.
func TestRun_CallIsDurableFirst(t *testing.T) {
	for name, c := range map[string]struct{ sync, ready error }{
		"not durable": {sync: boom{}}, "not ready": {ready: fmt.Errorf("past: %w", chat.ErrLeaseLost)}, "fine": {},
	} {
		var keys []string
		f := setUp(t, says([]engine.Delta{start("other"), args(`{"say":"x"}`), stop(engine.StopTools)},
			[]engine.Delta{text("ok"), stop(engine.StopEnd)}),
			chat.Limits{}, made(t, &keys))
		asked := 0
		f.config.Ready = func(context.Context) error {
			if asked++; asked == 2 {
				return c.ready
			}
			return nil
		}
		f.sink.sync = func() error {
			if last := f.sink.events[len(f.sink.events)-1]; last.Name != agui.CustomAnswer || len(keys) > 0 {
				t.Errorf("%s: waited behind %s, with %d calls made", name, last.Type, len(keys))
			}
			return c.sync
		}
		_, err := engine.Run(f.ctx, f.config)
		failed := errors.Join(c.sync, c.ready)
		if (failed == nil) != (err == nil) || len(keys) != map[bool]int{true: 1}[failed == nil] || failed != nil &&
			!errors.Is(err, cmp.Or(c.sync, c.ready)) {
			t.Errorf("%s: %v, called %q", name, err, keys)
		}
		f.uc.Close(context.Background())
	}
}

// The usage of previous attempts counts, and the terminal event has the sum.
func TestRun_LimitsOverAttempts(t *testing.T) {
	t.Attr("row", "A3: a later attempt gets only what earlier attempts left of the limits")
	earlier := chat.RunStats{ModelCalls: 2, ToolCalls: 3, Events: 10, OutputBytes: 100}
	forever := func() *model {
		return says([]engine.Delta{start("echo"), args(`{"say":"again"}`), stop(engine.StopTools)})
	}
	for code, limits := range map[string]chat.Limits{
		engine.CodeModelCalls: {ModelCalls: 4}, engine.CodeToolCalls: {ToolCalls: 5}, engine.CodeEvents: {Events: 18},
		engine.CodeOutput: {OutputBytes: 150},
	} {
		m := forever()
		f := setUp(t, m, limits)
		f.uc.Count(earlier)
		end := f.run()
		if end.Code != code || len(m.asked) > 3 {
			t.Errorf("%s: ended with %+v after %d model calls", code, end, len(m.asked))
		}
		sum := f.uc.Count(chat.RunStats{})
		var told struct {
			Carrel struct{ Stats chat.RunStats }
		}
		if err := json.Unmarshal(end.Metadata, &told); err != nil || told.Carrel.Stats != sum {
			t.Errorf("%s: the terminal event has %s, used were %+v", code, end.Metadata, sum)
		}
		if want := agui.RunStats(f.sink.events[1:]); sum.Events != want.Events+10 ||
			sum.OutputBytes != want.OutputBytes+100 || sum.ModelCalls != len(m.asked)+2 {
			t.Errorf("%s: counted %+v, and the events show %+v", code, sum, want)
		}
		t.Attr("figure", fmt.Sprintf("%s: ended after %d events and %d bytes of output", code, sum.Events,
			sum.OutputBytes))
	}
}

// A run whose worker died after the complete answer is finished without another model call, and with its usage.
func TestRun_CompleteAnswerInLog(t *testing.T) {
	answer := says([]engine.Delta{text("done"), used("big", 3, 4), stop(engine.StopEnd)})
	f := setUp(t, answer, chat.Limits{})
	first := f.run()
	again := done()
	f2 := setUp(t, again, chat.Limits{})
	f2.config.Log = f.sink.events
	f2.config.History = append(f2.config.History, f.messages()...)
	if end := f2.run(); end.Outcome == nil || end.Outcome.Type != agui.OutcomeSuccess || len(again.asked) != 0 ||
		!slices.Equal(end.Usage, first.Usage) {
		t.Errorf("ended with %+v after %d model calls", end, len(again.asked))
	}
	f3 := setUp(t, again, chat.Limits{})
	f3.config.Log = f.sink.events[:len(f.sink.events)-1] // without the mark
	if f3.run(); len(again.asked) != 1 {
		t.Errorf("%d model calls after an answer without a mark, want 1", len(again.asked))
	}
}
