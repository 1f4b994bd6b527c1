package usercontext_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/emit"
	"carrel/shared/engine"
	"carrel/shared/lasthop"
	"carrel/shared/tool"
	"carrel/shared/tool/calculator"
	"carrel/shared/usercontext"
)

// deployment holds what all runs of a process share.
type deployment struct {
	tools *tool.Registry
	gauge *usercontext.Gauge
}

func deploy(tb testing.TB) *deployment {
	tb.Helper()
	calc, err := calculator.New()
	must(tb, err)
	tools, err := tool.NewRegistry(calc)
	must(tb, err)
	return &deployment{tools: tools, gauge: &usercontext.Gauge{}}
}

// session holds the objects that turn creates for one run.
type session struct {
	Context *usercontext.Context
	Emitter *emit.Emitter
	Tools   *tool.Dispatcher
	Engine  engine.Config
	Edge    *edge
}

// edge is a fake of the log and the connections of one user.
type edge struct {
	owner    chat.User
	seq      chat.Seq
	bytes    int
	appended func() // called after each append
}

func (e *edge) Append(_ context.Context, events []agui.Event) (chat.Seq, error) {
	first := e.seq + 1
	e.seq += chat.Seq(len(events))
	for _, ev := range events {
		e.bytes += len(ev.Delta)
	}
	if e.appended != nil {
		e.appended()
	}
	return first, nil
}

func (e *edge) Connections(context.Context) ([]chat.Connection, error) {
	return []chat.Connection{{ID: "c", Owner: chat.OwnerHash(e.owner.Hash()), Thread: "t", N: 1,
		TokenExpires: time.Now().Add(time.Hour)}}, nil
}

func (e *edge) RemoveConnection(context.Context, chat.ConnectionID) error { return nil }

func (e *edge) Post(context.Context, lasthop.Message) error { return nil }

func (d *deployment) session(tb testing.TB, user chat.User, limits chat.Limits, m engine.Model) *session {
	tb.Helper()
	uc, err := usercontext.New(context.Background(), usercontext.Config{
		User: user, Thread: "t", Run: "r", Request: "q", Grants: []string{"calculator"}, Limits: limits, Gauge: d.gauge,
	})
	must(tb, err)
	s := &session{Context: uc, Edge: &edge{owner: user}}
	s.Emitter, err = emit.New(context.Background(), emit.Config{User: uc, Epoch: "e", Log: s.Edge, Connections: s.Edge,
		Poster: s.Edge})
	must(tb, err)
	s.Tools, err = tool.NewDispatcher(uc, d.tools, []string{"calculator"})
	must(tb, err)
	s.Engine = engine.Config{User: uc, Sink: s.Emitter,
		Agent:   engine.Agent{Models: []engine.Candidate{{Model: m}}, Tools: s.Tools},
		History: []agui.Message{{ID: "u", Role: agui.RoleUser, Content: "hello"}}}
	return s
}

// run executes the run and returns its last event. The caller calls Close.
func (s *session) run(tb testing.TB) agui.Event {
	tb.Helper()
	ctx := context.Background()
	must(tb, s.Emitter.Emit(ctx, agui.Event{Type: agui.RunStarted, ThreadID: "t", RunID: "r"}))
	end, err := engine.Run(s.Context.Context(), s.Engine)
	must(tb, err)
	must(tb, s.Emitter.Drain(ctx))
	seq, err := s.Edge.Append(ctx, []agui.Event{end})
	must(tb, err)
	s.Emitter.Deliver(seq, []agui.Event{end}, nil)
	must(tb, s.Emitter.Finish(ctx))
	return end
}

// script is a model that streams the deltas of a function.
type script func(yield func(engine.Delta) bool)

func (s script) Stream(_ context.Context, r engine.Request) iter.Seq2[engine.Delta, error] {
	return func(yield func(engine.Delta, error) bool) {
		s(func(d engine.Delta) bool { return yield(d, nil) })
	}
}

// converses is a model that calls a tool and then answers with its result.
type converses struct{}

func (converses) Stream(_ context.Context, r engine.Request) iter.Seq2[engine.Delta, error] {
	deltas := []engine.Delta{{Text: "Let me see."}, {ToolStart: &engine.ToolStart{ID: "c", Name: "calculator"}},
		{ToolArgs: `{"expression":"12*(3+4)"}`}, {Stop: engine.StopTools}}
	if last := r.Messages[len(r.Messages)-1]; last.Role == agui.RoleTool {
		deltas = []engine.Delta{{Text: "It is " + last.Content + "."}, {Stop: engine.StopEnd}}
	}
	return func(yield func(engine.Delta, error) bool) {
		for _, d := range deltas {
			if !yield(d, nil) {
				return
			}
		}
	}
}

// A context carries one run. An engine that gets a used context returns an error and writes no event.
func TestExecute_SecondRun(t *testing.T) {
	t.Attr("row", "A1: a used context accepts no second run")
	s := deploy(t).session(t, chattest.User(t, "alice"), chat.Limits{}, converses{})
	s.run(t)
	before := s.Edge.seq
	if end, err := engine.Run(s.Context.Context(), s.Engine); !errors.Is(err, usercontext.ErrPhase) ||
		s.Edge.seq != before {
		t.Errorf("a second run ended with %+v, %v after %d events", end, err, s.Edge.seq-before)
	}
	phaseIs(t, s.Context, usercontext.Completed)
	must(t, s.Context.Close(context.Background()))
	t.Attr("figure", fmt.Sprintf("%d events of the first run, %d of a second", before, s.Edge.seq-before))
}

// floods returns a model that streams 100 MB.
func floods() engine.Model {
	piece := strings.Repeat("0123456789abcdef", 256)
	return script(func(yield func(engine.Delta) bool) {
		for range 100 << 20 / len(piece) {
			if !yield(engine.Delta{Text: piece}) {
				return
			}
		}
		yield(engine.Delta{Stop: engine.StopEnd})
	})
}

// A run whose model streams 100 MB ends with the error code of the limit that it reaches first, and the process does
// not grow by more than 32 MB.
func TestRun_FloodingModel(t *testing.T) {
	t.Attr("row", "A3: a model that streams 100 MB is stopped, with bounded memory")
	d, alice := deploy(t), chattest.User(t, "alice")
	for code, limits := range map[string]chat.Limits{
		engine.CodeOutput: {},
		engine.CodeEvents: {OutputBytes: 1 << 30, Events: 1000},
		engine.CodeMemory: {OutputBytes: 1 << 30, Events: 1 << 30, MemoryBytes: 8 << 20},
	} {
		t.Run(code, func(t *testing.T) {
			before, peak := liveHeap(), uint64(0)
			s := d.session(t, alice, limits, floods())
			s.Edge.appended = func() { peak = max(peak, heapNow()) }
			end := s.run(t)
			s.Edge.appended()
			phaseIs(t, s.Context, usercontext.Failed)
			must(t, s.Context.Close(context.Background()))
			if end.Type != agui.RunError || end.Code != code || end.Message == "" {
				t.Errorf("the run ended with %s %q %q", end.Type, end.Code, end.Message)
			}
			t.Attr("figure", fmt.Sprintf("%s: %.1f MB reached the user, the heap grew by %.1f MB at most", code,
				float64(s.Edge.bytes)/(1<<20),
				(float64(peak)-float64(before))/(1<<20)))
			if peak > before+32<<20 {
				t.Errorf("the heap grew by %d MB", (peak-before)>>20)
			}
		})
	}
}
