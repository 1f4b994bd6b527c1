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
	rows, t, last, err := r.position(ctx, f)
	if err != nil {
		return err
	}
	d, err := openQueue(rows.RunQueue())
	if err != nil {
		return err
	}
	pong := &wire.Pong{
		RequestID: r.id, ThreadID: f.ThreadID, Runs: runStates(d), Epoch: t.Epoch, Head: max(t.Head, last.Last),
		Interrupted: len(t.Interrupts) > 0,
	}
	if err := r.answer(ctx, pong); err != nil {
		return err
	}
	if row := r.record.Connection(); f.Cursor != nil && row.ID != "" && f.Cursor.Epoch == t.Epoch {
		r.acknowledge(ctx, row, *f.Cursor, last)
	}
	return nil
}

// position reads the run queue, the thread of a ping and the last record of its log. Without such a thread, thread and
// record are zero. It expects the epoch of the cursor, and reads the log again if the thread has another one.
func (r *request) position(
	ctx context.Context, f *wire.Ping,
) (rows *store.Rows, t store.Thread, last store.Record, err error) {
	guess := chat.Cursor{}
	if f.Cursor != nil && f.ThreadID != "" {
		guess = *f.Cursor
	}
	err = together(func() (err error) {
		rows, err = r.ownRows(ctx, store.Select{Thread: f.ThreadID, Queue: true})
		return err
	}, func() (err error) {
		if guess.Epoch != "" {
			last, err = r.last(ctx, f.ThreadID, guess.Epoch)
		}
		return err
	})
	if err != nil || f.ThreadID == "" {
		return rows, t, store.Record{}, err
	}
	t, err = rows.Thread()
	switch {
	case errors.Is(err, chat.ErrNotFound):
		return rows, store.Thread{}, store.Record{}, nil
	case err != nil || t.Epoch == guess.Epoch:
		return rows, t, last, err
	}
	last, err = r.last(ctx, t.ID, t.Epoch)
	return rows, t, last, err
}

// last reads the last record of a log. The record has no events if they cannot be decoded.
func (r *request) last(ctx context.Context, thread chat.ThreadID, epoch chat.Epoch) (store.Record, error) {
	last, err := r.store.Last(ctx, thread, epoch)
	if errors.Is(err, store.ErrUnreadable) {
		err = nil
	}
	return last, err
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
