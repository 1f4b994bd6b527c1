package main

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/tool"
)

// A run that takes longer than an invocation continues in further ones. Each call is made once, even if its
// tool is not idempotent. No attempt is counted, and the clients see all events and no carrel.attempt.
func TestTurn_HandOver(t *testing.T) {
	var made atomic.Int32
	count, err := tool.Define("count", "Counts.", "calculator", func(context.Context, struct{}) (string, error) {
		made.Add(1)
		return "counted", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newFixture(t, fast())
	r.limits.RunTime, r.works = time.Hour, 10*time.Second // no round of calls fits into that
	if r.tools, err = tool.NewRegistry(count); err != nil {
		t.Fatal(err)
	}
	r.agents = agentsOf(t, named("a", fast(), "count"))
	r.admit(t, "r1", "/say one\n/call count {}\n/say two\n/call count {}\n/call count {}\n/say three")
	invocations := 0
	for next := []gatewaytest.Invocation{{}}; len(next) > 0 && invocations < 9; next = r.edge.Invoked() {
		invocations++
		if invocations == 2 { // a second delivery of the event that started the first invocation does nothing
			claimed, err := r.store.Run(t.Context(), "r1")
			if err != nil || !claimed.HandedOver || claimed.Attempts != 1 {
				t.Fatalf("after the first invocation the run is %+v, %v", claimed, err)
			}
		}
		r.turn(t, "r1")
	}
	events := r.events(t)
	run, err := r.store.Run(t.Context(), "r1")
	if err != nil || run.Status != chat.RunFinished || run.Attempts != 1 || run.HandOvers != 2 || invocations != 3 {
		t.Errorf("after %d invocations the run is %+v, %v", invocations, run, err)
	}
	if n := made.Load(); n != 3 {
		t.Errorf("%d calls were made, want 3", n)
	}
	if got := said(events); got != "onetwothree" {
		t.Errorf("the answer is %q", got)
	}
	if seen, _ := r.seen(t, "window"); len(seen) != len(events) {
		t.Errorf("the window has seen %d of %d events", len(seen), len(events))
	}
	for _, e := range events {
		if e.Name == agui.CustomAttempt || e.Type == agui.ToolCallResult &&
			!strings.HasPrefix(*e.Content, "counted") { // from the third equal call on with a note
			t.Errorf("the log has %+v", e)
		}
	}
	if n := strings.Count(r.log.String(), "RunsDied"); n > 0 {
		t.Errorf("%d deaths were counted", n)
	}
}

// The worker that hands a run over may die before it invokes turn, or the invocation may fail: the run stays claimable.
func TestTurn_HandOverInvokeFails(t *testing.T) {
	r := newFixture(t, fast())
	r.limits.RunTime, r.works = time.Hour, 10*time.Second
	r.admit(t, "r1", "/call calculator {\"expression\":\"6*7\"}")
	r.edge.Fail(context.DeadlineExceeded)
	r.turn(t, "r1")
	r.edge.Fail(nil)
	if got := r.edge.Invoked(); len(got) > 0 {
		t.Fatalf("invoked %v", got)
	}
	r.clock.Advance(time.Minute)
	r.turn(t, "r1") // by sweep
	events := r.events(t)
	if !slices.ContainsFunc(events, func(e agui.Event) bool { return e.Content != nil && *e.Content == "42" }) ||
		r.status(t, "r1") != chat.RunFinished {
		t.Errorf("the run is %s, its events are %s", r.status(t, "r1"), types(events))
	}
}

// A run whose time ends within the invocation is not handed over.
func TestTurn_NoHandOver(t *testing.T) {
	r := newFixture(t, fast())
	r.admit(t, "r1", "/call calculator {\"expression\":\"6*7\"}")
	r.turn(t, "r1")
	if got := r.edge.Invoked(); len(got) > 0 || r.status(t, "r1") != chat.RunFinished {
		t.Errorf("invoked %v; the run is %s", got, r.status(t, "r1"))
	}
}

// The line of an agent that another one asked continues after a hand-over, as the run's own line does.
func TestTurn_HandOverSubagent(t *testing.T) {
	var made atomic.Int32
	count, err := tool.Define("count", "Counts.", "calculator", func(context.Context, struct{}) (string, error) {
		made.Add(1)
		return "counted", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newFixture(t, fast())
	r.limits.RunTime, r.works = time.Hour, 10*time.Second
	if r.tools, err = tool.NewRegistry(count); err != nil {
		t.Fatal(err)
	}
	asking := named("a", fast())
	asking.Agents = []string{"b"}
	r.agents = agentsOf(t, asking, named("b", fast(), "count"))
	r.admit(t, "r1", `/call ask_b {"question":"/say one\n/call count {}\n/say two"}`+"\n/say end")
	r.turn(t, "r1")
	if n := made.Load(); n > 0 || len(r.edge.Invoked()) != 1 {
		t.Errorf("%d calls were made before the hand-over", n)
	}
	r.turn(t, "r1")
	events := r.events(t)
	if n := made.Load(); n != 1 || r.status(t, "r1") != chat.RunFinished || said(events) != "onetwoend" {
		t.Errorf("%d calls were made, the run is %s, and its answer is %q", n, r.status(t, "r1"), said(events))
	}
	starts := 0
	for _, e := range events {
		if e.Type == agui.SubagentStarted {
			starts++
		}
	}
	if starts != 1 {
		t.Errorf("the line began %d times", starts)
	}
}
