package boot

import (
	"fmt"
	"strconv"
	"time"

	"carrel/shared/chat"
)

// Limits returns the limits of the deployment. message, turn and sweep all read them here, so that all three apply the
// same limits. Unset variables, and limits without a variable, keep their chat.DefaultLimits value.
func (e *Env) Limits() chat.Limits {
	l := chat.DefaultLimits()
	const day = 24 * time.Hour
	l.Runs = e.number("RUNS_PER_USER", 1, 100, l.Runs)
	l.Queued = e.number("QUEUED_PER_USER", 1, 200, l.Queued)
	l.RunBurst = e.number("RUN_BURST", 1, 1_000_000, l.RunBurst)
	l.RunsPerHour = e.number("RUNS_PER_HOUR", 1, 1_000_000, l.RunsPerHour)
	l.FrameBurst = e.number("FRAME_BURST", 1, 1_000_000, l.FrameBurst)
	l.FrameRate = e.number("FRAMES_PER_SECOND", 1, 1000, l.FrameRate)
	l.Attempts = e.number("RUN_ATTEMPTS", 1, 10, l.Attempts)
	l.DayTokens = e.number("TOKENS_PER_DAY", 0, 1_000_000_000_000, l.DayTokens)
	l.Tokens = e.number("RUN_TOKENS", 0, 1_000_000_000, l.Tokens)
	seconds := e.number("RUN_SECONDS", 10, 3600, int(l.RunTime/time.Second))
	l.RunTime = time.Duration(seconds) * time.Second
	l.Retention = time.Duration(e.number("EVENT_DAYS", 1, 3650, int(l.Retention/day))) * day
	return l
}

// Invocation returns how long one invocation of turn works on a run before it hands the run over, from
// INVOCATION_SECONDS. Only tests set it. 0: it is not set.
func (e *Env) Invocation() time.Duration {
	return time.Duration(e.number("INVOCATION_SECONDS", 5, 840, 0)) * time.Second
}

// number returns a variable that must be a whole number from low to high, or the default value if it is not set.
func (e *Env) number(name string, low, high, unset int) int {
	return Parse(e, name, func(text string) (int, error) {
		if text == "" {
			return unset, nil
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < low || n > high {
			return unset, fmt.Errorf("%q is not a whole number from %d to %d", text, low, high)
		}
		return n, nil
	})
}
