package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/monitor"
)

// Sweep tells nobody of a run's end whose row was not written for the run's own user, and records it.
func TestSweepRefusesAConnectionOfAnothers(t *testing.T) {
	t.Attr("row", "E2: sweep records a foreign connection")
	r, spoil := spoiledRig(t)
	alice := r.person("alice")
	alice.admit("r1")
	alice.dies("r1")
	copied := chat.Connection{ID: "copied=", Thread: "t", N: 1, TokenExpires: r.at.Add(10 * time.Hour)}
	if _, err := alice.store.Watch(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	spoil(alice.user, "CONN#copied", "owner")
	r.advance(61 * time.Second)
	r.sweep(schedule)
	got := r.edge.Frames("copied=")
	t.Attr("figure", fmt.Sprintf("%d frames told to a connection of another's by sweep, %d violation", len(got), strings.Count(r.log.String(), `"IsolationViolation":1`)))
	if len(got) > 0 || len(r.edge.Frames(alice.window)) == 0 {
		t.Errorf("a connection that was written for another was told %+v, or alice nothing", got)
	}
	if log := r.log.String(); !strings.Contains(log, `"IsolationViolation":1`) || !strings.Contains(log, string(monitor.ConnectionRecord)) || !strings.Contains(log, `"Request":"request"`) || strings.Contains(log, "copied=") {
		t.Errorf("it was not recorded: %s", log)
	}
}
