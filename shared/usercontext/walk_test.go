package usercontext_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/usercontext/walktest"
)

// allowed are what two users' runs may both hold, by what the walk calls them or by its type, with the reason.
func allowed() map[string]string {
	return map[string]string{
		".Context.gauge (*usercontext.Gauge)":                    "the process's count of contexts: numbers, under a lock",
		".Tools.tools{calculator}.spec.Schema (json.RawMessage)": "a tool's schema: never written, and copied for who asks",
		".Tools.registry (*tool.Registry)":                       "the deployment's tools: frozen, and made anew where a run adds its own",
		".Tools.registry.tools (map[string]tool.Tool)":           "what it holds: nobody writes to it",
		"(*time.Location)":                                       "the machine's time zone",
		"(*errors.errorString)":                                  "a named error, which nobody can write",
	}
}

// Two users' runs in one warm process, with all that is made for each and after all that a run does, share nothing that can
// be written, and nothing of one points in a circle.
func TestTwoRunsShareNothing(t *testing.T) {
	t.Attr("row", "A1: two users' runs in one process share no writable memory")
	t.Attr("row", "E1: a run's objects form no cycle")
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
	a, b := walktest.From(t, alice), walktest.From(t, bob)
	for _, s := range sessions {
		must(t, s.Context.Close(context.Background()))
	}
	afterA, afterB := walktest.From(t, alice), walktest.From(t, bob)
	if len(a.Seen) < 40 {
		t.Errorf("the walk saw %d things only", len(a.Seen))
	}
	found, used := walktest.Shared(a, b, allowed())
	foundAfter, usedAfter := walktest.Shared(afterA, afterB, allowed())
	for _, where := range append(found, foundAfter...) {
		t.Errorf("both hold %s", where)
	}
	for where, why := range allowed() {
		if !used[where] && !usedAfter[where] {
			t.Errorf("%s is allowed (%s) and not shared: take it out", where, why)
		}
	}
	cycles := slices.Concat(a.Cycles, b.Cycles, afterA.Cycles, afterB.Cycles)
	for _, c := range cycles {
		t.Errorf("a circle: %s", c)
	}
	t.Attr("figure", fmt.Sprintf("%d and %d things of two runs, %d shared that can be written, %d circles", len(a.Seen), len(b.Seen),
		len(found)+len(foundAfter), len(cycles)))
}

// The walk must notice what it is for.
func TestTheWalkNotices(t *testing.T) {
	type node struct {
		cache map[string]*int
		next  any
		free  chan int
	}
	n, both := 1, make(chan int)
	for name, two := range map[string][2]*node{
		"a shared map":     {{cache: map[string]*int{"x": &n}}, {cache: map[string]*int{"y": &n}}},
		"a shared channel": {{free: both}, {next: &node{free: both}}},
	} {
		if found, _ := walktest.Shared(walktest.From(t, two[0]), walktest.From(t, two[1]), allowed()); len(found) == 0 {
			t.Errorf("%s was not noticed", name)
		}
	}
	circle := &node{}
	circle.next = []any{map[string]any{"back": circle}}
	if w := walktest.From(t, circle); len(w.Cycles) == 0 {
		t.Error("a circle was not noticed")
	}
}
