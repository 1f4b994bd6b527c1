package testkit

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// Run is one run of a thread's events, by the timestamps of its first and its last event.
type Run struct {
	User     string
	From, To int64
}

// CheckRuns checks the order of a thread's events, and that so many runs each started once and ended once, however.
func CheckRuns(events []agui.Event, want int) error {
	var order agui.Order
	started, active, ended := map[chat.RunID]bool{}, false, 0
	for i, e := range events {
		if err := order.Check(e); err != nil {
			return fmt.Errorf("event %d: %w", i+1, err)
		}
		switch {
		case e.Type == agui.RunStarted && (active || started[e.RunID]):
			return fmt.Errorf("event %d: run %s starts again, or inside of another", i+1, e.RunID)
		case e.Type == agui.RunStarted:
			started[e.RunID], active = true, true
		case e.Terminal() && !active:
			return fmt.Errorf("event %d: a run ends a second time", i+1)
		case e.Terminal():
			active, ended = false, ended+1
		}
	}
	if ended != want || len(started) != want {
		return fmt.Errorf("%d runs started and %d ended, want %d", len(started), ended, want)
	}
	return nil
}

// SuccessfulRuns returns the runs of a thread. A run that does not end in success, or not once, is an error.
func SuccessfulRuns(user string, events []agui.Event) ([]Run, error) {
	runs := Runs(user, events)
	if err := CheckRuns(events, len(runs)); err != nil {
		return nil, err
	}
	for _, e := range events {
		if e.Terminal() && (e.Outcome == nil || e.Outcome.Type != agui.OutcomeSuccess) {
			return nil, fmt.Errorf("run %s ended with %s %s", e.RunID, e.Type, e.Message)
		}
	}
	return runs, nil
}

// Runs returns the runs of a thread, however they ended.
func Runs(user string, events []agui.Event) (all []Run) {
	for _, e := range events {
		switch {
		case e.Type == agui.RunStarted:
			all = append(all, Run{User: user, From: e.Timestamp})
		case e.Terminal() && len(all) > 0:
			all[len(all)-1].To = e.Timestamp
		}
	}
	return all
}

// VerifyWithAGUI runs recorded streams of events through the checker of AG-UI's own client.
func VerifyWithAGUI(t testing.TB, streams [][]json.RawMessage) {
	t.Helper()
	if _, err := os.Stat(Path(t, "web/node_modules/@ag-ui/client")); err != nil {
		MissingTool(t, "@ag-ui/client is not installed: run npm ci in web")
	}
	file := filepath.Join(t.TempDir(), "streams.json")
	text, err := json.Marshal(streams)
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	check := exec.CommandContext(t.Context(), "node", Path(t, "web/tools/verify-events.mjs"), file)
	out, err := check.CombinedOutput()
	if err != nil {
		t.Fatalf("verifyEvents of @ag-ui/client rejects the recorded streams: %v\n%s", err, out)
	}
	t.Logf("%s", strings.TrimSpace(string(out)))
}
