package main

import (
	"context"
	"maps"
	"slices"

	"carrel/shared/chat"
	"carrel/shared/desk"
	"carrel/shared/wire"
)

func (r *request) runs(ctx context.Context) error {
	d, err := r.store.Desk(ctx)
	if err != nil {
		return err
	}
	return r.answer(ctx, &wire.RunList{RequestID: r.id, Runs: states(d)})
}

// states are a desk's runs: those with a seat first, by id, then those that wait, in order.
func states(d desk.Desk) []wire.RunState {
	var all []wire.RunState
	for _, run := range slices.Sorted(maps.Keys(d.Seats)) {
		all = append(all, wire.RunState{RunID: run, ThreadID: d.Seats[run], Status: chat.RunRunning})
	}
	for _, w := range d.Waiting {
		all = append(all, wire.RunState{RunID: w.Run, ThreadID: w.Thread, Status: chat.RunWaiting})
	}
	return all
}
