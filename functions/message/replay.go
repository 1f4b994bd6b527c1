package main

import (
	"context"
	"errors"
	"time"

	"carrel/shared/chat"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

const (
	// maxReplay is the greatest number of events that are replayed. It is the most that one run may have, so a client
	// that missed any one run sees all of it. A client that lags further gets a snapshot, which costs the same however
	// much was missed.
	maxReplay = 10_000
	// records of one request, which has 1 MB at most: the first is read before ready is sent
	logPage    = 250
	replayTime = 15 * time.Second // of one hello; the client's next hello requests the rest
	maxJoined  = wire.MaxFrame - 1<<10
)

// page reads one page of the log after a position. It is empty at the end of the log, and where the next record cannot
// be read.
func (r *request) page(ctx context.Context, v view, after chat.Seq) ([]store.Record, error) {
	if after >= v.head {
		return nil, nil
	}
	page, err := r.store.Log(ctx, v.thread.ID, v.thread.Epoch, after, logPage)
	return page, r.reportUnreadable(ctx, err)
}

// logPage reads the first page of the log after a position. It is empty where the next record cannot be read.
func (r *request) logPage(
	ctx context.Context, thread chat.ThreadID, epoch chat.Epoch, after chat.Seq,
) (store.LogPage, error) {
	page, err := r.store.LogPage(ctx, thread, epoch, after, logPage)
	return page, r.reportUnreadable(ctx, err)
}

// reportUnreadable reports a record that cannot be read, and returns any other error. Such a record is treated like a
// deleted one: the client gets a snapshot.
func (r *request) reportUnreadable(ctx context.Context, err error) error {
	if errors.Is(err, store.ErrUnreadable) {
		r.log.ErrorContext(ctx, "replay a log", "err", err)
		return nil
	}
	return err
}

// logReplay posts the log of a thread to the connection that said hello.
type logReplay struct {
	*request
	hello *wire.Hello
	view  view
	last  chat.Seq  // the last event that was posted, or view.from
	until time.Time // the end of replayTime
}

// replay posts the log from v.from to v.head, page by page. Later events are posted by the run that appends them. It
// ends early if the connection cannot be reached, has said another hello, or replayTime has passed. The client then
// requests the rest.
func (r *request) replay(ctx context.Context, f *wire.Hello, v view) error {
	p := &logReplay{request: r, hello: f, view: v, last: v.from, until: r.now().Add(replayTime)}
	defer p.measure()
	for page := v.page; len(page) > 0; {
		reached, err := p.post(ctx, page)
		if err != nil || !reached || p.last >= v.head {
			return err
		}
		superseded, err := p.superseded(ctx)
		if err != nil || superseded {
			return err
		}
		if page, err = r.page(ctx, v, p.last); err != nil {
			return err
		}
	}
	return nil
}

// post posts one page. It reports false if the connection could not be reached or replayTime has passed.
func (p *logReplay) post(ctx context.Context, page []store.Record) (reached bool, err error) {
	for _, frame := range joined(p.view.thread, page) {
		if now := p.now(); !now.Before(p.until) || !now.Before(p.in.TokenExpires) {
			return false, nil
		}
		if reached, err := p.deliver(ctx, frame); err != nil || !reached {
			return false, err
		}
		p.last = frame.Seq + chat.Seq(len(frame.Events)) - 1
	}
	return true, nil
}

// superseded reports whether the connection has sent a later hello or run, which has an answer of its own.
func (p *logReplay) superseded(ctx context.Context) (bool, error) {
	c, err := p.ownConnection(ctx)
	return c.N > p.hello.N, err
}

// measure records what the hello brought: a snapshot, or the log from view.from to the last posted event.
func (p *logReplay) measure() {
	events := int(p.last - p.view.from)
	var values []monitor.Value
	switch {
	case p.view.snapshot != nil:
		values = append(values, monitor.N(monitor.Snapshots, 1))
	case events > 0:
		values = append(values, monitor.N(monitor.Replays, 1), monitor.N(monitor.ReplayedEvents, events))
		if p.hello.N > 1 && p.last >= p.view.head {
			values = append(values, monitor.N(monitor.GapsHealed, 1))
		}
	default:
		return
	}
	p.monitor.Record(append(values, monitor.N(monitor.FramesPosted, p.request.posted))...)
}

// joined makes one frame of consecutive records of a run as long as they fit in one message, because a post costs far
// more than its bytes.
func joined(t store.Thread, records []store.Record) []*wire.Events {
	var all []*wire.Events
	size := 0
	for _, rec := range records {
		if n := len(all); n > 0 && all[n-1].RunID == rec.Run && size+rec.Size <= maxJoined {
			all[n-1].Events = append(all[n-1].Events, rec.Events...)
			size += rec.Size
			continue
		}
		all = append(all, &wire.Events{ThreadID: t.ID, Epoch: t.Epoch, Seq: rec.Seq, RunID: rec.Run,
			Events: rec.Events})
		size = rec.Size
	}
	return all
}
