package main

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/store"
	"carrel/shared/tool"
)

// modelFunc implements a model by one function.
type modelFunc func(ctx context.Context, r engine.Request) iter.Seq2[engine.Delta, error]

func (f modelFunc) Stream(ctx context.Context, r engine.Request) iter.Seq2[engine.Delta, error] {
	return f(ctx, r)
}

// streams returns a model that streams half a word and then calls the function.
func streams(then func(ctx context.Context, yield func(engine.Delta, error) bool)) engine.Model {
	return modelFunc(func(ctx context.Context, _ engine.Request) iter.Seq2[engine.Delta, error] {
		return func(yield func(engine.Delta, error) bool) {
			if yield(engine.Delta{Text: "half"}, nil) {
				then(ctx, yield)
			}
		}
	})
}

type none struct{}

// mishap is a fault in a run.
type mishap struct {
	model engine.Model
	text  string
	tool  func(context.Context, none) (string, error)
	agent string
	code  string // "": it finishes
}

func mishaps() map[string]mishap {
	calls := func(name, arguments string) string {
		return "/say half\n/call " + name + " " + arguments + "\n/say whole"
	}
	return map[string]mishap{
		"the model panics": {model: streams(func(context.Context,
			func(engine.Delta, error) bool) {
			panic("boom")
		}), code: engine.CodeInternal},
		"the model panics at once": {model: modelFunc(func(context.Context, engine.Request) iter.Seq2[engine.Delta,
			error] {
			panic("boom")
		}), code: engine.CodeInternal},
		"the model gives nil": {model: modelFunc(func(context.Context, engine.Request) iter.Seq2[engine.Delta,
			error] {
			return nil
		}), code: engine.CodeInternal},
		"the model gives no delta": {model: modelFunc(func(context.Context, engine.Request) iter.Seq2[engine.Delta,
			error] {
			return func(func(engine.Delta, error) bool) {}
		}), code: engine.CodeModel},
		"the model just ends": {model: streams(func(context.Context, func(engine.Delta, error) bool) {}),
			code: engine.CodeModel},
		"the model fails": {model: streams(func(_ context.Context, y func(engine.Delta,
			error) bool) {
			y(engine.Delta{}, errors.New("secret"))
		}), code: engine.CodeModel},
		"the model hangs": {model: streams(func(ctx context.Context,
			_ func(engine.Delta, error) bool) {
			<-ctx.Done()
		}), code: engine.CodeTimeLimit},
		"a tool panics": {text: calls("odd", "{}"),
			tool: func(context.Context, none) (string, error) { panic("boom") }},
		"a tool gives nothing": {text: calls("odd", "{}"),
			tool: func(context.Context, none) (string, error) { return "", nil }},
		"a tool asks what cannot be answered": {text: calls("odd", "{}"),
			tool: func(context.Context, none) (string, error) {
				return "", &tool.InputError{Message: "Which?", Schema: []byte(`{"type":`)}
			}},
		"a tool fails": {text: calls("odd", "{}"),
			tool: func(context.Context, none) (string, error) { return "", errors.New("secret") }},
		"a tool hangs": {text: calls("odd", "{}"), tool: func(ctx context.Context, _ none) (string,
			error) {
			<-ctx.Done()
			return "", ctx.Err()
		}, code: engine.CodeTimeLimit},
		"a tool that is not there": {text: calls("nobody", "{}")},
		"arguments that are poison": {text: calls("odd", `{"\u0000":[[[[`),
			tool: func(context.Context, none) (string, error) { return "no", nil }},
		"text that is poison":          {text: "/say half \xff\xfe\x00 \u202e ]]> {\"a\": 'b' \\u0000 whole"},
		"a lot of text":                {text: "/say half whole " + strings.Repeat("ä", 50_000)},
		"no text":                      {text: " "},
		"an agent that does not exist": {agent: "gone", text: "/say half", code: engine.CodeInternal},
	}
}

// Every fault stays in its run: the run ends with exactly one terminal event, its slot is free, and the next run of the
// thread works as usual.
func TestTurn_EndsOnceInEveryCase(t *testing.T) {
	t.Attr("row", "B4: whatever fails, a run ends once and its thread continues")
	for name, c := range mishaps() {
		t.Run(name, c.happens)
	}
}

func (c mishap) happens(t *testing.T) {
	model := c.model
	if model == nil {
		model = fast()
	}
	r := newFixture(t, model)
	if c.code == engine.CodeTimeLimit {
		r.limits.RunTime = 300 * time.Millisecond
	}
	if c.tool != nil {
		r.give(t, model, c.tool)
	}
	_, err := r.store.Admit(t.Context(), store.Admission{
		Run: "r1", Thread: "t", Agent: c.agent, Grants: []string{"odd"},
		Messages: []agui.Message{{ID: "u", Role: agui.RoleUser, Content: c.text}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.turn(t, "r1")
	log := r.events(t) // and their order
	ends := 0
	for _, e := range log {
		if e.Terminal() {
			ends++
		}
	}
	last, run := log[len(log)-1], r.status(t, "r1")
	if ends != 1 || last.Code != c.code || run != map[bool]chat.RunStatus{true: chat.RunFinished,
		false: chat.RunFailed}[c.code == ""] {
		t.Errorf("%d ends, the last %+v; the run is %s\n%s", ends, last, run, r.log)
	}
	if strings.Contains(r.log.String(), "residue") || strings.Contains(last.Message, "secret") {
		t.Errorf("it left something behind, or revealed too much: %+v\n%s", last, r.log)
	}
	if seen, _ := r.seen(t, "window"); len(seen) != len(log) {
		t.Errorf("the window saw %d events of %d", len(seen), len(log))
	}
	r.limits = chat.DefaultLimits()
	r.agents = assistant(t, fast())
	r.ask(t, "r2", "/say next")
	r.turn(t, "r2")
	if log := r.events(t); !strings.HasSuffix(said(log), "next") || r.status(t, "r2") != chat.RunFinished {
		t.Errorf("the thread's next run said %q", said(log))
	}
}

// give makes odd the agent's only tool.
func (r *fixture) give(t *testing.T, model engine.Model, handle func(context.Context, none) (string, error)) {
	t.Helper()
	odd, err := tool.Define("odd", "Is odd.", "odd", handle)
	if err != nil {
		t.Fatal(err)
	}
	if r.tools, err = r.tools.With(odd); err != nil {
		t.Fatal(err)
	}
	r.agents = agentsOf(t, named("assistant", model, "odd"))
}

// A process that was suspended for most of its lease starts no work before it has renewed the lease, and none at all if
// another worker has the run by then.
func TestTurn_LeaseAboutToExpire(t *testing.T) {
	for name, taken := range map[string]bool{"still its own": false, "taken over": true} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			r := newFixture(t, peek{fast(), func([]agui.Message) { asked++ }})
			r.after = func(d time.Duration) <-chan time.Time {
				if d == renewEvery || d == cancelEvery {
					return nil // it stands still
				}
				return time.After(d)
			}
			model := r.agents
			a, err := model.Agent("", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.give(t, a.Candidates[0].Model, func(context.Context, none) (string, error) {
				r.clock.Advance(16 * time.Second)
				if taken {
					r.clock.Advance(5 * time.Second)
					if _, err := r.store.Claim(t.Context(), "r1"); err != nil {
						t.Errorf("the other worker: %v", err)
					}
				}
				return "slept", nil
			})
			_, err = r.store.Admit(t.Context(), store.Admission{Run: "r1", Thread: "t", Grants: []string{"odd"},
				Messages: []agui.Message{{ID: "u", Role: agui.RoleUser, Content: "/call odd {}\n/say whole"}}})
			if err != nil {
				t.Fatal(err)
			}
			r.turn(t, "r1")
			if taken && (asked != 1 || !strings.Contains(r.log.String(), "could not be renewed")) {
				t.Errorf("the model was asked %d times\n%s", asked, r.log)
			}
			if !taken && (asked != 2 || r.status(t, "r1") != chat.RunFinished) {
				t.Errorf("the model was asked %d times, the run is %s\n%s", asked, r.status(t, "r1"), r.log)
			}
		})
	}
}
