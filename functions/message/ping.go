package main

import (
	"context"
	"errors"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// ping tells where the thread and the desk stand; the client sees for itself whether it has missed something.
func (r *request) ping(ctx context.Context, f *wire.Ping) error {
	pong := &wire.Pong{RequestID: r.id, ThreadID: f.ThreadID}
	if f.ThreadID != "" {
		t, err := r.store.Thread(ctx, f.ThreadID)
		if err != nil && !errors.Is(err, chat.ErrNotFound) {
			return err
		}
		if err == nil {
			last, err := r.store.Last(ctx, t.ID, t.Epoch)
			if err != nil {
				return err
			}
			pong.Epoch, pong.Head, pong.Interrupted = t.Epoch, max(t.Head, last), len(t.Interrupts) > 0
		}
	}
	d, err := r.desk(ctx)
	if err != nil {
		return err
	}
	pong.Runs = states(d)
	return r.answer(ctx, pong)
}
