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

// ping tells where the thread and the desk stand; the client sees for itself whether it has missed something.
func (r *request) ping(ctx context.Context, f *wire.Ping) error {
	row, err := r.ownConnection(ctx)
	if err != nil {
		return err
	}
	pong := &wire.Pong{RequestID: r.id, ThreadID: f.ThreadID}
	var t store.Thread
	var last store.Record
	if f.ThreadID != "" {
		t, err = r.store.Thread(ctx, f.ThreadID)
		if err != nil && !errors.Is(err, chat.ErrNotFound) {
			return err
		}
		if err == nil {
			last, err = r.store.Last(ctx, t.ID, t.Epoch)
			if err != nil && !errors.Is(err, store.ErrUnreadable) {
				return err
			}
			pong.Epoch, pong.Head, pong.Interrupted = t.Epoch, max(t.Head, last.Last), len(t.Interrupts) > 0
		}
	}
	d, err := r.desk(ctx)
	if err != nil {
		return err
	}
	pong.Runs = states(d)
	if err := r.answer(ctx, pong); err != nil {
		return err
	}
	if f.Cursor != nil && row.ID != "" && f.Cursor.Epoch == t.Epoch {
		r.acknowledge(ctx, row, *f.Cursor, last)
	}
	return nil
}

// acknowledge keeps what the client has applied, if that is news, and measures how far behind it is.
func (r *request) acknowledge(ctx context.Context, row chat.Connection, has chat.Cursor, last store.Record) {
	if behind := last.Last - has.Seq; behind > 0 {
		values := []monitor.Value{monitor.N(monitor.ClientBehind, int(behind))}
		// Of what is in the last record the time is known; reading older ones is not worth a request.
		if at := max(has.Seq+1-last.Seq, 0); int(at) < len(last.Events) && last.Events[at].Timestamp > 0 {
			values = append(values, monitor.Took(monitor.TimeBehind, r.now().Sub(time.UnixMilli(last.Events[at].Timestamp))))
		}
		r.monitor.Record(values...)
	}
	if has.Epoch == row.Acked.Epoch && has.Seq <= row.Acked.Seq {
		return
	}
	if err := r.store.Acknowledge(ctx, row.ID, has); err != nil {
		r.log.WarnContext(ctx, "keeping what a client has", "err", err) // its next ping says it again
	}
}
