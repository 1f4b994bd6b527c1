package main

import (
	"context"
	"errors"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

const (
	// maxReplay is how many events are replayed at most: as many as one run may have, so that whoever slept through any
	// one run sees all of it. Who is further behind gets a snapshot, which costs the same however much was missed.
	maxReplay  = 10_000
	logPage    = 250              // records of one request, which has 1 MB at most: the first is read before ready is sent
	replayTime = 15 * time.Second // of one hello; what is left the client's next one asks for
	maxJoined  = wire.MaxFrame * 3 / 4
)

// page reads the log behind a position, as far as one request goes: nothing at its end, and nothing either where what
// follows cannot be read.
func (r *request) page(ctx context.Context, v view, after chat.Seq) ([]store.Record, error) {
	if after >= v.head {
		return nil, nil
	}
	page, err := r.store.Log(ctx, v.thread.ID, v.thread.Epoch, after, logPage)
	if errors.Is(err, store.ErrUnreadable) {
		r.log.ErrorContext(ctx, "replaying a log", "err", err)
		return nil, nil // as if retention had taken it: the client is told by a snapshot
	}
	return page, err
}

// replay posts what the log has behind v.from, page by page up to v.head: what comes later is posted by who appends it.
// It ends early if the connection is not reached, has asked anew, or its time is over; the client asks for what it lacks.
func (r *request) replay(ctx context.Context, f *wire.Hello, v view) error {
	until := r.now().Add(replayTime)
	at := v.from
	for page := v.page; len(page) > 0; {
		for _, frame := range joined(v.thread, page) {
			if now := r.now(); !now.Before(until) || !now.Before(r.in.TokenExpires) {
				return r.replayed(f, v, at)
			}
			reached, err := r.deliver(ctx, frame)
			if err != nil || !reached {
				return errors.Join(err, r.replayed(f, v, at))
			}
			at = frame.Seq + chat.Seq(len(frame.Events)) - 1
		}
		if at < v.head {
			row, err := r.ownConnection(ctx)
			if err != nil {
				return err
			}
			if row.ID == "" || row.N > f.N {
				break // it has gone, or asked for something else since
			}
		}
		var err error
		if page, err = r.page(ctx, v, at); err != nil {
			return err
		}
	}
	return r.replayed(f, v, at)
}

// replayed measures what a hello brought: the log from v.from to at, or a snapshot before.
func (r *request) replayed(f *wire.Hello, v view, at chat.Seq) error {
	var values []monitor.Value
	switch {
	case v.snapshot != nil:
		values = append(values, monitor.N(monitor.Snapshots, 1))
	case at > v.from:
		values = append(values, monitor.N(monitor.Replays, 1), monitor.N(monitor.ReplayedEvents, int(at-v.from)))
		if f.N > 1 && at >= v.head {
			values = append(values, monitor.N(monitor.GapsHealed, 1))
		}
	default:
		return nil
	}
	r.monitor.Record(append(values, monitor.N(monitor.FramesPosted, r.posted))...)
	return nil
}

// joined makes one frame of adjacent records of a run while they surely fit in one message: a post costs far more than
// its bytes.
func joined(t store.Thread, records []store.Record) []*wire.Events {
	var all []*wire.Events
	size := 0
	for _, rec := range records {
		more := 0
		for _, e := range rec.Events {
			more += sizeOf(e)
		}
		if n := len(all); n > 0 && all[n-1].RunID == rec.Run && size+more <= maxJoined {
			all[n-1].Events = append(all[n-1].Events, rec.Events...)
			size += more
			continue
		}
		all = append(all, &wire.Events{ThreadID: t.ID, Epoch: t.Epoch, Seq: rec.Seq, RunID: rec.Run, Events: rec.Events})
		size = more
	}
	return all
}

// sizeOf is about what an event takes as JSON.
func sizeOf(e agui.Event) int {
	const names = 160
	size := names + len(e.Delta) + len(e.Metadata) + len(e.Value)
	if e.Content != nil {
		size += len(*e.Content)
	}
	if e.Input != nil {
		size = wire.MaxFrame // goes alone
	}
	return size
}
