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

// Limits for users who send more frames than the frame rate allows.
const (
	maxFrameBuckets = 1000             // users whose rate one process keeps
	shedWindow      = 10 * time.Second // the window in which shed frames are counted
	shedMost        = 20               // this many shed frames in the window are a flood
	floodPause      = time.Minute      // how long a user may not connect after a flood
)

// verdict says how a frame is treated.
type verdict int

const (
	served   verdict = iota
	shed             // the frame is dropped before any request; the client repeats it
	flooded          // the frame turns the user's frames into a flood
	flooding         // the frame exceeds the limit during a known flood
)

// ownerHash identifies a user in memory. It is a one-way hash and cannot be turned back into a User.
type ownerHash string

// frameBucket is the rate of one user's frames. It holds numbers only. Times are in milliseconds since 1970.
type frameBucket struct {
	full  int64 // when the bucket is full again
	since int64 // the beginning of the window of shed frames
	shed  int   // frames shed in the window
	pause int64 // the end of the flood; until then each frame over the limit ends its connection
}

// frameLimits holds the frame rates of the users that this process serves. It holds neither content nor users.
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

// take counts a frame of a user and returns its verdict. For flooded and flooding it also returns how long the user
// must wait.
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

// resume undoes a flood that could not be stored, so that the next frame over the limit stores it.
func (f *frameLimits) resume(u chat.User, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.buckets[ownerHash(u.Hash())]
	b.since, b.shed, b.pause = now.UnixMilli(), shedMost-1, 0
	f.buckets[ownerHash(u.Hash())] = b
}

// drop makes room for one more user. It removes full buckets, which carry no information. If there is none, it removes
// the bucket that is full first, preferably of a user without a flood.
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

// errShed drops a frame over the limit. API Gateway reports to the client that the frame may not have arrived, and the
// client repeats it.
var errShed = fmt.Errorf("message: drop a frame over the user's limit: %w", chat.ErrRateLimited)

// overLimit treats a frame over the limit before it is decoded.
func (r *request) overLimit(ctx context.Context, v verdict, wait time.Duration) error {
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
	return r.refuseAndClose(ctx, &chat.RateLimitedError{After: wait})
}

// endOthers notifies and closes the user's other connections. The flood may use all of them, and each other process
// would have to detect it again. If a connection cannot be closed here, those processes close it.
func (r *request) endOthers(ctx context.Context, wait time.Duration) {
	rows, err := r.store.Connections(ctx)
	if err != nil {
		r.log.WarnContext(ctx, "list the connections of a user who sends too many frames", "err", err)
	}
	last := map[chat.ConnectionID]*wire.Error{}
	for _, row := range rows {
		if row.ID != r.in.Connection {
			last[row.ID] = &wire.Error{Code: wire.CodeRateLimited, Message: sentence(wire.CodeRateLimited),
				RetryAfterMS: wait.Milliseconds()}
		}
	}
	if err := lasthop.End(ctx, r.poster, last); err != nil {
		r.log.WarnContext(ctx, "end the connections of a user who sends too many frames", "err", err)
	}
}
