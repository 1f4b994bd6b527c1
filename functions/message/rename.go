package main

import (
	"context"
	"errors"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// rename gives a thread the user's own title and tells all of the user's windows.
func (r *request) rename(ctx context.Context, f *wire.Rename) error {
	t, err := r.store.Rename(ctx, f.ThreadID, f.Title)
	if err != nil {
		return err
	}
	err = r.answer(ctx, &wire.Done{RequestID: r.id, ThreadID: t.ID})
	r.tellRow(ctx, t.ID)
	return err
}

// delete takes a thread away: it is marked, its runs are cancelled, and all of the user's windows are told. Its content
// is erased by turn, whom sweep asks. A repeat is answered like the first.
func (r *request) delete(ctx context.Context, f *wire.Delete) error {
	t, err := r.store.Delete(ctx, f.ThreadID)
	if err != nil {
		return err
	}
	cancelled, err := r.store.CancelRuns(ctx, t.ID)
	if err != nil { // turn does it again before it erases
		r.log.ErrorContext(ctx, "cancelling a deleted thread's runs", "err", err)
	}
	if len(cancelled) > 0 {
		r.startQueued(ctx)
	}
	var frames []wire.ServerFrame
	for _, c := range cancelled {
		if c.Ended {
			frames = append(frames, &wire.Ended{RunID: c.Run.ID, ThreadID: t.ID, Status: c.Run.Status})
		}
	}
	err = r.answer(ctx, &wire.Done{RequestID: r.id, ThreadID: t.ID})
	row := wire.ThreadInfo{
		ThreadID: t.ID, Status: chat.ThreadIdle, Head: t.Head, Deleted: true,
		Created: t.Created.UnixMilli(), Updated: t.Updated.UnixMilli(),
	}
	r.tell(ctx, append(frames, &wire.Thread{ThreadInfo: row})...)
	return err
}

// tellRow tells all of the user's windows how a thread stands now. What fails there heals with its next change.
func (r *request) tellRow(ctx context.Context, id chat.ThreadID) {
	t, err := r.store.Thread(ctx, id)
	if errors.Is(err, chat.ErrNotFound) {
		return // deleted since, and told
	}
	if err != nil {
		r.log.ErrorContext(ctx, "reading a thread to tell of it", "err", err)
		return
	}
	d, err := r.store.RunQueue(ctx) // after the thread: what it says is as new, or newer
	if err != nil {
		r.log.ErrorContext(ctx, "reading the desk to tell of a thread", "err", err)
		return
	}
	r.tell(ctx, &wire.Thread{ThreadInfo: threadInfo(t, d)})
}
