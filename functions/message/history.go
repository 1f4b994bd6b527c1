package main

import (
	"context"
	"errors"
	"slices"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// history answers a page of a thread's transcript; of a thread that the user does not have, an empty one.
func (r *request) history(ctx context.Context, f *wire.History) error {
	limit := f.Limit
	if limit == 0 {
		limit = pageSize
	}
	t, err := r.store.Thread(ctx, f.ThreadID)
	if errors.Is(err, chat.ErrNotFound) {
		return r.answer(ctx, &wire.HistoryPage{RequestID: r.id, ThreadID: f.ThreadID})
	}
	if err != nil {
		return err
	}
	messages, before, err := r.transcript(ctx, t, f.Before, limit)
	if err != nil {
		return err
	}
	return r.answer(ctx, &wire.HistoryPage{
		RequestID: r.id, ThreadID: t.ID, Epoch: t.Epoch, Messages: messages, More: before > 0, Before: before,
	})
}

// transcript reads about limit messages of the runs that began below before (0: the newest), oldest first. The
// position returned is where to go on; 0 means that there is nothing older.
func (r *request) transcript(ctx context.Context, t store.Thread, before chat.Seq, limit int) ([]agui.Message, chat.Seq, error) {
	ts, more, err := r.store.Transcripts(ctx, t, before, limit)
	if err != nil {
		return nil, 0, err
	}
	var messages []agui.Message
	for _, run := range slices.Backward(ts) {
		messages = append(messages, run.Messages...)
	}
	if !more || len(ts) == 0 {
		return messages, 0, nil
	}
	return messages, ts[len(ts)-1].First, nil
}
