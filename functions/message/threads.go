package main

import (
	"context"

	"carrel/shared/store"
	"carrel/shared/wire"
)

// pageSize is the default of lists.
const pageSize = 50

func (r *request) threads(ctx context.Context, f *wire.Threads) error {
	limit := f.Limit
	if limit == 0 {
		limit = pageSize
	}
	page, more, err := r.store.Threads(ctx, f.Before, limit)
	if err != nil {
		return err
	}
	list := &wire.ThreadList{RequestID: r.id, More: more}
	for _, t := range page {
		list.Threads = append(list.Threads, threadInfo(t))
	}
	return r.answer(ctx, list)
}

func threadInfo(t store.Thread) wire.ThreadInfo {
	return wire.ThreadInfo{
		ThreadID: t.ID, Title: t.Title, Head: t.Head,
		Created: t.Created.UnixMilli(), Updated: t.Updated.UnixMilli(),
	}
}
