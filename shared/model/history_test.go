package model_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/engine"
	"carrel/shared/model/modeltest"
)

func user(text string) agui.Message { return agui.Message{ID: "u", Role: agui.RoleUser, Content: text} }

func answer(id, text string, calls ...agui.ToolCall) agui.Message {
	return agui.Message{ID: id, Role: agui.RoleAssistant, Content: text, ToolCalls: calls}
}

func toolCall(id, name, args string) agui.ToolCall {
	return agui.ToolCall{ID: id, Type: "function", Function: agui.FunctionCall{Name: name, Arguments: args}}
}

func toolResult(id, text string) agui.Message {
	return agui.Message{ID: "r" + id, Role: agui.RoleTool, ToolCallID: id, Content: text}
}

// histories are conversations as threads have them after failures. want must be in the request.
func histories() []struct {
	name string
	all  []agui.Message
	want string
} {
	return []struct {
		name string
		all  []agui.Message
		want string
	}{
		{"nothing", nil, "Continue."},
		{"an answer first", []agui.Message{answer("a", "Hello."), user("Hi.")}, "Hello."},
		{"two questions", []agui.Message{user("First."), user("Second.")}, "Second."},
		{"two answers", []agui.Message{user("Hi."), answer("a", "One."), answer("b", "Two."), user("Go on.")}, "Two."},
		{"an answer last", []agui.Message{user("Hi."), answer("a", "Half an ans")}, "Half an ans"},
		{"an empty question", []agui.Message{user(" ")}, "empty"},
		{"an empty answer", []agui.Message{user("Hi."), answer("a", ""), user("Hm?")}, "Hm?"},
		{"P8 empty arguments", []agui.Message{user("Hi."), answer("a", "", toolCall("c", "clock", "")),
			toolResult("c", "noon")}, "noon"},
		{"arguments that are no object", []agui.Message{user("Hi."), answer("a", "", toolCall("c", "clock", "[1]")),
			toolResult("c", "noon")}, "[1]"},
		{"arguments that were cut", []agui.Message{user("Hi."), answer("a", "", toolCall("c", "clock", `{"x":`)),
			toolResult("c", "noon")}, "noon"},
		{"P23 a call without a result", []agui.Message{user("Hi."), answer("a", "", toolCall("c", "clock", "{}")),
			user("Still there?")}, "no result"},
		{"an empty result", []agui.Message{user("Hi."), answer("a", "", toolCall("c", "clock", "{}")), toolResult("c",
			"")},
			"no output"},
		{"a result without its call", []agui.Message{user("Hi."), toolResult("x", "lost")}, "Hi."},
		{"a result after the next question", []agui.Message{user("Hi."), answer("a", "", toolCall("c", "clock", "{}")),
			user("And?"), toolResult("c", "noon")}, "noon"},
		{"two results of one call", []agui.Message{user("Hi."), answer("a", "", toolCall("c", "clock", "{}")),
			toolResult("c", "noon"), toolResult("c", "one")}, "noon"},
		{"one id twice", []agui.Message{user("Hi."), answer("a", "", toolCall("c", "clock", "{}")), toolResult("c",
			"noon"),
			answer("b", "", toolCall("c", "clock", "{}")), toolResult("c", "noon")}, "noon"},
		{"an id that no provider accepts", []agui.Message{user("Hi."), answer("a", "", toolCall("é:1/ü", "clock",
			"{}")),
			toolResult("é:1/ü", "noon")}, "noon"},
		{"a long id", []agui.Message{user("Hi."), answer("a", "", toolCall(strings.Repeat("x", 90), "clock", "{}")),
			toolResult(strings.Repeat("x", 90), "noon")}, "noon"},
		{"P11 a call without a name", []agui.Message{user("Hi."), answer("a", "", toolCall("c", "", "{}")),
			toolResult("c", "unknown")}, "Hi."},
		{"a name that no provider accepts", []agui.Message{user("Hi."), answer("a", "", toolCall("c", "my tool!",
			"{}")),
			toolResult("c", "unknown")}, "my_tool"},
		{"P24 text and calls", []agui.Message{user("Hi."), answer("a", "Text.", toolCall("c", "clock", "{}"),
			toolCall("d", "add", "{}")), toolResult("d", "2"), toolResult("c", "noon")}, "noon"},
		{"reasoning", []agui.Message{user("Hi."), {ID: "t", Role: agui.RoleReasoning, Content: "hidden"},
			answer("a", "Hello."), user("And?")}, "And?"},
	}
}

func TestHistories(t *testing.T) {
	for _, h := range histories() {
		t.Run(h.name, func(t *testing.T) {
			each(t, func(t *testing.T, p provider) {
				r := question()
				r.Messages = h.all
				got, s := ask(t, p, r)
				if got.err != nil {
					t.Fatalf("error %v", got.err)
				}
				if body := s.Requests()[0].Body; !contains(body, h.want) {
					t.Errorf("the request lacks %q:\n%s", h.want, body)
				}
			})
		})
	}
}

// contains reports whether a request has this text in one of its strings.
func contains(body, want string) bool {
	quoted, err := json.Marshal(want)
	if err != nil {
		return false
	}
	text := strings.Trim(string(quoted), `"`)
	again, err := json.Marshal(text)
	return err == nil && (strings.Contains(body, text) || strings.Contains(body, strings.Trim(string(again), `"`)))
}

// P22: a thread with calls goes on with an agent that has no tools.
func TestP22_CallsWithoutTools(t *testing.T) {
	each(t, func(t *testing.T, p provider) {
		r := question()
		r.Tools = nil
		r.Messages = []agui.Message{user("Hi."), answer("a", "", toolCall("c", "clock", "{}")), toolResult("c", "noon"),
			answer("b", "It is noon."), user("Thanks.")}
		got, s := ask(t, p, r)
		if got.err != nil || !strings.Contains(s.Requests()[0].Body, "noon") {
			t.Errorf("error %v, want a request with the earlier result", got.err)
		}
	})
}

// randomHistory returns a conversation that no working thread has.
func randomHistory(r *rand.Rand) []agui.Message {
	text := func() string { return []string{"", " ", "Hello.", "é🙂", "a\nb", "{}"}[r.IntN(6)] }
	id := func() string { return []string{"c1", "c2", "c3", "ü:1", "", strings.Repeat("y", 80)}[r.IntN(6)] }
	var all []agui.Message
	for i := range r.IntN(9) {
		m := agui.Message{ID: fmt.Sprint("m", i), Content: text(),
			Role: []agui.Role{agui.RoleUser, agui.RoleAssistant, agui.RoleTool, agui.RoleReasoning,
				"system"}[r.IntN(5)]}
		switch m.Role {
		case agui.RoleTool:
			m.ToolCallID = id()
		case agui.RoleAssistant:
			for range r.IntN(3) {
				m.ToolCalls = append(m.ToolCalls, toolCall(id(), []string{"add", "", "no such tool", "ü",
					"x/y"}[r.IntN(5)],
					[]string{"", "{}", "[]", `{"x":`, `"x"`, "null", "{\"a\":1}"}[r.IntN(7)]))
			}
		}
		all = append(all, m)
	}
	return all
}

// Every history becomes a request that the strict server accepts.
func FuzzHistory(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	type served struct {
		provider
		server *modeltest.Server
		model  engine.Model
	}
	var all []served
	for _, p := range providers() {
		s := modeltest.New(f, p.wire)
		all = append(all, served{p, s, p.make(s.URL, everything(), false)})
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		request := question()
		request.Messages = randomHistory(r)
		request.Keep = map[string]string{}
		for _, m := range request.Messages {
			if r.IntN(4) == 0 {
				request.Keep[m.ID] = "other/model@v1:pW10"
			}
		}
		if r.IntN(2) == 0 {
			request.Tools = nil
		}
		request.Settings.Effort = []string{"", "low", "high"}[r.IntN(3)]
		request.Choice = []string{"", "none", "any", "add"}[r.IntN(4)]
		for _, p := range all {
			got := collect(t, t.Context(), p.model, request)
			if got.err != nil {
				messages, _ := json.Marshal(request.Messages)
				t.Fatalf("SEED=%d %s: %v: refused with %q\nmessages %s", seed, p.name, got.err, p.server.Refused(),
					messages)
			}
		}
	})
}

// chunked is an HTTP client whose answers come in random pieces.
type chunked struct {
	stream []byte
	header http.Header
	sizes  []byte
}

func (c chunked) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: c.header,
		Body: io.NopCloser(&pieces{rest: c.stream, sizes: c.sizes})}, nil
}

type pieces struct {
	rest, sizes []byte
	n           int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	size := 1
	if len(p.sizes) > 0 {
		size += int(p.sizes[p.n%len(p.sizes)])
		p.n++
	}
	n := copy(b[:min(size, len(b))], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// The pieces in which a stream arrives do not change the sequence of deltas.
func FuzzChunks(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{1, 5, 250})
	f.Add([]byte{255})
	said := modeltest.Answer{Parts: []modeltest.Part{{Text: "Grüezi 🙂 日本"}, call("c1", "add", `{"x":"Zürich"}`),
		call("c2", "clock", "{}")}}
	f.Fuzz(func(t *testing.T, sizes []byte) {
		for _, p := range providers() {
			deltas := func(sizes []byte) []string {
				h := http.Header{"Content-Type": {modeltest.ContentType(p.wire)}}
				m := p.over(&http.Client{Transport: chunked{modeltest.Stream(p.wire, said), h, sizes}})
				var all []string
				for d, err := range m.Stream(t.Context(), question()) {
					if err != nil {
						t.Fatalf("%s in pieces %v: %v", p.name, sizes, err)
					}
					all = append(all, fmt.Sprint(d.Text, d.Reasoning, d.ToolStart, d.ToolArgs, d.Keep, d.Usage, d.Stop))
				}
				return all
			}
			if got, want := deltas(sizes), deltas([]byte{255, 255}); !slices.Equal(got, want) {
				t.Errorf("%s in pieces %v: got %q, want %q", p.name, sizes, got, want)
			}
		}
	})
}
