package engine_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat/chattest"
	"carrel/shared/engine"
	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

// mind is a model that decides by the request, so that a repeated request has the same answer.
type mind func(r engine.Request) []engine.Delta

func (m mind) Stream(_ context.Context, r engine.Request) iter.Seq2[engine.Delta, error] {
	return func(yield func(engine.Delta, error) bool) {
		for _, d := range m(r) {
			if !yield(d, nil) {
				return
			}
		}
	}
}

// resultsIn returns the contents of the tools' results in a request.
func resultsIn(r engine.Request) (all []string) {
	for _, m := range r.Messages {
		if m.Role == agui.RoleTool {
			all = append(all, m.Content)
		}
	}
	return all
}

// asks returns the deltas that call an agent.
func asks(name, question string) []engine.Delta {
	return []engine.Delta{start("ask_" + name), args(fmt.Sprintf(`{"question":%q}`, question))}
}

// team is a run of an agent that may ask others, over several attempts.
type team struct {
	t       *testing.T
	minds   map[string]mind // by the agent's name; "" is the run's own
	asks    map[string][]engine.Colleague
	hands   map[string][]engine.Colleague
	grants  []string
	tools   *tool.Registry
	mu      sync.Mutex
	effects int                         // how often the tool "act" took effect
	seen    map[string][]engine.Request // by the agent's name
	log     []agui.Event
	earlier []agui.Message // of earlier runs
	runs    []agui.Event   // of earlier runs
	uc      *usercontext.Context
}

func newTeam(t *testing.T) *team {
	t.Helper()
	g := &team{t: t, grants: []string{"all"}, seen: map[string][]engine.Request{},
		asks: map[string][]engine.Colleague{"": {{Name: "talker"}, {Name: "actor"}}}}
	act, err := tool.Define("act", "", "all", func(context.Context, input) (string, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.effects++
		return "acted", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	careful, err := tool.Define("careful", "", "all", func(context.Context, input) (string, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.effects++
		return "acted with care", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if g.tools, err = tool.NewRegistry(act, careful.AskFirst("Really?"), outsideText(t), visit(t)); err != nil {
		t.Fatal(err)
	}
	g.minds = map[string]mind{
		"": func(r engine.Request) []engine.Delta {
			if got := resultsIn(r); len(got) > 0 {
				return []engine.Delta{text("all: " + strings.Join(got, ", ")), stop(engine.StopEnd)}
			}
			return slices.Concat([]engine.Delta{text("I ask.")}, asks("talker", "talk"), asks("actor", "act"),
				[]engine.Delta{stop(engine.StopTools)})
		},
		"talker": func(engine.Request) []engine.Delta {
			return []engine.Delta{text("one "), text("two "), text("three"), stop(engine.StopEnd)}
		},
		"actor": func(r engine.Request) []engine.Delta {
			if got := resultsIn(r); len(got) > 0 {
				return []engine.Delta{text("it " + got[0]), stop(engine.StopEnd)}
			}
			return []engine.Delta{start("act"), args(`{"say":"x"}`), stop(engine.StopTools)}
		},
	}
	return g
}

func (g *team) agent(name string, d *tool.Dispatcher) engine.Agent {
	m := mind(func(r engine.Request) []engine.Delta {
		g.mu.Lock()
		g.seen[name] = append(g.seen[name], r)
		g.mu.Unlock()
		return g.minds[name](r)
	})
	return engine.Agent{Name: name, Models: only(m), Tools: d, Asks: g.asks[name], Handoffs: g.hands[name]}
}

// attempt makes one attempt at the run. The worker dies when it writes the record after so many; -1: it lives.
func (g *team) attempt(dies int, pending ...engine.PendingCall) (agui.Event, error) {
	g.t.Helper()
	uc, err := usercontext.New(context.Background(), usercontext.Config{
		User: chattest.User(g.t, "alice"), Thread: "t", Run: "r", Request: "q", Grants: g.grants,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	g.uc = uc
	root, err := tool.NewDispatcher(uc, g.tools, g.tools.Names())
	if err != nil {
		g.t.Fatal(err)
	}
	out := &sink{}
	out.fail = func(agui.Event) error {
		if dies >= 0 && len(out.records) > dies {
			return errors.New("the worker is dead")
		}
		return nil
	}
	pending = append(g.begin(), pending...)
	for _, e := range slices.Concat(g.runs, g.log) {
		if err := out.order.Check(e); err != nil {
			g.t.Fatalf("the start of the attempt: %v\n%s", err, list(g.log))
		}
	}
	var f agui.Folder
	for _, e := range g.log {
		f.Add(e)
	}
	history := append([]agui.Message{{ID: "u1", Role: agui.RoleUser, Content: "hello"}}, g.earlier...)
	end, err := engine.Run(uc.Context(), engine.Config{
		User: uc, Agent: g.agent("", root), Sink: out, Log: g.log, History: append(history, f.Messages()...),
		Pending: pending, Successor: func(name string) (engine.Agent, error) { return g.agent(name, root), nil },
		Open: func(parent *usercontext.Context, line, name string) (engine.Agent, *usercontext.Context, error) {
			child, err := parent.ChildWith(line, []string{"all"})
			if err != nil {
				return engine.Agent{}, nil, err
			}
			d, err := root.For(child, g.tools.Names())
			return g.agent(name, d), child, err
		},
	})
	g.log = append(g.log, out.events...)
	if closed := uc.Close(context.Background()); closed != nil {
		g.t.Error(closed)
	}
	if err == nil {
		g.log = append(g.log, end)
		if err := out.order.Check(end); err != nil {
			g.t.Errorf("the end: %v\n%s", err, list(g.log))
		}
	}
	return end, err
}

// begin writes the attempt's first events, and returns the calls that the attempt before may have made.
func (g *team) begin() (pending []engine.PendingCall) {
	if len(g.log) == 0 {
		g.log = []agui.Event{{Type: agui.RunStarted, RunID: "r"}}
		return nil
	}
	first, open := agui.CloseAttempt(g.log)
	pending = engine.UnfinishedCalls(agui.Line(g.log, ""), open)
	g.log = append(append(g.log, first...), agui.Event{Type: agui.Custom, Name: agui.CustomAttempt})
	return pending
}

// list formats events for a failed test.
func list(events []agui.Event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%s line=%s %s%s%s %s", e.Type, e.SubagentRunID, e.MessageID, e.ToolCallID, e.Name, e.Delta)
		if e.Content != nil {
			b.WriteString(*e.Content)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// messages returns the messages of the run.
func (g *team) messages() []agui.Message {
	var f agui.Folder
	for _, e := range slices.Concat(g.runs, g.log) {
		f.Add(e)
	}
	return f.Messages()
}

// check checks what holds for each run of two agents, whatever happened to its workers.
func (g *team) check(what string) {
	g.t.Helper()
	if g.effects > 1 {
		g.t.Errorf("%s: the tool took effect %d times\n%s", what, g.effects, list(g.log))
	}
	results := map[string]int{}
	for _, m := range g.messages() {
		if m.Role != agui.RoleTool {
			continue
		}
		results[m.ToolCallID]++
		call, _ := callOf(g.messages(), m.ToolCallID)
		if call.Function.Name == "act" && g.effects == 1 && strings.Contains(m.Content, "was not carried out") &&
			!g.calledAgain(m.ToolCallID) {
			g.t.Errorf("%s: the tool took effect, and its result denies it\n%s", what, list(g.log))
		}
	}
	for _, m := range g.messages() {
		for _, c := range m.ToolCalls {
			if results[c.ID] != 1 {
				g.t.Errorf("%s: the call of %s has %d results\n%s", what, c.Function.Name, results[c.ID], list(g.log))
			}
		}
	}
	for _, r := range g.seen[""] {
		for _, m := range r.Messages {
			if m.SubagentRunID != "" || m.Role == agui.RoleAssistant && strings.HasPrefix(m.Content, "one") {
				g.t.Errorf("%s: the asking agent's model was sent %+v", what, m)
			}
		}
	}
	for _, r := range g.seen["talker"] {
		if len(r.Messages) != 1 || r.Messages[0].Content != "talk" {
			g.t.Errorf("%s: the asked agent's model was sent %+v", what, r.Messages)
		}
	}
}

// calledAgain reports whether another call of the same tool has a result, because the answer was given again.
func (g *team) calledAgain(id string) bool {
	for _, m := range g.messages() {
		for _, c := range m.ToolCalls {
			if c.Function.Name == "act" && c.ID != id {
				return true
			}
		}
	}
	return false
}

func callOf(messages []agui.Message, id string) (agui.ToolCall, bool) {
	for _, m := range messages {
		for _, c := range m.ToolCalls {
			if c.ID == id {
				return c, true
			}
		}
	}
	return agui.ToolCall{}, false
}
