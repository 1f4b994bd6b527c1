package model_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/shared/engine"
	"carrel/shared/model/internal/adapter"
	"carrel/shared/model/modeltest"
	"carrel/shared/model/openai"
)

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
		{name: "wrong key", reply: status(401, func(p provider) string {
			return cmp.Or(p.wrongKey,
				"invalid_api_key")
		}), want: engine.Refused},
		{name: "not allowed", reply: status(403, func(p provider) string {
			return cmp.Or(p.notAllowed,
				"permission_error")
		}), want: engine.Refused},
		{name: "no such model", reply: status(404, func(p provider) string { return p.noModel }), want: engine.Refused},
		{name: "a wrong request", reply: status(400, func(p provider) string {
			return cmp.Or(p.invalid,
				"invalid_request_error")
		}), want: engine.Invalid},
		{name: "too long", reply: func(p provider) modeltest.Reply {
			return modeltest.Reply{Status: 400, Code: p.tooLong,
				Say: "prompt is too long: 250000 tokens > 200000 maximum"}
		}, want: engine.TooLong},
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
		s := modeltest.New(t, p.wire, modeltest.Reply{Status: 400, Code: cmp.Or(p.invalid, "invalid_request_error")})
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
	m := openai.New(openai.Config{Config: adapter.Config{Provider: "x", Model: modeltest.Model, URL: serve(t, gate),
		Key: func(_ context.Context, fresh bool) (string, error) {
			asked = append(asked, fresh)
			return fmt.Sprint("key", len(asked)), nil
		}}})
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
		got := collect(t, t.Context(), openai.New(openai.Config{Config: adapter.Config{Provider: "x",
			Model: modeltest.Model, URL: s.URL, Log: slog.New(slog.NewTextHandler(&log, nil))}}), r)
		if warned := strings.Contains(log.String(), "cut the prompt"); warned != want || got.err != nil {
			t.Errorf("%d tokens: warned %v, error %v, want the warning %v", tokens, warned, got.err, want)
		}
	}
}

// A redirect is not followed: it would send key and conversation to another host.
func TestRedirect(t *testing.T) {
	other := modeltest.New(t, modeltest.Chat)
	url := serve(t, http.RedirectHandler(other.URL+"/v1/chat/completions", http.StatusTemporaryRedirect))
	got := collect(t, t.Context(), chat("openai").make(url, everything(), false), question())
	var failed *engine.ModelError
	if !errors.As(got.err, &failed) || failed.Kind != engine.Refused || len(other.Requests())+len(other.Refused()) > 0 {
		t.Errorf("got %+v, want refused and no request to the other host", got)
	}
}
