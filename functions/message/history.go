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

// history answers with a page of a thread's transcript. For a thread that the user does not have, the page is empty.
func (r *request) history(ctx context.Context, f *wire.History) error {
	limit := f.Limit
	if limit == 0 {
		limit = pageSize
	}
	t, err := r.rows.Thread()
	if errors.Is(err, chat.ErrNotFound) {
		return r.answer(ctx, &wire.HistoryPage{RequestID: r.id, ThreadID: f.ThreadID})
	}
	if err != nil {
		return err
	}
	p, err := r.transcript(ctx, t, f.Before, limit)
	if err != nil {
		return err
	}
	return r.answer(ctx, &wire.HistoryPage{
		RequestID: r.id, ThreadID: t.ID, Epoch: t.Epoch, Messages: p.messages, Runs: p.runs, More: p.before > 0,
		Before: p.before,
	})
}

// transcriptPage is a page of a thread's transcript, oldest first.
type transcriptPage struct {
	messages []agui.Message
	runs     []wire.RunHeader // of messages
	before   chat.Seq         // where the next older page begins; 0: there is none
}

// transcript reads about limit messages of the runs that began before a sequence number, or of the newest runs if it is
// 0.
func (r *request) transcript(ctx context.Context, t store.Thread, before chat.Seq, limit int) (transcriptPage, error) {
	ts, more, err := r.store.Transcripts(ctx, t, before, limit)
	if err != nil {
		return transcriptPage{}, err
	}
	var p transcriptPage
	for _, run := range slices.Backward(ts) {
		p.messages = append(p.messages, run.Messages...)
		p.runs = append(p.runs, wire.RunHeader{RunID: run.Run, Seq: run.First, Messages: len(run.Messages),
			Header: run.Header})
	}
	if more && len(ts) > 0 {
		p.before = ts[len(ts)-1].First
	}
	return p, nil
}
