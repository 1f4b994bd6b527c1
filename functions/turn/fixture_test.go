package main

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/agents"
	"carrel/shared/agent"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/engine"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/model/scripted"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/tool/fetch"
	"carrel/shared/wire"
)

// fixture is turn on a real table, with one user whose window watches the thread t.
type fixture struct {
	*handler
	edge  *gatewaytest.Edge
	user  chat.User
	table *store.Table
	store *store.Store
	log   *lockedBuffer
	clock *testClock
}

type testClock struct {
	mu  sync.Mutex
	add time.Duration
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.add)
}

func (c *testClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add += d
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newFixture(t *testing.T, model engine.Model) *fixture {
	t.Helper()
	r := &fixture{user: chattest.User(t, "auth0|alice"), edge: gatewaytest.NewEdge(t), log: &lockedBuffer{},
		clock: &testClock{}}
	table := gatewaytest.Table(t, store.Config{Limits: chat.DefaultLimits(), Now: r.clock.Now})
	tools, err := sharedTools(time.Now, fetch.Config{On: true, Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(r.log, nil))
	r.handler = &handler{
		tables: table, agents: assistant(t, model), tools: tools,
		poster: r.edge, invoker: r.edge, limits: chat.DefaultLimits(),
		monitor: monitor.New(r.log, "turn", log), log: log, now: r.clock.Now, after: time.After,
	}
	r.table = table
	if r.store, err = table.For(r.user); err != nil {
		t.Fatal(err)
	}
	r.watch(t, "window", "t")
	return r
}

// spoiled gives the fixture an empty table, and a function that corrupts its items without the store.
func (r *fixture) spoiled(t *testing.T) (spoil func(u chat.User, prefix, attribute string)) {
	t.Helper()
	table, spoil := gatewaytest.TableAndSpoiler(t, store.Config{Limits: chat.DefaultLimits(), Now: r.clock.Now})
	mine, err := table.For(r.user)
	if err != nil {
		t.Fatal(err)
	}
	r.table, r.tables, r.store = table, table, mine
	r.watch(t, "window", "t")
	return spoil
}

func (r *fixture) watch(t *testing.T, id chat.ConnectionID, thread chat.ThreadID) {
	t.Helper()
	_, err := r.store.Watch(t.Context(), chat.Connection{
		ID: id, Thread: thread, N: 1, Connected: time.Now(), TokenExpires: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (r *fixture) admit(t *testing.T, run chat.RunID, text string) store.Admitted {
	t.Helper()
	a, err := r.store.Admit(t.Context(), store.Admission{
		Run: run, Thread: "t", Grants: []string{"calculator"}, Title: "a title",
		Messages: []agui.Message{{ID: "u-" + string(run), Role: agui.RoleUser, Content: text}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (r *fixture) turn(t *testing.T, run chat.RunID) {
	t.Helper()
	ctx, event := gatewaytest.Turn(t, r.user, run)
	if err := r.Handle(ctx, event); err != nil {
		t.Fatalf("turn: %v\n%s", err, r.log)
	}
}

// begins lets a run work until the window has received its first words. The returned channel receives the result.
func (r *fixture) begins(t *testing.T, run chat.RunID) <-chan error {
	ended := make(chan error, 1)
	go func() {
		ctx, event := gatewaytest.Turn(t, r.user, run)
		ended <- r.Handle(ctx, event)
	}()
	r.edge.Await("window", func(frames []wire.ServerFrame) bool {
		return slices.ContainsFunc(frames, func(f wire.ServerFrame) bool {
			e, ok := f.(*wire.Events)
			return ok && said(e.Events) != ""
		})
	})
	return ended
}

// log reads the thread's log and checks that it has no gap and is in AG-UI's order.
func (r *fixture) events(t *testing.T) []agui.Event {
	t.Helper()
	th, err := r.store.Thread(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	records, err := r.store.Log(t.Context(), "t", th.Epoch, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var all []agui.Event
	var order agui.Order
	for _, rec := range records {
		if rec.Seq != chat.Seq(len(all)+1) {
			t.Errorf("a record begins at %d after %d events", rec.Seq, len(all))
		}
		all = append(all, rec.Events...)
	}
	for _, e := range all {
		if err := order.Check(e); err != nil {
			t.Error(err)
		}
	}
	return all
}

// seen returns the events and the thread rows that were posted to a window, and checks that the events equal the log's.
func (r *fixture) seen(t *testing.T, id chat.ConnectionID) (events []agui.Event, threads []string) {
	t.Helper()
	return r.seenFrom(t, id, 0)
}

// seenFrom is seen for a window that did not receive the first events.
func (r *fixture) seenFrom(t *testing.T, id chat.ConnectionID, missed int) (events []agui.Event, threads []string) {
	t.Helper()
	for _, f := range r.edge.Frames(id) {
		switch f := f.(type) {
		case *wire.Events:
			if f.Seq != chat.Seq(missed+len(events)+1) {
				t.Errorf("%s was posted seq %d after %d events", id, f.Seq, missed+len(events))
			}
			events = append(events, f.Events...)
			if f.Row != nil {
				threads = append(threads, string(f.Row.Status)+" "+f.Row.Title)
			}
		case *wire.Thread:
			threads = append(threads, string(f.Status)+" "+f.Title)
		}
	}
	return events, threads
}

func (r *fixture) status(t *testing.T, run chat.RunID) chat.RunStatus {
	t.Helper()
	got, err := r.store.Run(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	return got.Status
}

func types(events []agui.Event) string {
	var all []string
	for _, e := range events {
		all = append(all, string(e.Type))
	}
	return strings.Join(slices.Compact(all), " ")
}

func said(events []agui.Event) string {
	var b strings.Builder
	for _, e := range events {
		if e.Type == agui.TextMessageContent {
			b.WriteString(e.Delta)
		}
	}
	return b.String()
}

func fast() engine.Model { return scripted.New(scripted.Config{Pace: -1}) }

// peek is a model that reports its requests.
type peek struct {
	engine.Model
	show func([]agui.Message)
}

func (m peek) Stream(ctx context.Context, r engine.Request) iter.Seq2[engine.Delta, error] {
	m.show(r.Messages)
	return m.Model.Stream(ctx, r)
}

// sketch formats a conversation as one line.
func sketch(messages []agui.Message) string {
	var all []string
	for _, m := range messages {
		one := string(m.Role)
		if m.Role != agui.RoleUser {
			one += ":" + m.Content
		}
		if len(m.ToolCalls) > 0 {
			one += fmt.Sprintf("+%d", len(m.ToolCalls))
		}
		all = append(all, one)
	}
	return strings.Join(all, " ")
}

// tellsText reports whether a frame has text of the answer. That text is in the log by then.
func tellsText(f wire.ServerFrame) bool {
	events, ok := f.(*wire.Events)
	return ok && slices.ContainsFunc(events.Events,
		func(e agui.Event) bool { return e.Type == agui.TextMessageContent })
}

// assistant returns the deployment's own agents, all with one model.
func assistant(t *testing.T, model engine.Model) *agent.Registry {
	t.Helper()
	set, err := agents.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	r, err := agent.NewRegistry(set, func(agent.Definition) ([]engine.Candidate, error) {
		return []engine.Candidate{{Model: model}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// agentsOf returns a registry of agents that every user may use and that ask no others. The first is the default.
func agentsOf(t *testing.T, all ...agent.Agent) *agent.Registry {
	t.Helper()
	var definitions []agent.Definition
	var tools []string
	models := map[string][]engine.Candidate{}
	for i, a := range all {
		a.Grant, a.Default = agent.Open, i == 0
		a.Agents = slices.DeleteFunc(slices.Clone(a.Agents), func(name string) bool {
			return !slices.ContainsFunc(all, func(other agent.Agent) bool { return other.Name == name })
		})
		definitions, tools = append(definitions, a.Definition), append(tools, a.Tools...)
		models[a.Name] = a.Candidates
	}
	set, err := agent.NewSet(tools, definitions...)
	if err != nil {
		t.Fatal(err)
	}
	r, err := agent.NewRegistry(set, func(d agent.Definition) ([]engine.Candidate, error) {
		return models[d.Name], nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// named returns an agent with the tools.
func named(name string, model engine.Model, tools ...string) agent.Agent {
	a := agent.Agent{Definition: agent.Definition{Name: name, Tools: tools}}
	a.Candidates = []engine.Candidate{{Model: model}}
	return a
}
