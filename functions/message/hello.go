package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// What a hello gives at most.
const (
	snapshotMessages = 50
	logPage          = 100  // records of one read
	maxReplay        = 1000 // events; who is further behind gets a snapshot instead
)

// API Gateway ends a connection after two hours; an expired token ends its use.
const (
	connectionLife = 2 * time.Hour
	tokenMargin    = time.Minute
)

// view is what a hello found of a thread.
type view struct {
	thread   store.Thread // no Epoch: it does not exist
	usable   bool         // the cursor is: no snapshot is needed
	snapshot *wire.Snapshot
	records  []store.Record
	head     chat.Seq // the last event there is
}

// hello points the connection at a thread and then, so that nothing falls in between, reads what there is of it.
func (r *request) hello(ctx context.Context, f *wire.Hello) error {
	id, err := r.helloThread(ctx, f)
	if err != nil {
		return err
	}
	row, err := r.watch(ctx, id, f.N)
	if err != nil {
		return err
	}
	if row.Thread != id {
		return nil // a later hello or run has overtaken this one, and has been answered
	}
	v, err := r.view(ctx, id, f.Cursor)
	if err != nil {
		return err
	}
	ready, err := r.ready(ctx, f, v)
	if err != nil {
		return err
	}
	ready.ThreadID, ready.Interrupts = id, v.questions()
	frames := []wire.ServerFrame{ready}
	if v.snapshot != nil {
		v.snapshot.N = f.N
		frames = append(frames, v.snapshot)
	}
	for _, rec := range joined(v.records) {
		frames = append(frames, &wire.Events{
			ThreadID: id, Epoch: v.thread.Epoch, Seq: rec.Seq, RunID: rec.Run, Events: rec.Events,
		})
	}
	return r.answer(ctx, frames...)
}

// joined makes one record of adjacent ones of a run while they surely fit in one message: a post costs far more than
// its bytes.
func joined(records []store.Record) []store.Record {
	var all []store.Record
	size := 0
	for _, rec := range records {
		more := 0
		for _, e := range rec.Events {
			more += sizeOf(e)
		}
		if n := len(all); n > 0 && all[n-1].Run == rec.Run && size+more <= wire.MaxFrame*3/4 {
			all[n-1].Events = append(all[n-1].Events, rec.Events...)
			size += more
			continue
		}
		all = append(all, rec)
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

// helloThread is the thread that a hello is about: without a name the one that the connection has.
func (r *request) helloThread(ctx context.Context, f *wire.Hello) (chat.ThreadID, error) {
	if f.ThreadID != "" {
		return f.ThreadID, nil
	}
	row, err := r.store.Connection(ctx, r.in.Connection)
	if errors.Is(err, chat.ErrNotFound) {
		return chat.ThreadID(chat.NewID(r.now())), nil // the row has expired; hello makes it again
	}
	return row.Thread, err
}

// view reads the thread, its transcripts up to its head and the log after that, in this order.
func (r *request) view(ctx context.Context, id chat.ThreadID, c *chat.Cursor) (view, error) {
	t, err := r.store.Thread(ctx, id)
	if errors.Is(err, chat.ErrNotFound) {
		return view{usable: c == nil}, nil
	}
	if err != nil {
		return view{}, err
	}
	v := view{thread: t, head: t.Head}
	if c != nil && c.Epoch == t.Epoch {
		if err := r.replay(ctx, &v, c.Seq); err != nil || v.usable {
			return v, err
		}
	}
	if v.snapshot, err = r.snapshot(ctx, t); err != nil {
		return v, err
	}
	v.records, err = r.records(ctx, t, t.Head, 0)
	v.head = max(t.Head, end(v.records))
	return v, err
}

// replay reads the log after a cursor. The cursor is usable if the log goes on right there.
func (r *request) replay(ctx context.Context, v *view, after chat.Seq) error {
	records, err := r.records(ctx, v.thread, after, maxReplay)
	if err != nil {
		return err
	}
	head := max(v.thread.Head, end(records))
	switch {
	case len(records) > 0:
		v.usable = records[0].Seq <= after+1 && head-after <= maxReplay
	case after > head: // of a run that has not ended, or of a future that there is none of
		if head, err = r.store.Last(ctx, v.thread.ID, v.thread.Epoch); err != nil {
			return err
		}
		v.usable = after == head
	default:
		v.usable = after == head // else what comes next is no longer kept
	}
	if v.usable {
		v.records, v.head = records, head
	}
	return nil
}

// records reads the log after a position, and stops once it has more than enough events; 0: it reads all.
func (r *request) records(ctx context.Context, t store.Thread, after, enough chat.Seq) ([]store.Record, error) {
	var all []store.Record
	for from := after; ; from = end(all) {
		page, err := r.store.Log(ctx, t.ID, t.Epoch, from, logPage)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < logPage || enough > 0 && end(all)-after > enough {
			return all, nil
		}
	}
}

// end is the last event of some records; 0 for none.
func end(records []store.Record) chat.Seq {
	if len(records) == 0 {
		return 0
	}
	last := records[len(records)-1]
	return last.Seq + chat.Seq(len(last.Events)) - 1
}

func (r *request) snapshot(ctx context.Context, t store.Thread) (*wire.Snapshot, error) {
	messages, before, err := r.transcript(ctx, t, 0, snapshotMessages)
	if err != nil {
		return nil, err
	}
	return &wire.Snapshot{
		ThreadID: t.ID, Epoch: t.Epoch, Seq: t.Head, Messages: messages, Interrupts: t.Interrupts,
		More: before > 0, Before: before,
	}, nil
}

// ready says where the thread and the desk stand; the desk is read last.
func (r *request) ready(ctx context.Context, f *wire.Hello, v view) (*wire.Ready, error) {
	d, err := r.desk(ctx)
	if err != nil {
		return nil, err
	}
	ready := &wire.Ready{
		RequestID: r.id, N: f.N, ConnectionID: r.in.Connection,
		Epoch: v.thread.Epoch, Head: v.head, Recovered: v.usable,
		Limits: wire.Limits{
			FrameBytes: wire.MaxFrame, TextBytes: wire.MaxText, Messages: wire.MaxMessages,
			Runs: r.limits.Runs, Waiting: r.limits.Waiting, Connections: r.limits.Connections,
		},
		ReconnectBy: r.reconnectBy().UnixMilli(),
	}
	for _, s := range states(d) {
		if s.ThreadID != v.thread.ID {
			continue
		}
		if s.Status == chat.RunRunning {
			ready.Active = &s
			continue
		}
		if s.Messages, err = r.asked(ctx, s.RunID); err != nil {
			return nil, err
		}
		ready.Waiting = append(ready.Waiting, s)
	}
	return ready, nil
}

// asked are the messages of a waiting run, which are in no log yet.
func (r *request) asked(ctx context.Context, run chat.RunID) ([]agui.Message, error) {
	in, err := r.store.Input(ctx, run)
	if errors.Is(err, chat.ErrNotFound) {
		return nil, nil // it has ended since the desk was read
	}
	if err != nil {
		return nil, fmt.Errorf("what waits: %w", err)
	}
	return in.Messages, nil
}

// reconnectBy is when the client should have its next socket open.
func (r *request) reconnectBy() time.Time {
	by := r.in.ConnectedAt.Add(connectionLife - r.jitter())
	if token := r.in.TokenExpires.Add(-tokenMargin); token.Before(by) {
		return token
	}
	return by
}
