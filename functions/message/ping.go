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

// ping answers with the position of the thread and the runs of the user. The client compares them with its own state.
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
	d, err := r.runQueue(ctx)
	if err != nil {
		return err
	}
	pong.Runs = runStates(d)
	if err := r.answer(ctx, pong); err != nil {
		return err
	}
	if f.Cursor != nil && row.ID != "" && f.Cursor.Epoch == t.Epoch {
		r.acknowledge(ctx, row, *f.Cursor, last)
	}
	return nil
}

// acknowledge stores the cursor of the client if it has advanced, and measures how far the client lags.
func (r *request) acknowledge(ctx context.Context, row chat.Connection, has chat.Cursor, last store.Record) {
	if behind := last.Last - has.Seq; behind > 0 {
		values := []monitor.Value{monitor.N(monitor.ClientBehind, int(behind))}
		// The last record holds the times of its events. Older records are not worth a request.
		if at := max(has.Seq+1-last.Seq, 0); int(at) < len(last.Events) && last.Events[at].Timestamp > 0 {
			values = append(values, monitor.Took(monitor.TimeBehind,
				r.now().Sub(time.UnixMilli(last.Events[at].Timestamp))))
		}
		r.monitor.Record(values...)
	}
	if has.Epoch == row.Acked.Epoch && has.Seq <= row.Acked.Seq {
		return
	}
	if err := r.store.Acknowledge(ctx, row.ID, has); err != nil {
		r.log.WarnContext(ctx, "acknowledge a cursor", "err", err) // the next ping sends it again
	}
}
