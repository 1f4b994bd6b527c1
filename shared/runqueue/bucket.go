package runqueue

import (
	"time"

	"carrel/shared/bucket"
	"carrel/shared/chat"
)

// spend takes a token from a user's bucket of runs. full is the time at which the bucket is full again; spend returns
// that time after the token is taken. Without a token it fails with a *chat.RateLimitedError, whose time is exact to
// the millisecond. A RunsPerHour below 1 disables the limit.
func spend(full time.Time, p Policy) (time.Time, error) {
	if p.Limits.RunsPerHour < 1 {
		return full, nil
	}
	rate := bucket.Rate{Token: time.Hour / time.Duration(p.Limits.RunsPerHour), Burst: p.Limits.RunBurst}
	full, after := rate.Take(full, p.Now)
	if after > 0 {
		return time.Time{}, &chat.RateLimitedError{After: after}
	}
	return full, nil
}
