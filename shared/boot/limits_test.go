package boot_test

import (
	"strings"
	"testing"
	"time"

	"carrel/shared/boot"
	"carrel/shared/chat"
)

func TestLimits(t *testing.T) {
	if l, err := read(nil, (*boot.Env).Limits); err != nil || l != chat.DefaultLimits() {
		t.Errorf("without variables: %+v, %v", l, err)
	}
	l, err := read(map[string]string{"RUNS_PER_USER": "2", "QUEUED_PER_USER": "3", "RUN_BURST": "4",
		"RUNS_PER_HOUR": "5",
		"FRAME_BURST":   "6", "FRAMES_PER_SECOND": "7", "RUN_SECONDS": "60", "RUN_ATTEMPTS": "1", "EVENT_DAYS": "9",
		"RUN_TOKENS": "8", "TOKENS_PER_DAY": "10"},
		(*boot.Env).Limits)
	want := chat.DefaultLimits()
	want.Runs, want.Queued, want.RunBurst, want.RunsPerHour, want.RunTime, want.Attempts, want.Retention = 2, 3, 4, 5,
		time.Minute, 1, 9*24*time.Hour
	want.FrameBurst, want.FrameRate, want.Tokens, want.DayTokens = 6, 7, 8, 10
	if err != nil || l != want {
		t.Errorf("limits %+v, %v", l, err)
	}
}

func TestLimits_OutOfRange(t *testing.T) {
	for name, allowed := range map[string]string{
		"RUNS_PER_USER": "from 1 to 100", "QUEUED_PER_USER": "from 1 to 200", "RUN_BURST": "from 1 to 1000000",
		"RUNS_PER_HOUR": "from 1 to 1000000", "FRAME_BURST": "from 1 to 1000000", "FRAMES_PER_SECOND": "from 1 to 1000",
		"RUN_SECONDS": "from 10 to 3600", "RUN_ATTEMPTS": "from 1 to 10",
		"EVENT_DAYS": "from 1 to 3650",
	} {
		for _, bad := range []string{"0", "-1", "1000001", "1.5", "five", " 5", "1e3", "10s"} {
			_, err := read(map[string]string{name: bad}, (*boot.Env).Limits)
			if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), allowed) ||
				!strings.Contains(err.Error(), bad) {
				t.Errorf("%s=%q: %v", name, bad, err)
			}
		}
	}
	_, err := read(map[string]string{"RUN_SECONDS": "9000", "RUN_ATTEMPTS": "x"}, (*boot.Env).Limits)
	if err == nil || !strings.Contains(err.Error(), "RUN_SECONDS") || !strings.Contains(err.Error(), "RUN_ATTEMPTS") {
		t.Errorf("two wrong variables: error %v, want it to name both", err)
	}
}
