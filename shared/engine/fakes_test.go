package engine_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/engine"
	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

// model gives these answers, one per call, and keeps its requests.
type model struct {
	answers []func(ctx context.Context, yield func(engine.Delta, error) bool)
	mu      sync.Mutex
	asked   []engine.Request
}

func (m *model) Stream(ctx context.Context, r engine.Request) iter.Seq2[engine.Delta, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.asked)
	m.asked = append(m.asked, r)
	if n >= len(m.answers) {
		n = len(m.answers) - 1
	}
	return func(yield func(engine.Delta, error) bool) { m.answers[n](ctx, yield) }
}

// says makes a model that streams these deltas, one list per call. It repeats the last list.
func says(answers ...[]engine.Delta) *model {
	m := &model{}
	for _, deltas := range answers {
		m.answers = append(m.answers, func(_ context.Context, yield func(engine.Delta, error) bool) {
			for _, d := range deltas {
				if !yield(d, nil) {
					return
				}
			}
		})
	}
	return m
}

// only lists one model.
func only(m engine.Model) []engine.Candidate { return []engine.Candidate{{Model: m}} }

func text(s string) engine.Delta      { return engine.Delta{Text: s} }
func reasoning(s string) engine.Delta { return engine.Delta{Reasoning: s} }
func args(s string) engine.Delta      { return engine.Delta{ToolArgs: s} }
func start(name string) engine.Delta {
	return engine.Delta{ToolStart: &engine.ToolStart{ID: "same", Name: name}}
}
func stop(why engine.StopReason) engine.Delta { return engine.Delta{Stop: why} }
func used(name string, in, out int) engine.Delta {
	return engine.Delta{Usage: &agui.Usage{Model: name, InputTokens: in, OutputTokens: out}}
}

// sink keeps events and checks their order.
type sink struct {
	order  agui.Order
	events []agui.Event
	// the events of each Emit
	records [][]agui.Event
	fail    func(agui.Event) error // before the event is taken
	sync    func() error
}

func (s *sink) Emit(ctx context.Context, events ...agui.Event) error {
	if ctx.Err() != nil {
		return fmt.Errorf("emitted with a context that has ended: %w", ctx.Err())
	}
	s.records = append(s.records, slices.Clone(events))
	for _, e := range events {
		if s.fail != nil {
			if err := s.fail(e); err != nil {
				return err
			}
		}
		if err := s.order.Check(e); err != nil {
			return err
		}
		s.events = append(s.events, e)
	}
	return nil
}

func (s *sink) Sync(ctx context.Context) error {
	if s.sync != nil {
		return s.sync()
	}
	return ctx.Err()
}

// fixture is one run with a granted tool "echo" and further granted tools. A test may change it before the run.
type fixture struct {
	t      *testing.T
	uc     *usercontext.Context
	sink   *sink
	ctx    context.Context // given to Run
	config engine.Config
	log    []string
}

type input struct {
	Say string `json:"say"`
}

func echo(_ context.Context, in input) (string, error) { return "echo " + in.Say, nil }

func setUp(t *testing.T, m engine.Model, limits chat.Limits, tools ...tool.Tool) *fixture {
	t.Helper()
	made, err := tool.Define("echo", "Echoes.", "all", echo)
	if err != nil {
		t.Fatal(err)
	}
	tools = append(tools, made)
	registry, err := tool.NewRegistry(tools...)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, sink: &sink{}}
	f.uc, err = usercontext.New(context.Background(), usercontext.Config{
		User: chattest.User(t, "alice"), Thread: "t", Run: "r", Request: "q", Grants: []string{"all"}, Limits: limits,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.ctx = f.uc.Context()
	names := []string{"echo"}
	if len(tools) > 1 {
		names = append(names, "other")
	}
	dispatcher, err := tool.NewDispatcher(f.uc, registry, names)
	if err != nil {
		t.Fatal(err)
	}
	f.config = engine.Config{
		User: f.uc, Sink: f.sink,
		Agent: engine.Agent{Models: only(m), System: []engine.Part{{Text: "be brief", Stable: true}},
			Tools: dispatcher},
		History: []agui.Message{{ID: "u1", Role: agui.RoleUser, Content: "hello"}},
		Logf:    func(format string, args ...any) { f.log = append(f.log, fmt.Sprintf(format, args...)) },
	}
	if err := f.sink.Emit(context.Background(), agui.Event{Type: agui.RunStarted}); err != nil {
		t.Fatal(err)
	}
	return f
}

// run executes the run. It checks that the terminal event may follow, that each call has one result, and that the user
// context leaves no residue.
func (f *fixture) run() agui.Event {
	f.t.Helper()
	end, err := engine.Run(f.ctx, f.config)
	if err != nil {
		f.t.Fatalf("the sink failed: %v", err)
	}
	if err := f.sink.order.Check(agui.Event{Type: agui.RunFinished}); err != nil {
		f.t.Errorf("the terminal event may not follow: %v\n%s", err, f.types())
	}
	if err := f.uc.Close(context.Background()); err != nil {
		f.t.Error(err)
	}
	results := map[string]int{}
	for _, m := range f.messages() {
		if m.Role == agui.RoleTool {
			results[m.ToolCallID]++
		}
	}
	for _, m := range f.messages() {
		for _, c := range m.ToolCalls {
			if results[c.ID] != 1 {
				f.t.Errorf("the call of %s has %d results\n%s", c.Function.Name, results[c.ID], f.types())
			}
		}
	}
	return end
}

func (f *fixture) messages() []agui.Message {
	var folder agui.Folder
	for _, e := range f.sink.events {
		folder.Add(e)
	}
	return folder.Messages()
}

// types formats events as their types with their texts. It leaves out the marks of answers.
func (f *fixture) types() string {
	var b strings.Builder
	for _, e := range f.sink.events {
		if e.Name == agui.CustomAnswer {
			continue
		}
		b.WriteString(string(e.Type))
		if e.Delta != "" {
			b.WriteString(" " + e.Delta)
		}
		if e.Content != nil {
			b.WriteString(" " + *e.Content)
		}
		b.WriteString(string(e.Metadata) + "\n")
	}
	return b.String()
}

type boom struct{}

func (boom) Error() string { return "secret internals" }
