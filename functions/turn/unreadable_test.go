package main

import (
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/wire"
)

// A run whose input or log cannot be decoded is ended by the worker that claims it, and the thread continues.
func TestTurn_UnreadableRun(t *testing.T) {
	for what, c := range map[string]struct {
		prefix, attribute string
		died              bool // an attempt before
		seq               chat.Seq
	}{
		"its input": {"RUN#r1", "in", false, 1}, "its input, later": {"RUN#r1", "in", true, 4},
		"its log": {"E#", "e", true, 4},
	} {
		t.Run(what, func(t *testing.T) {
			events := whole(t)
			r := newFixture(t, fast())
			spoil := r.spoiled(t)
			r.ask(t, "r1", twoTools)
			if c.died {
				r.dies(t, "r1", events[:3])
			}
			spoil(r.user, c.prefix, c.attribute)
			r.turn(t, "r1")
			var last *wire.Events
			for _, f := range r.edge.Frames("window") {
				if e, ok := f.(*wire.Events); ok {
					last = e
				}
			}
			if r.status(t, "r1") != chat.RunFailed || last == nil || last.Seq != c.seq {
				t.Fatalf("the run is %s, the window received %+v\n%s", r.status(t, "r1"), last, r.log)
			}
			end, begins := last.Events[len(last.Events)-1], last.Events[0].Type == agui.RunStarted
			if end.Type != agui.RunError || end.Code != engine.CodeInternal || begins == c.died {
				t.Errorf("it ended with %+v", last.Events)
			}
			r.ask(t, "r2", "/say next")
			r.turn(t, "r2")
			if r.status(t, "r2") != chat.RunFinished {
				t.Errorf("the thread's next run is %s\n%s", r.status(t, "r2"), r.log)
			}
		})
	}
}
