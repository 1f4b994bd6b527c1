// Package bucket implements a token bucket whose state is a single time: when the bucket is full again. The number of
// missing tokens is the number that the bucket gains until then.
package bucket

import "time"

// Rate is the rate of a bucket: Burst tokens at once after a pause, and one more token each time the duration Token has
// passed. A Burst below 1 counts as 1, because a bucket without room would never give a token.
type Rate struct {
	Token time.Duration
	Burst int
}

// Take takes a token from a bucket that is full again at the time full, and returns the new time at which it is full.
// If there is no token, after is the time until the next one, and the bucket does not change. Times are in
// milliseconds.
func (r Rate) Take(full, now time.Time) (then time.Time, after time.Duration) {
	token := max(r.Token, time.Millisecond).Truncate(time.Millisecond)
	size := token * time.Duration(max(r.Burst, 1))
	now = now.Truncate(time.Millisecond)
	switch {
	case full.Before(now):
		full = now
	case full.After(now.Add(size)): // written by a faster clock, or for a larger bucket
		full = now.Add(size)
	}
	then = full.Add(token)
	if after := then.Sub(now) - size; after > 0 {
		return full, after
	}
	return then, 0
}
