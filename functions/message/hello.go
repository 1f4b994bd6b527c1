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

// snapshotMessages is how many messages a snapshot gives, about.
const snapshotMessages = 50

// API Gateway ends a connection after two hours; an expired token ends its use.
const (
	connectionLife = 2 * time.Hour
	tokenMargin    = time.Minute
)

// view is what a hello found of a thread.
type view struct {
	thread   store.Thread // no Epoch: it does not exist
	last     store.Record // the log's
	head     chat.Seq     // the last event there is
	usable   bool         // the cursor is: no snapshot is needed
	snapshot *wire.Snapshot
	from     chat.Seq       // the client is to be given what follows
	page     []store.Record // the beginning of that
}

// hello points the connection at a thread and then, so that nothing falls in between, reads what there is of it.
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
		return nil // a later hello or run has overtaken this one, and has been answered
	}
	r.watching = id
	// A client never sends an n twice. The server may: the SDK repeats a write whose answer was lost.
	replays := row.N == f.N && row.HelloBy == r.in.RequestID
	v, err := r.view(ctx, id, f.Cursor, replays)
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
	reached, err := r.deliver(ctx, frames...)
	if err != nil || !reached || !replays {
		return err
	}
	return r.replay(ctx, f, v)
}

// helloThread is the thread that a hello is about: without a name the one that the connection has.
func (r *request) helloThread(ctx context.Context, f *wire.Hello) (chat.ThreadID, error) {
	if f.ThreadID != "" {
		return f.ThreadID, nil
	}
	row, err := r.ownConnection(ctx)
	if errors.As(err, &noConnection{}) {
		return chat.ThreadID(chat.NewID(r.now())), nil // watch writes the row again, or is told why not
	}
	return row.Thread, err
}

// view reads the thread, the end of its log, the log behind a cursor or else the transcripts up to the thread's head and
// the log behind that: of the log no more than the first page. Without a replay it reads only where the thread stands.
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

// follow reads the log behind a cursor. The cursor is usable if the log goes on right there, and not too far.
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
			Runs: r.limits.Runs, Queued: r.limits.Queued, Connections: r.limits.Connections,
		},
		ReconnectInMs: r.reconnectIn().Milliseconds(),
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
		ready.Queued = append(ready.Queued, s)
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

// reconnectIn is how long the client waits before it opens its next socket. It is above zero: zero says nothing.
func (r *request) reconnectIn() time.Duration {
	by := r.in.ConnectedAt.Add(connectionLife - r.jitter())
	if token := r.in.TokenExpires.Add(-tokenMargin); token.Before(by) {
		by = token
	}
	return max(by.Sub(r.now()), time.Millisecond)
}
