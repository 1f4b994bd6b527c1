package chat_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat"
)

func TestCheckID(t *testing.T) {
	for id, good := range map[string]bool{
		"a": true, "A.b_c:d-9": true, strings.Repeat("x", 128): true,
		"": false, strings.Repeat("x", 129): false, "a b": false, "a#b": false, "a/b": false, "ä": false, "a\n": false,
	} {
		if err := chat.CheckID(id); (err == nil) != good || err != nil && !errors.Is(err, chat.ErrBadID) {
			t.Errorf("CheckID(%q) = %v, want good: %v", id, err, good)
		}
	}
}

func TestNewID_SortsByTime(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	last := ""
	for i := range 1000 {
		id := chat.NewID(at.Add(time.Duration(i) * time.Millisecond))
		if err := chat.CheckID(id); err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		if id <= last {
			t.Fatalf("%q does not sort after %q", id, last)
		}
		last = id
	}
}

func TestRunStatus_Terminal(t *testing.T) {
	for s, want := range map[chat.RunStatus]bool{
		chat.RunQueued: false, chat.RunAdmitted: false, chat.RunRunning: false,
		chat.RunFinished: true, chat.RunFailed: true, chat.RunCancelled: true, chat.RunSuspended: true,
	} {
		if s.Terminal() != want {
			t.Errorf("%s: terminal %v, want %v", s, s.Terminal(), want)
		}
	}
}
