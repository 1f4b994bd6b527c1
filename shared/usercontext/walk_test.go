package usercontext_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/usercontext/walktest"
)

// allowed returns what the runs of two users may share, by path or type, with the reason.
func allowed() map[string]string {
	return map[string]string{
		".Context.gauge (*usercontext.Gauge)":                    "counts of the contexts in the process, under a lock",
		".Tools.tools{calculator}.spec.Schema (json.RawMessage)": "a tool's schema: never written, copied for callers",
		".Tools.registry (*tool.Registry)":                       "the deployment's tools: frozen, copied by a run",
		".Tools.registry.tools (map[string]tool.Tool)":           "the tools in the registry: never written",
		"(*time.Location)":                                       "the time zone of the machine",
		"(*errors.errorString)":                                  "an error variable, which cannot be changed",
	}
}

// The runs of two users in one warm process share no memory that can be written, neither before nor after Close, and no
// pointers of one run form a cycle. Each run has a full session and has executed.
func TestSession_RunsOfTwoUsersShareNothing(t *testing.T) {
	t.Attr("row", "A1: two users' runs in one process share no writable memory")
	t.Attr("row", "E1: a run's objects form no cycle")
	synctest.Test(t, func(t *testing.T) { walkTwoRuns(t) })
}

// walkTwoRuns carries out a run of each user, and compares what their objects reach.
func walkTwoRuns(t *testing.T) {
	d := deploy(t)
	alice := d.session(t, chattest.User(t, "alice"), chat.Limits{}, converses{})
	bob := d.session(t, chattest.User(t, "bob"), chat.Limits{}, converses{})
	sessions := []*session{alice, bob}
	for _, s := range sessions {
		child(t, child(t, s.Context, "q2"), "q3")
		if end := s.run(t); end.Outcome == nil {
			t.Fatalf("the run ended with %+v", end)
		}
		must(t, s.Context.OnClose("look", func(context.Context) error { return nil }))
	}
	synctest.Wait() // the goroutine of a finished tool call may still leave the context's list
	a, b := walktest.From(t, alice), walktest.From(t, bob)
	for _, s := range sessions {
		must(t, s.Context.Close(context.Background()))
	}
	afterA, afterB := walktest.From(t, alice), walktest.From(t, bob)
	if len(a.Seen) < 40 {
		t.Errorf("the walk found only %d objects", len(a.Seen))
	}
	found, used := walktest.Shared(a, b, allowed())
	foundAfter, usedAfter := walktest.Shared(afterA, afterB, allowed())
	for _, where := range append(found, foundAfter...) {
		t.Errorf("both runs hold %s", where)
	}
	for where, why := range allowed() {
		if !used[where] && !usedAfter[where] {
			t.Errorf("%s is allowed (%s) but not shared: remove it from the list", where, why)
		}
	}
	cycles := slices.Concat(a.Cycles, b.Cycles, afterA.Cycles, afterB.Cycles)
	for _, c := range cycles {
		t.Errorf("a cycle: %s", c)
	}
	t.Attr("figure", fmt.Sprintf("%d and %d objects of two runs, %d writable objects shared, %d cycles", len(a.Seen),
		len(b.Seen),
		len(found)+len(foundAfter), len(cycles)))
}

// The walk finds shared memory and cycles.
func TestWalk_FindsSharedMemoryAndCycles(t *testing.T) {
	type node struct {
		cache map[string]*int
		next  any
		free  chan int
	}
	n, shared := 1, make(chan int)
	for name, pair := range map[string][2]*node{
		"a shared map":     {{cache: map[string]*int{"x": &n}}, {cache: map[string]*int{"y": &n}}},
		"a shared channel": {{free: shared}, {next: &node{free: shared}}},
	} {
		if found, _ := walktest.Shared(walktest.From(t, pair[0]), walktest.From(t, pair[1]),
			allowed()); len(found) == 0 {
			t.Errorf("%s was not found", name)
		}
	}
	cycle := &node{}
	cycle.next = []any{map[string]any{"back": cycle}}
	if w := walktest.From(t, cycle); len(w.Cycles) == 0 {
		t.Error("a cycle was not found")
	}
}
