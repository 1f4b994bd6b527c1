package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/monitor"
)

// Sweep does not end a run in one user's partition that names another owner. It records a violation and posts nothing.
func TestSweep_RunOfAnotherOwner(t *testing.T) {
	r, corrupt := corruptibleFixture(t)
	alice := r.person("alice")
	alice.admit("r1")
	alice.dies("r1")
	corrupt(alice.user, "RUN#r1", "user")
	r.advance(61 * time.Second)
	if err := r.Handle(t.Context(), json.RawMessage(schedule)); err != nil && !errors.Is(err, chat.ErrForeign) {
		t.Fatal(err)
	}
	if n := r.counted()[monitor.IsolationViolation]; n != 1 || !strings.Contains(r.log.String(), `"Guard":"tenant"`) {
		t.Errorf("%d violations were recorded, want one of the guard tenant", n)
	}
	if s := alice.status("r1"); s != chat.RunRunning || len(r.edge.Frames(alice.window)) > 0 {
		t.Errorf("the run is %s, and alice's connection got %d frames", s, len(r.edge.Frames(alice.window)))
	}
}
