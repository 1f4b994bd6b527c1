package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/monitor"
)

// Sweep does not post to a connection whose record was written for another user, and records the violation.
func TestSweep_ConnectionOfAnotherUser(t *testing.T) {
	t.Attr("row", "E2: sweep records a foreign connection")
	r, corrupt := corruptibleFixture(t)
	alice := r.person("alice")
	alice.admit("r1")
	alice.dies("r1")
	foreign := chat.Connection{ID: "foreign=", Thread: "t", N: 1, TokenExpires: r.clock.Add(10 * time.Hour)}
	if _, err := alice.store.Watch(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	corrupt(alice.user, "CONN#foreign", "owner")
	r.advance(61 * time.Second)
	r.sweep(schedule)
	got := r.edge.Frames("foreign=")
	t.Attr("figure", fmt.Sprintf("%d frames posted by sweep to a connection of another user, %d violation", len(got),
		strings.Count(r.log.String(), `"IsolationViolation":1`)))
	if len(got) > 0 || len(r.edge.Frames(alice.window)) == 0 {
		t.Errorf("the connection of another user got %+v, or alice got nothing", got)
	}
	if log := r.log.String(); !strings.Contains(log, `"IsolationViolation":1`) ||
		!strings.Contains(log, string(monitor.ConnectionRecord)) || !strings.Contains(log, `"Request":"request"`) ||
		strings.Contains(log, "foreign=") {
		t.Errorf("the violation was not recorded: %s", log)
	}
}
