package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// API Gateway closes a connection after two hours. A connection is useless once its token has expired.
const (
	connectionLife = 2 * time.Hour
	tokenMargin    = time.Minute
)

// hello points the connection at a thread and then reads the thread. In this order no event can be missed in between.
// A hello without a cursor needs the thread's epoch and head before it can read the log, so it reads the thread beside
// the write: the view checks later that both still hold.
func (r *request) hello(ctx context.Context, f *wire.Hello) error {
	id, err := r.helloThread(ctx, f)
	if err != nil {
		return err
	}
	var row chat.Connection
	var before store.Thread
	err = together(func() (err error) {
		row, err = r.watch(ctx, id, f.N, f.Cursor)
		return err
	}, func() (err error) {
		if f.Cursor == nil {
			before, err = orNone(r.store.Thread(ctx, id))
		}
		return err
	})
	if err != nil {
		return err
	}
	if row.Thread != id {
		return nil // a later hello or run was handled first, and has been answered
	}
	r.watching = id
	// A client never sends an n twice. The SDK may: it repeats a write whose answer was lost.
	replays := row.N == f.N && row.HelloBy == r.in.RequestID
	v, err := r.view(ctx, id, f.Cursor, before, replays)
	if err != nil {
		return err
	}
	return r.greet(ctx, f, v, replays)
}

// greet answers a hello with ready, the snapshot if there is one, and the replay.
func (r *request) greet(ctx context.Context, f *wire.Hello, v view, replays bool) error {
	ready, err := r.ready(ctx, f, v)
	if err != nil {
		return err
	}
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

// ready reports the position of the thread and the runs of the user.
func (r *request) ready(ctx context.Context, f *wire.Hello, v view) (*wire.Ready, error) {
	ready := &wire.Ready{
		RequestID: r.id, N: f.N, ConnectionID: r.in.Connection, ThreadID: v.id,
		Epoch: v.thread.Epoch, Head: v.head, Recovered: v.usable, Interrupts: v.openInterrupts(),
		Limits: wire.Limits{
			FrameBytes: wire.MaxFrame, TextBytes: wire.MaxText, Messages: wire.MaxMessages,
			Runs: r.limits.Runs, Queued: r.limits.Queued, Connections: r.limits.Connections,
		},
		ReconnectInMs: r.reconnectIn().Milliseconds(), Agents: r.choice(),
	}
	var queued []chat.RunID
	for _, s := range runStates(v.queue) {
		switch {
		case s.ThreadID != v.thread.ID:
		case s.Status == chat.RunRunning:
			ready.Active = &s
		default:
			ready.Queued, queued = append(ready.Queued, s), append(queued, s.RunID)
		}
	}
	if len(queued) == 0 {
		return ready, nil
	}
	inputs, err := r.store.Inputs(ctx, queued) // their messages are in no log yet
	if err != nil {
		return nil, fmt.Errorf("read the inputs of queued runs: %w", err)
	}
	for i, id := range queued { // a run without an input has ended since the run queue was read
		ready.Queued[i].Messages = inputs[id].Messages
	}
	return ready, nil
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

// choice returns the agents that the user may choose between. It returns none if the user may use only one.
func (r *request) choice() []wire.Agent {
	var all []wire.Agent
	for _, d := range r.agents.For(r.in.Grants) {
		all = append(all, wire.Agent{Name: d.Name, Description: d.Description})
	}
	if len(all) < 2 {
		return nil
	}
	return all
}
