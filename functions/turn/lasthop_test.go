package main

import (
	"fmt"
	"strings"
	"testing"

	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/monitor"
)

// A run posts nothing to a connection whose record belongs to another user. It records the violation, and the user's
// other windows receive the events. The same holds when a user is erased: no connection of another user is notified or
// closed.
func TestLastHop_ForeignConnection(t *testing.T) {
	t.Attr("row", "E2: a run records a foreign connection")
	r := newFixture(t, fast())
	spoil := r.spoiled(t)
	r.watch(t, "copied", "t")
	spoil(r.user, "CONN#copied", "owner")
	r.admit(t, "r1", "/say a word")
	r.turn(t, "r1")
	if got, _ := r.seen(t, "window"); len(got) != len(r.events(t)) {
		t.Errorf("the user's own window saw %d events of %d", len(got), len(r.events(t)))
	}
	got := r.edge.Frames("copied")
	t.Attr("figure", fmt.Sprintf("%d frames posted to a connection of another's by a run, %d violation", len(got),
		strings.Count(r.log.String(), `"IsolationViolation":1`)))
	if len(got) > 0 {
		t.Errorf("a connection that was written for another was posted %d frames", len(got))
	}
	once := func(guard string) {
		t.Helper()
		log := r.log.String()
		if n := strings.Count(log, `"IsolationViolation":1`); n != 1 || !strings.Contains(log, `"Guard":"`+guard+`"`) ||
			!strings.Contains(log, `"Request":"request"`) {
			t.Errorf("%d violations: %s", n, log)
		}
		for line := range strings.Lines(log) {
			if strings.Contains(line, "iolation") && (strings.Contains(line, "a word") ||
				strings.Contains(line, "copied") || strings.Contains(line, "alice")) {
				t.Errorf("the record says too much: %s", line)
			}
		}
		r.log.Reset()
	}
	once(string(monitor.ConnectionRecord))
	if err := r.store.RequestErasure(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, event := gatewaytest.EraseUser(t, r.user)
	if err := r.Handle(ctx, event); err != nil {
		t.Fatal(err)
	}
	once(string(monitor.ConnectionRecord))
	if closed := r.edge.Closed(); len(closed) != 1 || closed[0] != "window" {
		t.Errorf("closed %v, want the user's own", closed)
	}
	if got := r.edge.Frames("copied"); len(got) > 0 {
		t.Errorf("it received %+v", got)
	}
}
