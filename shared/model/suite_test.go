package model_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/engine"
	"carrel/shared/model/facts"
	"carrel/shared/model/modeltest"
	"carrel/shared/model/openai"
	"carrel/shared/tool"
)

// secret is the key of the tests. prompt is what their users write.
const (
	secret = "sk-test-0123456789abcdef"
	prompt = "the-user-wrote-this"
)

// provider is one adapter beside the strict server of its wire.
type provider struct {
	name string
	wire modeltest.Wire
	make func(url string, f facts.Facts, logText bool) engine.Model
	over func(c *http.Client) engine.Model // with this client
	// code returns the provider's word for a failure.
	throttled, overloaded, tooLong, noModel string
	keeps                                   bool // it sends data that later calls need
}

func key(context.Context, bool) (string, error) { return secret, nil }

// chat returns a provider that speaks Chat Completions with these quirks.
func chat(preset string) provider {
	q, _ := facts.Preset(preset)
	c := openai.Config{Provider: preset, Model: modeltest.Model, Key: key, Quirks: q}
	return provider{name: "chat " + preset, wire: modeltest.Chat, keeps: preset == "gemini",
		throttled: "rate_limit_exceeded", overloaded: "server_error", tooLong: "context_length_exceeded",
		noModel: "model_not_found", make: func(url string, f facts.Facts, logText bool) engine.Model {
			c := c
			c.URL, c.Facts, c.LogText = url+"/v1", f, logText
			return openai.New(c)
		}, over: func(client *http.Client) engine.Model {
			c := c
			c.URL, c.Client = "http://model.test", client
			return openai.New(c)
		}}
}

func providers() []provider {
	var all []provider
	for _, preset := range []string{"openai", "azure", "gemini", "vllm", "ollama", "llamacpp"} {
		all = append(all, chat(preset))
	}
	return all
}

// everything has all features.
func everything() facts.Facts {
	return facts.Facts{Context: 200000, Output: 64000, Thinks: facts.Asked, ForcedTools: true, Schema: true,
		Cache: true, Images: true, Documents: true}
}

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
		if u.InputTokens != 120 || u.CachedInputTokens != 40 || u.OutputTokens != 30 || u.Model != modeltest.Model ||
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
				t.Errorf("in pieces of %d bytes: got %+v, want %+v", reply.Chunk, got, want)
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

// failure is one way in which a call fails, and how the adapter must classify it.
type failure struct {
	name  string
	reply func(p provider) modeltest.Reply
	want  engine.Kind
	after time.Duration
}

func status(code int, word func(p provider) string) func(p provider) modeltest.Reply {
	return func(p provider) modeltest.Reply { return modeltest.Reply{Status: code, Code: word(p)} }
}

func word(text string) func(provider) string { return func(provider) string { return text } }

func broken(kind modeltest.FaultKind, after int, code func(p provider) string) func(p provider) modeltest.Reply {
	return func(p provider) modeltest.Reply {
		reply := answered(modeltest.Part{Text: "One two three four"})
		reply.Code, reply.Fault = code(p), modeltest.Fault{Kind: kind, After: after}
		return reply
	}
}

func failures() []failure {
	throttled := func(p provider) string { return p.throttled }
	overloaded := func(p provider) string { return p.overloaded }
	retry := func(p provider) modeltest.Reply {
		return modeltest.Reply{Status: 429, Code: p.throttled, Header: map[string]string{"Retry-After": "7"}}
	}
	page := func(status int) func(provider) modeltest.Reply {
		return func(provider) modeltest.Reply {
			return modeltest.Reply{Status: status, Body: "<html>" + prompt + secret + "</html>",
				Header: map[string]string{"Content-Type": "text/html"}}
		}
	}
	return []failure{
		{name: "throttled", reply: retry, want: engine.Throttled, after: 7 * time.Second},
		{name: "server error", reply: status(500, overloaded), want: engine.Overloaded},
		{name: "unavailable", reply: status(503, overloaded), want: engine.Overloaded},
		{name: "a proxy's page", reply: page(502), want: engine.Overloaded},
		{name: "P13 a page with status 200", reply: page(200), want: engine.Overloaded},
		{name: "wrong key", reply: status(401, word("invalid_api_key")), want: engine.Refused},
		{name: "not allowed", reply: status(403, word("permission_error")), want: engine.Refused},
		{name: "no such model", reply: status(404, func(p provider) string { return p.noModel }), want: engine.Refused},
		{name: "a wrong request", reply: status(400, word("invalid_request_error")), want: engine.Invalid},
		{name: "too long", reply: status(400, func(p provider) string { return p.tooLong }), want: engine.TooLong},
		{name: "P15 lost before the first delta", reply: broken(modeltest.Cut, 0, word("")), want: engine.Cut},
		{name: "P15 lost after some text", reply: broken(modeltest.Cut, 4, word("")), want: engine.Cut},
		{name: "a clean end without a stop", reply: broken(modeltest.End, 4, word("")), want: engine.Cut},
		{name: "P13 an error in the stream", reply: broken(modeltest.Error, 4, overloaded), want: engine.Overloaded},
		{name: "P14 throttled in the stream", reply: broken(modeltest.Error, 4, throttled), want: engine.Throttled},
		{name: "P17 an error as the first event", reply: broken(modeltest.Error, 0, overloaded),
			want: engine.Overloaded},
	}
}

func TestFailures(t *testing.T) {
	for _, f := range failures() {
		t.Run(f.name, func(t *testing.T) {
			each(t, func(t *testing.T, p provider) {
				got, _ := ask(t, p, question(), f.reply(p))
				var failed *engine.ModelError
				if !errors.As(got.err, &failed) {
					t.Fatalf("error %v, want a ModelError", got.err)
				}
				if failed.Kind != f.want || failed.After != f.after {
					t.Errorf("kind %s after %s, want %s after %s: %v", failed.Kind, failed.After, f.want, f.after,
						failed)
				}
				if text := failed.Error(); leaks(text) || !strings.Contains(text, modeltest.Model) {
					t.Errorf("the error is %q, want the model's name and neither prompt nor key", text)
				}
			})
		})
	}
}

func leaks(text string) bool {
	return strings.Contains(text, prompt) || strings.Contains(text, secret) || strings.Contains(text, "0123456789")
}

// With LogText the operator reads what the provider says, and never a key.
func TestFailures_LogText(t *testing.T) {
	each(t, func(t *testing.T, p provider) {
		s := modeltest.New(t, p.wire, modeltest.Reply{Status: 400, Code: "invalid_request_error"})
		got := collect(t, t.Context(), p.make(s.URL, everything(), true), question())
		if text := fmt.Sprint(got.err); !strings.Contains(text, prompt) || strings.Contains(text, secret) {
			t.Errorf("the error is %q, want the provider's text without the key", text)
		}
	})
}

// A key that was refused is fetched again once.
func TestKey_FetchedAgain(t *testing.T) {
	var asked []bool
	var header []string
	s := modeltest.New(t, modeltest.Chat)
	gate := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = append(header, r.Header.Get("Authorization"))
		if len(header) == 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.ServeHTTP(w, r)
	})
	m := openai.New(openai.Config{Provider: "x", Model: modeltest.Model, URL: serve(t, gate),
		Key: func(_ context.Context, fresh bool) (string, error) {
			asked = append(asked, fresh)
			return fmt.Sprint("key", len(asked)), nil
		}})
	got := collect(t, t.Context(), m, question())
	if got.err != nil || !slices.Equal(asked, []bool{false, true}) || !slices.Equal(header,
		[]string{"Bearer key1", "Bearer key2"}) {
		t.Errorf("error %v, keys asked for %v, sent %v", got.err, asked, header)
	}
}

// Ollama cuts a prompt that does not fit, without an error. The operator reads so.
func TestCutPrompt(t *testing.T) {
	for tokens, want := range map[int]bool{20: true, 5000: false, 0: false} {
		var log strings.Builder
		reply := answered(modeltest.Part{Text: "Hm."})
		reply.Usage.Input = tokens
		s := modeltest.New(t, modeltest.Chat, reply)
		r := question()
		r.Messages[0].Content = strings.Repeat("word ", 2000)
		got := collect(t, t.Context(), openai.New(openai.Config{Provider: "x", Model: modeltest.Model, URL: s.URL,
			Log: slog.New(slog.NewTextHandler(&log, nil))}), r)
		if warned := strings.Contains(log.String(), "cut the prompt"); warned != want || got.err != nil {
			t.Errorf("%d tokens: warned %v, error %v, want the warning %v", tokens, warned, got.err, want)
		}
	}
}
