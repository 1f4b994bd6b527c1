package awsenv

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"carrel/shared/chat"
)

// Limits reads a deployment's limits from RUNS_PER_USER, QUEUED_PER_USER, RUN_BURST, RUNS_PER_HOUR, FRAME_BURST,
// FRAMES_PER_SECOND, RUN_SECONDS, RUN_ATTEMPTS and EVENT_DAYS. One that is not set is the one of chat.DefaultLimits, as are all that no variable speaks of. Everybody
// who admits, works or sweeps reads them here, so that all go by the same. Its error names each bad variable and what it
// may be.
func Limits(getenv Getenv) (chat.Limits, error) {
	l := chat.DefaultLimits()
	const day = 24 * time.Hour
	seconds, days := int(l.RunTime/time.Second), int(l.Retention/day)
	err := errors.Join(
		whole(getenv, "RUNS_PER_USER", 1, 100, &l.Runs),
		whole(getenv, "QUEUED_PER_USER", 1, 200, &l.Queued),
		whole(getenv, "RUN_BURST", 1, 1_000_000, &l.RunBurst),
		whole(getenv, "RUNS_PER_HOUR", 1, 1_000_000, &l.RunsPerHour),
		whole(getenv, "FRAME_BURST", 1, 1_000_000, &l.FrameBurst),
		whole(getenv, "FRAMES_PER_SECOND", 1, 1000, &l.FrameRate),
		whole(getenv, "RUN_SECONDS", 10, 840, &seconds), // a function lives for 15 minutes
		whole(getenv, "RUN_ATTEMPTS", 1, 10, &l.Attempts),
		whole(getenv, "EVENT_DAYS", 1, 3650, &days),
	)
	l.RunTime, l.Retention = time.Duration(seconds)*time.Second, time.Duration(days)*day
	return l, err
}

// whole reads a whole number into n, which keeps its value if the variable is not set.
func whole(getenv Getenv, name string, low, high int, n *int) error {
	text := getenv(name)
	if text == "" {
		return nil
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < low || v > high {
		return fmt.Errorf("the environment variable %s is %q: it must be a whole number from %d to %d", name, text, low, high)
	}
	*n = v
	return nil
}
