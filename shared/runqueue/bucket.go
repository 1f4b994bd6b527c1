package runqueue

import (
	"time"

	"carrel/shared/bucket"
	"carrel/shared/chat"
)

// spend takes a token from the bucket of runs that is full again at full, and returns when it is full then. It fails with a
// *chat.RateLimitedError that tells to the millisecond when there will be one. A RunsPerHour below 1 is no rate limit at all.
func spend(full time.Time, r Policy) (time.Time, error) {
	if r.Limits.RunsPerHour < 1 {
		return full, nil
	}
	rate := bucket.Rate{Token: time.Hour / time.Duration(r.Limits.RunsPerHour), Burst: r.Limits.RunBurst}
	full, after := rate.Take(full, r.Now)
	if after > 0 {
		return time.Time{}, &chat.RateLimitedError{After: after}
	}
	return full, nil
}
