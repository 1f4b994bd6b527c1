package desk

import (
	"time"

	"carrel/shared/chat"
)

// spend takes a token from the bucket that is full again at full, and returns when it is full then. It fails with a
// *chat.RateLimitedError that tells to the millisecond when there will be one.
//
// That one time is all of the bucket: it holds as many tokens less than RunBurst as it takes until then to gain. A
// RunsPerHour below 1 is no rate limit at all, and a RunBurst below 1 is 1: a bucket without room would refuse for ever.
func spend(full time.Time, r Rules) (time.Time, error) {
	if r.Limits.RunsPerHour < 1 {
		return full, nil
	}
	token := max(time.Hour/time.Duration(r.Limits.RunsPerHour), time.Millisecond).Truncate(time.Millisecond)
	size := token * time.Duration(max(r.Limits.RunBurst, 1))
	now := r.Now.Truncate(time.Millisecond)
	switch {
	case full.Before(now):
		full = now
	case full.After(now.Add(size)): // another clock's, or of a larger bucket
		full = now.Add(size)
	}
	full = full.Add(token)
	if after := full.Sub(now) - size; after > 0 {
		return time.Time{}, &chat.RateLimitedError{After: after}
	}
	return full, nil
}
