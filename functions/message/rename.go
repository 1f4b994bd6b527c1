package main

import (
	"context"
	"errors"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// rename sets the title of a thread and broadcasts the change.
func (r *request) rename(ctx context.Context, f *wire.Rename) error {
	t, err := r.rows.Rename(ctx, f.Title)
	if err != nil {
		return err
	}
	err = r.answer(ctx, &wire.Done{RequestID: r.id, ThreadID: t.ID})
	r.broadcastThread(ctx, t.ID)
	return err
}

// delete marks a thread as deleted, cancels its runs and broadcasts the change. turn erases the content later, invoked
// by sweep. A repeated request gets the same answer.
func (r *request) delete(ctx context.Context, _ *wire.Delete) error {
	t, err := r.rows.Delete(ctx)
	if err != nil {
		return err
	}
	cancelled, err := r.store.CancelRuns(ctx, t.ID)
	if err != nil { // turn cancels them again before it erases the thread
		r.log.ErrorContext(ctx, "cancel the runs of a deleted thread", "err", err)
	}
	var frames []wire.ServerFrame
	for _, c := range cancelled {
		if c.Ended {
			frames = append(frames, &wire.Ended{RunID: c.Run.ID, ThreadID: t.ID, Status: c.Run.Status})
		}
	}
	err = r.answerAndStart(ctx, len(cancelled) > 0, &wire.Done{RequestID: r.id, ThreadID: t.ID})
	row := wire.ThreadInfo{
		ThreadID: t.ID, Status: chat.ThreadIdle, Head: t.Head, Deleted: true,
		Created: t.Created.UnixMilli(), Updated: t.Updated.UnixMilli(),
	}
	r.broadcast(ctx, append(frames, &wire.Thread{ThreadInfo: row})...)
	return err
}

// broadcastThread broadcasts the row of a thread as it is now. A failure is repaired by the next change of the thread.
func (r *request) broadcastThread(ctx context.Context, id chat.ThreadID) {
	t, err := r.store.Thread(ctx, id)
	if errors.Is(err, chat.ErrNotFound) {
		return // deleted in the meantime, which was broadcast
	}
	if err != nil {
		r.log.ErrorContext(ctx, "read a thread to broadcast", "err", err)
		return
	}
	d, err := r.store.RunQueue(ctx) // read after the thread, so it is at least as new
	if err != nil {
		r.log.ErrorContext(ctx, "read the run queue to broadcast a thread", "err", err)
		return
	}
	r.broadcast(ctx, &wire.Thread{ThreadInfo: threadInfo(t, d)})
}
