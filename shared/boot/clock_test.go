package boot_test

import (
	"strings"
	"testing"
	"time"

	"carrel/shared/boot"
)

func TestClock(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "90s": 90 * time.Second, "-5m": -5 * time.Minute} {
		now, err := read(map[string]string{"CLOCK_SKEW": text}, (*boot.Env).Clock)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if off := time.Until(now()) - want; off.Abs() > 10*time.Second {
			t.Errorf("%q: the clock differs by %v from the wanted time", text, off)
		}
	}
	for _, text := range []string{"soon", "5", "5m1s", "-301s"} {
		if _, err := read(map[string]string{"CLOCK_SKEW": text}, (*boot.Env).Clock); err == nil ||
			!strings.Contains(err.Error(), "CLOCK_SKEW") {
			t.Errorf("%q: error %v, want it to name CLOCK_SKEW", text, err)
		}
	}
}
