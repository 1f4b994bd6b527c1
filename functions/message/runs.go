package main

import (
	"context"
	"maps"
	"slices"
	"time"

	"carrel/shared/chat"
	"carrel/shared/runqueue"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// runsPage is the default length of a page of runs.
const runsPage = 20

// runs answers with a page of the user's runs.
func (r *request) runs(ctx context.Context, f *wire.Runs) error {
	limit := f.Limit
	if limit == 0 {
		limit = runsPage
	}
	var page []store.Run
	var next chat.ListCursor
	err := together(func() error {
		_, err := r.ownConnection(ctx)
		return err
	}, func() (err error) {
		page, next, err = r.store.Runs(ctx, f.Before, limit)
		return err
	})
	if err != nil {
		return err
	}
	list := &wire.RunList{RequestID: r.id, More: next != "", Before: next}
	for _, run := range page {
		list.Runs = append(list.Runs, runInfo(run))
	}
	return r.answer(ctx, list)
}

// runInfo returns a row of the user's list of runs. A run that was never claimed has no statistics.
func runInfo(run store.Run) wire.RunInfo {
	info := wire.RunInfo{
		RunID: run.ID, ThreadID: run.Thread, Status: run.Status, Agent: run.Agent,
		Created: millis(run.Created), Started: millis(run.Started), Ended: millis(run.Ended),
		Attempts: run.Attempts, Usage: run.Usage,
	}
	if info.Status == chat.RunAdmitted {
		info.Status = chat.RunRunning
	}
	if run.Stats != (chat.RunStats{}) {
		info.Stats = &run.Stats
	}
	return info
}

// millis returns a time in milliseconds since 1970, and 0 for the zero time, which is then left out of the frame.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// runQueue reads the run queue of the user, and fails with chat.ErrErasing if the user is being erased.
func (r *request) runQueue(ctx context.Context) (runqueue.Queue, error) {
	d, err := r.store.RunQueue(ctx)
	return openQueue(d, err)
}

// openQueue returns the run queue that was read, unless the user is being erased: then it fails with chat.ErrErasing.
func openQueue(d runqueue.Queue, err error) (runqueue.Queue, error) {
	if err == nil && d.Erasing {
		err = chat.ErrErasing
	}
	return d, err
}

// runStates returns the runs of a queue: first those with a slot, by id, then the queued ones, in order.
func runStates(d runqueue.Queue) []wire.RunState {
	var all []wire.RunState
	for _, run := range slices.Sorted(maps.Keys(d.Slots)) {
		all = append(all, wire.RunState{RunID: run, ThreadID: d.Slots[run], Status: chat.RunRunning})
	}
	for _, w := range d.Queued {
		all = append(all, wire.RunState{RunID: w.Run, ThreadID: w.Thread, Status: chat.RunQueued})
	}
	return all
}
