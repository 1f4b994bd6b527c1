package awsenv_test

import (
	"strings"
	"testing"
	"time"

	"carrel/shared/awsenv"
)

func TestClock(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "90s": 90 * time.Second, "-5m": -5 * time.Minute} {
		now, err := awsenv.Clock(env(map[string]string{"CLOCK_SKEW": text}))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if off := time.Until(now()) - want; off.Abs() > 10*time.Second {
			t.Errorf("%q: the clock is %v off what it should be", text, off)
		}
	}
	for _, text := range []string{"soon", "5", "5m1s", "-301s"} {
		if _, err := awsenv.Clock(env(map[string]string{"CLOCK_SKEW": text})); err == nil || !strings.Contains(err.Error(), "CLOCK_SKEW") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
