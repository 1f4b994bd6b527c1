package model_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/engine"
	"carrel/shared/model/modeltest"
	"carrel/shared/tool"
)

// each runs a test for each provider.
func each(t *testing.T, test func(t *testing.T, p provider)) {
	for _, p := range providers() {
		t.Run(p.name, func(t *testing.T) { test(t, p) })
	}
}

// question is a request with one user message.
func question() engine.Request {
	return engine.Request{
		System:   []engine.Part{{Text: "Be brief.", Stable: true}, {Text: "Today is Tuesday."}},
		Messages: []agui.Message{{ID: "u1", Role: agui.RoleUser, Content: prompt}},
		Tools:    tools(), UserHash: "user-hash",
	}
}

func tools() []tool.Spec {
	return []tool.Spec{{Name: "add", Description: "Adds.", Schema: []byte(`{"type":"object","properties":{}}`)},
		{Name: "clock", Description: "Tells the time.", Schema: []byte(`{"type":"object","properties":{}}`)}}
}

// result is a collected answer.
type result struct {
	text, reasoning, calls, keep string
	usage                        agui.Usage
	stop                         engine.StopReason
	first                        int // deltas before the first with content
	err                          error
}

// collect makes a model call, and checks that the deltas are in order.
func collect(t *testing.T, ctx context.Context, m engine.Model, r engine.Request) result {
	t.Helper()
	var got result
	seen := false
	for d, err := range m.Stream(ctx, r) {
		if got.stop != "" || got.err != nil {
			t.Fatalf("a delta follows the end: %+v %v", d, err)
		}
		got.err = err
		if d.ToolStart != nil {
			got.calls += " " + d.ToolStart.Name
		}
		got.text, got.reasoning, got.calls = got.text+d.Text, got.reasoning+d.Reasoning, got.calls+d.ToolArgs
		if d.Keep != "" {
			if got.keep != "" {
				t.Error("Keep was sent twice")
			}
			got.keep = d.Keep
		}
		if d.Usage != nil {
			got.usage = *d.Usage
		}
		seen = seen || d.Text+d.Reasoning != "" || d.ToolStart != nil
		if !seen {
			got.first++
		}
		got.stop = d.Stop
	}
	if got.stop == "" && got.err == nil {
		t.Fatal("the sequence ended without a stop and without an error")
	}
	got.calls = strings.TrimSpace(got.calls)
	return got
}

// ask makes a model call to a server with these replies.
func ask(t *testing.T, p provider, r engine.Request, replies ...modeltest.Reply) (result, *modeltest.Server) {
	t.Helper()
	s := modeltest.New(t, p.wire, replies...)
	got := collect(t, t.Context(), p.make(s.URL, everything(), false), r)
	if refused := s.Refused(); len(refused) > 0 {
		t.Errorf("the server refused: %s", refused)
	}
	return got, s
}

func answered(parts ...modeltest.Part) modeltest.Reply {
	return modeltest.Reply{Answer: modeltest.Answer{Parts: parts,
		Usage: modeltest.Usage{Input: 120, CacheRead: 40, Output: 30, Reasoning: 10}}}
}

func call(id, name, args string) modeltest.Part {
	return modeltest.Part{Call: &modeltest.Call{ID: id, Name: name, Arguments: args}}
}

func TestText(t *testing.T) {
	each(t, func(t *testing.T, p provider) {
		got, _ := ask(t, p, question(), answered(modeltest.Part{Text: "Grüezi 🙂, how are you?"}))
		if got.text != "Grüezi 🙂, how are you?" || got.stop != engine.StopEnd || got.err != nil || got.calls != "" {
			t.Errorf("got %+v", got)
		}
		if got.first == 0 {
			t.Error("no sign of life came before the first content")
		}
		u := got.usage
		if u.InputTokens != 120 || u.CachedInputTokens != 40 || u.OutputTokens != 30 || !strings.HasSuffix(u.Model,
			modeltest.Model) ||
			u.Provider == "" {
			t.Errorf("usage %+v, want 120 input tokens with 40 from the cache, and 30 output tokens", u)
		}
	})
}

func TestCalls(t *testing.T) {
	each(t, func(t *testing.T, p provider) {
		got, _ := ask(t, p, question(), answered(modeltest.Part{Text: "Let me see."},
			call("c1", "add", `{"x":"Zürich"}`), call("c2", "clock", `{}`)))
		if got.calls != `add{"x":"Zürich"} clock{}` || got.stop != engine.StopTools || got.text != "Let me see." ||
			got.err != nil {
			t.Errorf("got %+v", got)
		}
	})
}

func TestStops(t *testing.T) {
	for stop, want := range map[modeltest.Stop]engine.StopReason{modeltest.StopMaxTokens: engine.StopMaxTokens,
		modeltest.StopFiltered: engine.StopFiltered, modeltest.StopUnknown: engine.StopReason(modeltest.StopUnknown)} {
		t.Run(string(want), func(t *testing.T) {
			each(t, func(t *testing.T, p provider) {
				reply := answered(modeltest.Part{Text: "Half"})
				reply.Stop = stop
				if got, _ := ask(t, p, question(), reply); got.stop != want || got.text != "Half" || got.err != nil {
					t.Errorf("got %+v, want the stop %s", got, want)
				}
			})
		})
	}
}

// P20: a call that was cut at the output limit has that stop, so that the engine does not make it.
func TestP20_CutInACall(t *testing.T) {
	each(t, func(t *testing.T, p provider) {
		reply := answered(call("c1", "add", `{"x":`))
		reply.Stop = modeltest.StopMaxTokens
		if got, _ := ask(t, p, question(), reply); got.stop != engine.StopMaxTokens || got.calls != `add{"x":` {
			t.Errorf("got %+v, want the stop max_tokens", got)
		}
	})
}

// Any split of a stream into pieces gives the same answer.
func TestChunks(t *testing.T) {
	each(t, func(t *testing.T, p provider) {
		reply := answered(modeltest.Part{Text: "Grüezi 🙂"}, call("c1", "add", `{"x":"日本"}`))
		want, _ := ask(t, p, question(), reply)
		for _, reply.Chunk = range []int{1, 2, 3, 7, 50} {
			got, _ := ask(t, p, question(), reply)
			if got != want {
				t.Errorf("in pieces of %d bytes: got %+v, want %+v: %v", reply.Chunk, got, want, got.err)
			}
		}
	})
}

func TestCancelled(t *testing.T) {
	each(t, func(t *testing.T, p provider) {
		reply := answered(modeltest.Part{Text: "One two three"})
		reply.Fault = modeltest.Fault{Kind: modeltest.Stall, After: 4}
		s := modeltest.New(t, p.wire, reply)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for d, err := range p.make(s.URL, everything(), false).Stream(ctx, question()) {
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want the context's", err)
			}
			if d.Text != "" {
				cancel()
			}
		}
		if ctx.Err() == nil {
			t.Error("the stream ended before any text")
		}
	})
}

// A consumer that wants no more ends the call.
func TestStopped(t *testing.T) {
	each(t, func(t *testing.T, p provider) {
		s := modeltest.New(t, p.wire, answered(modeltest.Part{Text: "One two three"}, call("c1", "add", "{}")))
		for n := range 12 {
			seen := 0
			for range p.make(s.URL, everything(), false).Stream(t.Context(), question()) {
				if seen++; seen > n {
					break
				}
			}
		}
	})
}
