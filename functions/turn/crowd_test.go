package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/shared/agent"
	"carrel/shared/agui"
	"carrel/shared/campaign"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/engine"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/store"
	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

// seat is one user's run in a process that all users share.
type seat struct {
	*fixture
	window chat.ConnectionID
	mishap // zero: none
	err    error
}

// One process executes many users' runs concurrently, which production does only without tenant isolation. The models
// and tools of some runs panic, hang, return nothing, fail or receive hostile data. The other runs have streamed half
// of their answers by then. They stream the rest and are not affected.
func TestTurn_ErrorsOfOneUser(t *testing.T) {
	t.Attr("row", "B4: runs fail in every way in one process beside other users")
	campaign.Only(t, "dozens of runs start at once in one process")
	r := newFixture(t, fast())
	r.gauge = &usercontext.Gauge{}
	names, calm := slices.Sorted(maps.Keys(mishaps())), 24
	happened := make(chan struct{}) // all of it
	r.agents, r.tools = crowdOf(t, r.tools, names,
		streams(func(ctx context.Context, yield func(engine.Delta, error) bool) {
			select {
			case <-happened:
			case <-ctx.Done():
			}
			_ = yield(engine.Delta{Text: " whole"}, nil) && yield(engine.Delta{Stop: engine.StopEnd}, nil)
		}))
	var seats []*seat
	for i := range calm + len(names) {
		s := &seat{window: chat.ConnectionID(fmt.Sprint("window-", i))}
		name := "calm"
		if i >= calm {
			name, s.mishap = fmt.Sprint("agent", i-calm), mishaps()[names[i-calm]]
		}
		s.fixture = r.beside(t, i, s.window)
		s.sit(t, name, fmt.Sprint("odd", i-calm))
		seats = append(seats, s)
	}
	var calms, unlucky sync.WaitGroup
	for i, s := range seats {
		ctx, event := gatewaytest.Turn(t, s.user, "r1")
		if i < calm {
			calms.Go(func() { s.err = s.Handle(ctx, event) })
			continue
		}
		unlucky.Go(func() { s.err = s.Handle(ctx, event) })
	}
	unlucky.Wait()
	r.await(t, calm)
	close(happened)
	calms.Wait()
	failed := 0
	for i, s := range seats {
		if s.judge(t) == chat.RunFailed {
			failed++
		}
		if said := said(s.fixture.events(t)); i < calm && said != "half whole" {
			t.Errorf("%s was disturbed: it said %q", s.user, said)
		}
	}
	counts := r.gauge.Counts()
	if counts.Active != 0 || counts.Made != counts.Cleaned || counts.Peak < calm ||
		strings.Contains(r.log.String(), "residue") {
		t.Errorf("contexts %+v; the log %.2000s", counts, r.log)
	}
	t.Attr("figure",
		fmt.Sprintf("%d users in one process, up to %d runs at once: %d mishaps of %d kinds, %d runs failed, %d "+
			"others whole", len(seats),
			counts.Peak, len(names), len(names), failed, calm))
}

// crowdOf returns the agents and tools of the undisturbed runs and of each fault.
func crowdOf(t *testing.T, tools *tool.Registry, names []string, calm engine.Model) (*agent.Registry, *tool.Registry) {
	t.Helper()
	agents := []agent.Agent{named("calm", calm)}
	for i, name := range names {
		m, odd := mishaps()[name], fmt.Sprint("odd", i)
		a := named(fmt.Sprint("agent", i), m.model)
		if a.Candidates[0].Model == nil {
			a.Candidates[0].Model = fast()
		}
		if m.tool != nil {
			one, err := tool.Define(odd, "Is odd.", "odd", m.tool)
			if err != nil {
				t.Fatal(err)
			}
			if tools, err = tools.With(one); err != nil {
				t.Fatal(err)
			}
			a.Tools = []string{odd}
		}
		agents = append(agents, a)
	}
	return agentsOf(t, agents...), tools
}

// beside adds another user with a window to the same process. A call that hangs is given up after a second.
func (r *fixture) beside(t *testing.T, n int, window chat.ConnectionID) *fixture {
	t.Helper()
	h := *r.handler
	one := &fixture{handler: &h, edge: r.edge, user: chattest.User(t, fmt.Sprintf("user-%02d", n)), table: r.table,
		log: r.log, clock: r.clock}
	var err error
	if one.store, err = r.table.For(one.user); err != nil {
		t.Fatal(err)
	}
	one.watch(t, window, "t")
	return one
}

// sit admits the run. The name of the faulty tool is replaced by its name in this process.
func (s *seat) sit(t *testing.T, agent, odd string) {
	t.Helper()
	if s.code == engine.CodeTimeLimit {
		s.limits.RunTime = time.Second
	}
	if s.agent != "" {
		agent = s.agent
	}
	_, err := s.store.Admit(t.Context(), store.Admission{Run: "r1", Thread: "t", Agent: agent, Grants: []string{"odd"},
		Messages: []agui.Message{{ID: "u", Role: agui.RoleUser,
			Content: strings.ReplaceAll(s.text, "/call odd", "/call "+odd)}}})
	if err != nil {
		t.Fatal(err)
	}
}

// await waits until so many runs are left in the process.
func (r *fixture) await(t *testing.T, runs int) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for until := time.Now().Add(time.Minute); r.gauge.Counts().Made < runs ||
		r.gauge.Counts().Active != runs; <-look.C {
		if time.Now().After(until) {
			t.Fatalf("%d runs were to go on, and there are %+v", runs, r.gauge.Counts())
		}
	}
}

// judge checks that the run has ended once and as expected, and that its window has seen all of it and nothing else.
func (s *seat) judge(t *testing.T) chat.RunStatus {
	t.Helper()
	log := s.fixture.events(t)
	ends, last := 0, log[len(log)-1]
	for _, e := range log {
		if e.Terminal() {
			ends++
		}
	}
	if ends != 1 || last.Code != s.code || s.err != nil || strings.Contains(last.Message, "secret") {
		t.Errorf("%s: %d ends, the last %+v, %v", s.user, ends, last, s.err)
	}
	if seen, _ := s.seen(t, s.window); len(seen) != len(log) {
		t.Errorf("%s: the window saw %d events of %d", s.user, len(seen), len(log))
	}
	return s.status(t, "r1")
}
