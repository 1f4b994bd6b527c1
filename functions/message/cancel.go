package main

import (
	"context"
	"errors"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// cancel requests a run to stop. A run that has not begun ends immediately and may free a slot. An unknown run is
// answered like one that has ended, and nothing is stored.
func (r *request) cancel(ctx context.Context, f *wire.Cancel) error {
	c, err := r.rows.Cancel(ctx)
	if errors.Is(err, chat.ErrNotFound) {
		return r.answer(ctx, &wire.Accepted{RequestID: r.id, RunID: f.RunID, State: stateEnded})
	}
	if err != nil {
		return err
	}
	err = r.answerAndStart(ctx, c.Ended, &wire.Accepted{
		RequestID: r.id, RunID: f.RunID, ThreadID: c.Run.Thread, State: state(c.Run.Status),
	})
	if c.Ended {
		r.broadcast(ctx, &wire.Ended{RunID: f.RunID, ThreadID: c.Run.Thread, Status: c.Run.Status})
		r.broadcastThread(ctx, c.Run.Thread)
	}
	return err
}

// answerAndStart answers, and beside that starts queued runs if a slot may have become free.
func (r *request) answerAndStart(ctx context.Context, freed bool, f wire.ServerFrame) error {
	return together(func() error { return r.answer(ctx, f) }, func() error {
		if freed {
			r.startQueued(ctx)
		}
		return nil
	})
}

// startQueued starts the queued runs that may start now. If that fails, sweep starts them within a minute.
func (r *request) startQueued(ctx context.Context) {
	runs, err := r.store.StartQueued(ctx)
	if err != nil {
		r.log.ErrorContext(ctx, "start queued runs", "err", err)
	}
	for _, run := range runs {
		r.startRun(ctx, run.ID)
	}
}
