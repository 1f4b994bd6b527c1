// Package bucket is a token bucket in one time: when the bucket is full again. It holds as many tokens less than its size
// as it gains until then.
package bucket

import "time"

// Rate is what a bucket allows: Burst tokens at once after a pause, and one more each time Token has passed. A Burst
// below 1 is 1, because a bucket without room would refuse for ever.
type Rate struct {
	Token time.Duration
	Burst int
}

// Take takes a token from the bucket that is full at full, and returns when it is full then. If there is no token, after
// is the time until there is one, and the bucket stays as it is. Times are in milliseconds.
func (r Rate) Take(full, now time.Time) (then time.Time, after time.Duration) {
	token := max(r.Token, time.Millisecond).Truncate(time.Millisecond)
	size := token * time.Duration(max(r.Burst, 1))
	now = now.Truncate(time.Millisecond)
	switch {
	case full.Before(now):
		full = now
	case full.After(now.Add(size)): // another clock's, or of a larger bucket
		full = now.Add(size)
	}
	then = full.Add(token)
	if after := then.Sub(now) - size; after > 0 {
		return full, after
	}
	return then, 0
}
