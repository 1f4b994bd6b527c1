package awsenv

import (
	"fmt"
	"time"
)

// maxSkew is as far as a clock may be set off. Tokens and signatures bear no more either.
const maxSkew = 5 * time.Minute

// Clock is the clock of a function: time.Now, or, with a duration such as -2m in CLOCK_SKEW, one that is so far off, at
// most five minutes. Only tests set it, to show what becomes of a thread whose workers disagree about the time. Its
// error names the variable.
func Clock(getenv Getenv) (func() time.Time, error) {
	text := getenv("CLOCK_SKEW")
	if text == "" {
		return time.Now, nil
	}
	skew, err := time.ParseDuration(text)
	if err != nil || skew.Abs() > maxSkew {
		return nil, fmt.Errorf("the environment variable CLOCK_SKEW is %q: it must be a duration of at most %v either way", text, maxSkew)
	}
	return func() time.Time { return time.Now().Add(skew) }, nil
}
