package boot

import (
	"fmt"
	"time"
)

// maxSkew bounds CLOCK_SKEW. Tokens and request signatures tolerate no more than five minutes either.
const maxSkew = 5 * time.Minute

// Clock returns the clock of the function: time.Now, plus the duration in CLOCK_SKEW if that is set. The duration is at
// most five minutes in either direction, such as -2m. Only tests set it, to show what happens to a thread whose workers
// disagree about the time.
func (e *Env) Clock() func() time.Time { return Parse(e, "CLOCK_SKEW", clock) }

func clock(text string) (func() time.Time, error) {
	if text == "" {
		return time.Now, nil
	}
	skew, err := time.ParseDuration(text)
	if err != nil || skew.Abs() > maxSkew {
		return time.Now, fmt.Errorf("%q is not a duration of at most %v in either direction", text, maxSkew)
	}
	return func() time.Time { return time.Now().Add(skew) }, nil
}
