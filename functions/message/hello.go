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

// snapshotMessages is about how many messages a snapshot holds.
const snapshotMessages = 50

// API Gateway closes a connection after two hours. A connection is useless once its token has expired.
const (
	connectionLife = 2 * time.Hour
	tokenMargin    = time.Minute
)

// view is the state of a thread as a hello found it.
type view struct {
	thread   store.Thread // without an Epoch: the thread does not exist
	last     store.Record // the last record of the log
	head     chat.Seq     // the sequence number of the last event
	usable   bool         // the client can continue from its cursor, without a snapshot
	snapshot *wire.Snapshot
	from     chat.Seq       // the replay begins after this event
	page     []store.Record // the first page of the replay
}

// hello points the connection at a thread and then reads the thread. In this order no event can be missed in between.
func (r *request) hello(ctx context.Context, f *wire.Hello) error {
	id, err := r.helloThread(ctx, f)
	if err != nil {
		return err
	}
	row, err := r.watch(ctx, id, f.N, f.Cursor)
	if err != nil {
		return err
	}
	if row.Thread != id {
		return nil // a later hello or run was handled first, and has been answered
	}
	r.watching = id
	// A client never sends an n twice. The SDK may: it repeats a write whose answer was lost.
	replays := row.N == f.N && row.HelloBy == r.in.RequestID
	v, err := r.view(ctx, id, f.Cursor, replays)
	if err != nil {
		return err
	}
	ready, err := r.ready(ctx, f, v)
	if err != nil {
		return err
	}
	ready.ThreadID, ready.Interrupts = id, v.openInterrupts()
	frames := []wire.ServerFrame{ready}
	if v.snapshot != nil {
		v.snapshot.N = f.N
		frames = append(frames, v.snapshot)
	}
	reached, err := r.deliver(ctx, frames...)
	if err != nil || !reached || !replays {
		return err
	}
	return r.replay(ctx, f, v)
}

// helloThread returns the thread of a hello. A hello that names none is about the thread of its connection.
func (r *request) helloThread(ctx context.Context, f *wire.Hello) (chat.ThreadID, error) {
	if f.ThreadID != "" {
		return f.ThreadID, nil
	}
	row, err := r.ownConnection(ctx)
	if errors.As(err, &noConnection{}) {
		return chat.ThreadID(chat.NewID(r.now())), nil // watch writes the record again, or returns why it may not
	}
	return row.Thread, err
}

// view reads the thread and the end of its log. With a usable cursor it also reads the first page of the log after the
// cursor; without one, the transcripts up to the thread's head and the first page of the log after that. If no replay
// follows, it reads only the position of the thread.
func (r *request) view(ctx context.Context, id chat.ThreadID, c *chat.Cursor, replays bool) (view, error) {
	t, err := r.store.Thread(ctx, id)
	if errors.Is(err, chat.ErrNotFound) {
		return view{usable: c == nil}, nil
	}
	if err != nil {
		return view{}, err
	}
	v := view{thread: t}
	v.last, err = r.store.Last(ctx, t.ID, t.Epoch)
	if err != nil && !errors.Is(err, store.ErrUnreadable) {
		return v, err
	}
	v.head = max(t.Head, v.last.Last)
	if !replays {
		v.usable = c != nil && c.Epoch == t.Epoch && c.Seq == v.head
		return v, nil
	}
	if c != nil && c.Epoch == t.Epoch {
		if err := r.follow(ctx, &v, c.Seq); err != nil || v.usable {
			return v, err
		}
	}
	if v.snapshot, err = r.snapshot(ctx, t); err != nil {
		return v, err
	}
	v.from = t.Head
	v.page, err = r.page(ctx, v, v.from)
	return v, err
}

// follow reads the log after a cursor. The cursor is usable if the log continues directly after it, and if at most
// maxReplay events follow.
func (r *request) follow(ctx context.Context, v *view, after chat.Seq) (err error) {
	switch behind := v.head - after; {
	case behind == 0:
		v.usable = true
	case behind > 0 && behind <= maxReplay:
		v.page, err = r.page(ctx, *v, after)
		v.usable = len(v.page) > 0 && v.page[0].Seq <= after+1
	}
	v.from = after
	return err
}

func (r *request) snapshot(ctx context.Context, t store.Thread) (*wire.Snapshot, error) {
	p, err := r.transcript(ctx, t, 0, snapshotMessages)
	if err != nil {
		return nil, err
	}
	return &wire.Snapshot{
		ThreadID: t.ID, Epoch: t.Epoch, Seq: t.Head, Messages: p.messages, Runs: p.runs, Interrupts: t.Interrupts,
		More: p.before > 0, Before: p.before,
	}, nil
}

// ready reports the position of the thread and the runs of the user. The run queue is read last.
func (r *request) ready(ctx context.Context, f *wire.Hello, v view) (*wire.Ready, error) {
	d, err := r.runQueue(ctx)
	if err != nil {
		return nil, err
	}
	ready := &wire.Ready{
		RequestID: r.id, N: f.N, ConnectionID: r.in.Connection,
		Epoch: v.thread.Epoch, Head: v.head, Recovered: v.usable,
		Limits: wire.Limits{
			FrameBytes: wire.MaxFrame, TextBytes: wire.MaxText, Messages: wire.MaxMessages,
			Runs: r.limits.Runs, Queued: r.limits.Queued, Connections: r.limits.Connections,
		},
		ReconnectInMs: r.reconnectIn().Milliseconds(),
	}
	for _, s := range runStates(d) {
		if s.ThreadID != v.thread.ID {
			continue
		}
		if s.Status == chat.RunRunning {
			ready.Active = &s
			continue
		}
		if s.Messages, err = r.queuedMessages(ctx, s.RunID); err != nil {
			return nil, err
		}
		ready.Queued = append(ready.Queued, s)
	}
	return ready, nil
}

// queuedMessages returns the messages of a queued run, which are in no log yet.
func (r *request) queuedMessages(ctx context.Context, run chat.RunID) ([]agui.Message, error) {
	in, err := r.store.Input(ctx, run)
	if errors.Is(err, chat.ErrNotFound) {
		return nil, nil // the run has ended since the run queue was read
	}
	if err != nil {
		return nil, fmt.Errorf("read the input of queued run %s: %w", run, err)
	}
	return in.Messages, nil
}

// reconnectIn returns how long the client waits before it opens its next socket. It is never zero, which would mean no
// value.
func (r *request) reconnectIn() time.Duration {
	by := r.in.ConnectedAt.Add(connectionLife - r.jitter())
	if token := r.in.TokenExpires.Add(-tokenMargin); token.Before(by) {
		by = token
	}
	return max(by.Sub(r.now()), time.Millisecond)
}
