package main

import (
	"context"
	"errors"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// cancel asks a running run to stop; one that never began has ended here and now, and may have freed a seat. An unknown run
// is answered like one that has ended, and nothing is stored of it.
func (r *request) cancel(ctx context.Context, f *wire.Cancel) error {
	c, err := r.store.Cancel(ctx, f.RunID)
	if errors.Is(err, chat.ErrNotFound) {
		return r.answer(ctx, &wire.Accepted{RequestID: r.id, RunID: f.RunID, State: stateEnded})
	}
	if err != nil {
		return err
	}
	if c.Ended {
		r.startQueued(ctx)
	}
	err = r.answer(ctx, &wire.Accepted{
		RequestID: r.id, RunID: f.RunID, ThreadID: c.Run.Thread, State: state(c.Run.Status),
	})
	if c.Ended {
		r.tell(ctx, &wire.Ended{RunID: f.RunID, ThreadID: c.Run.Thread, Status: c.Run.Status})
		r.tellRow(ctx, c.Run.Thread)
	}
	return err
}

// startQueued starts what may start now. What fails here, sweep does within a minute.
func (r *request) startQueued(ctx context.Context) {
	runs, err := r.store.StartQueued(ctx)
	if err != nil {
		r.log.ErrorContext(ctx, "starting what waits", "err", err)
	}
	for _, run := range runs {
		r.invoke(ctx, run.ID)
	}
}
