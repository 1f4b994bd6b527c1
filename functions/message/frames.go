package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"carrel/shared/bucket"
	"carrel/shared/chat"
	"carrel/shared/lasthop"
	"carrel/shared/monitor"
	"carrel/shared/wire"
)

// What happens to a user who sends more frames than the limits allow.
const (
	maxFrameBuckets = 1000             // users whose rate one process knows
	shedWindow      = 10 * time.Second // in which shed frames are counted
	shedMost        = 20               // shed frames in the window that make a flood
	floodPause      = time.Minute      // in which a user who floods opens no connection
)

// verdict is what is done with a frame.
type verdict int

const (
	served   verdict = iota
	shed             // it ends before any request; the client repeats it
	flooded          // it makes a flood of the user's frames
	flooding         // it is over the limit in a flood that was noticed
)

// ownerHash names a user in memory: a one-way hash, which cannot be turned back into a User.
type ownerHash string

// frameBucket is the rate of one user's frames. It holds numbers only. Times are in milliseconds since 1970.
type frameBucket struct {
	full  int64 // when it is full again
	since int64 // when the window of shed frames began
	shed  int   // frames that were shed in it
	pause int64 // until then each frame over the limit ends its connection
}

// frameLimits keeps the rates of the users whose frames this process serves. It holds no content and no user.
type frameLimits struct {
	rate    bucket.Rate
	mu      sync.Mutex
	buckets map[ownerHash]frameBucket
}

func newFrameLimits(l chat.Limits) *frameLimits {
	return &frameLimits{
		rate:    bucket.Rate{Token: time.Second / time.Duration(max(l.FrameRate, 1)), Burst: l.FrameBurst},
		buckets: map[ownerHash]frameBucket{},
	}
}

// take counts a frame of a user and says what is done with it, and for flooded and flooding how long the user is to wait.
func (f *frameLimits) take(u chat.User, now time.Time) (verdict, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := ownerHash(u.Hash())
	b, known := f.buckets[name]
	if !known && len(f.buckets) >= maxFrameBuckets {
		f.drop(now)
	}
	full, after := f.rate.Take(time.UnixMilli(b.full), now)
	b.full = full.UnixMilli()
	v := served
	if after > 0 {
		v = b.over(now)
	}
	f.buckets[name] = b
	return v, time.UnixMilli(b.pause).Sub(now)
}

// over counts a frame over the limit.
func (b *frameBucket) over(now time.Time) verdict {
	at := now.UnixMilli()
	if at < b.pause {
		return flooding
	}
	if at-b.since >= shedWindow.Milliseconds() {
		b.since, b.shed = at, 0
	}
	if b.shed++; b.shed < shedMost {
		return shed
	}
	b.since, b.shed, b.pause = 0, 0, now.Add(floodPause).UnixMilli()
	return flooded
}

// resume takes a flood back that could not be stored, so that the next frame over the limit stores it.
func (f *frameLimits) resume(u chat.User, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.buckets[ownerHash(u.Hash())]
	b.since, b.shed, b.pause = now.UnixMilli(), shedMost-1, 0
	f.buckets[ownerHash(u.Hash())] = b
}

// drop makes room for one more user: buckets that are full say nothing and go. If none is, the one that is full first goes,
// of a user without a flood if there is one.
func (f *frameLimits) drop(now time.Time) {
	at, first := now.UnixMilli(), ownerHash("")
	for name, b := range f.buckets {
		if max(b.full, b.pause) <= at {
			delete(f.buckets, name)
			continue
		}
		if old := f.buckets[first]; first == "" || max(b.full, b.pause) < max(old.full, old.pause) {
			first = name
		}
	}
	if len(f.buckets) >= maxFrameBuckets {
		delete(f.buckets, first)
	}
}

// errShed ends a frame over the limit. API Gateway tells the client that the frame may not have arrived, and the client
// repeats what has no answer.
var errShed = fmt.Errorf("message: a frame over the user's limit: %w", chat.ErrRateLimited)

// limited ends a frame over the limit before it is decoded.
func (r *request) limited(ctx context.Context, v verdict, wait time.Duration) error {
	r.monitor.Count(monitor.FramesShed, 1)
	if v == shed {
		return errShed
	}
	if v == flooded {
		r.log.WarnContext(ctx, "refuse the connections of a user who sends too many frames", "for", wait.String())
		if err := r.store.RefuseConnections(ctx, r.now().Add(wait)); err != nil {
			r.frames.resume(r.in.User, r.now())
			return fmt.Errorf("message: %w", err)
		}
		r.endOthers(ctx, wait)
	}
	return r.end(ctx, &chat.RateLimitedError{After: wait})
}

// endOthers notifies and closes the user's other connections: the flood may come on all of them, and other processes would
// each have to notice it. What fails here is left to those.
func (r *request) endOthers(ctx context.Context, wait time.Duration) {
	rows, err := r.store.Connections(ctx)
	if err != nil {
		r.log.WarnContext(ctx, "list the connections of a user who sends too many frames", "err", err)
	}
	last := map[chat.ConnectionID]*wire.Error{}
	for _, row := range rows {
		if row.ID != r.in.Connection {
			last[row.ID] = &wire.Error{Code: wire.CodeRateLimited, Message: sentence(wire.CodeRateLimited), RetryAfterMS: wait.Milliseconds()}
		}
	}
	if err := lasthop.End(ctx, r.poster, last); err != nil {
		r.log.WarnContext(ctx, "end the connections of a user who sends too many frames", "err", err)
	}
}
