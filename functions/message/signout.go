package main

import (
	"context"
	"errors"
	"maps"
	"slices"

	"carrel/shared/chat"
	"carrel/shared/lasthop"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// signOut ends all sessions of the user. Each connection receives the reason and is closed; for the sender that is the
// answer. With CancelRuns, all runs are cancelled before the connections are notified.
func (r *request) signOut(ctx context.Context, f *wire.SignOut) error {
	ended, err := r.rows.EndSessions(ctx, store.Ending{SignedIn: r.in.SignIn.At})
	if err != nil {
		return err
	}
	if f.CancelRuns {
		if err := r.cancelAll(ctx); err != nil {
			r.log.ErrorContext(ctx, "cancel the runs of a user who signed out", "err", err)
		}
	}
	last := map[chat.ConnectionID]*wire.Error{}
	for _, id := range ended {
		last[id] = wire.LastFrame(wire.CodeSignedOut)
		if id == r.in.Connection {
			last[id].RequestID = r.id
		}
	}
	if err := lasthop.End(ctx, r.poster, last); err != nil {
		r.log.WarnContext(ctx, "end the connections of a user who signed out", "err", err)
	}
	return nil
}

// cancelAll cancels every run of the user. Queued runs come first, so that none of them takes a slot that becomes free.
// A frame that read its row before the sign-out may still admit a run, so cancelAll reads the queue again until it
// holds no run that was not cancelled.
func (r *request) cancelAll(ctx context.Context) error {
	asked := map[chat.RunID]bool{}
	for {
		d, err := r.store.RunQueue(ctx)
		if err != nil {
			return err
		}
		runs := slices.Sorted(maps.Keys(d.Slots))
		for i, w := range d.Queued {
			runs = slices.Insert(runs, i, w.Run)
		}
		runs = slices.DeleteFunc(runs, func(run chat.RunID) bool { return asked[run] })
		if len(runs) == 0 {
			return nil
		}
		for _, run := range runs {
			asked[run] = true
			if _, err := r.store.Cancel(ctx, run); err != nil && !errors.Is(err, chat.ErrNotFound) {
				return err
			}
		}
	}
}
