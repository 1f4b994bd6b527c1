package main

import (
	"context"

	"carrel/shared/chat"
	"carrel/shared/runqueue"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// pageSize is the default length of a list.
const pageSize = 50

func (r *request) threads(ctx context.Context, f *wire.Threads) error {
	limit := f.Limit
	if limit == 0 {
		limit = pageSize
	}
	var page []store.Thread
	var next chat.ListCursor
	var d runqueue.Queue
	err := together(func() error {
		_, err := r.ownConnection(ctx)
		return err
	}, func() (err error) {
		if page, next, err = r.store.Threads(ctx, f.Before, limit); err != nil {
			return err
		}
		d, err = r.runQueue(ctx) // read after the rows, so it is at least as new
		return err
	})
	if err != nil {
		return err
	}
	list := &wire.ThreadList{RequestID: r.id, More: next != "", Before: next}
	for _, t := range page {
		list.Threads = append(list.Threads, threadInfo(t, d))
	}
	return r.answer(ctx, list)
}

// threadInfo returns the row of a thread in the user's lists. The run queue must be read after the thread.
func threadInfo(t store.Thread, d runqueue.Queue) wire.ThreadInfo {
	return wire.ThreadInfo{
		ThreadID: t.ID, Title: t.Title, Status: d.Status(t.ID), Head: t.Head,
		Created: t.Created.UnixMilli(), Updated: t.Updated.UnixMilli(), Interrupted: len(t.Interrupts) > 0,
		Used: t.Used.UnixMilli(), Pinned: t.Pinned, Archived: t.Archived,
	}
}
