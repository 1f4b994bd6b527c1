package main

import (
	"context"
	"errors"
	"maps"
	"slices"

	"carrel/shared/chat"
	"carrel/shared/monitor"
)

// repaired notes one thing that somebody else should have done.
func (w *watch) repaired(metric, what string) { w.found[metric] = append(w.found[metric], what) }

// report tells of what was repaired for the user: one metric and one line of the log for each kind.
func (w *watch) report(ctx context.Context) {
	for _, metric := range slices.Sorted(maps.Keys(w.found)) {
		w.monitor.Count(metric, len(w.found[metric]))
		w.log.WarnContext(ctx, "repaired", "kind", metric, "user", w.user, "what", w.found[metric])
	}
}

// checkSlots finds seats whose run has ended or is gone. A run's end frees its seat in the same transaction, so there
// should be none. Who admits next takes them off the desk; here they are told of.
func (w *watch) checkSlots(ctx context.Context) error {
	before, err := w.store.RunQueue(ctx)
	if err != nil {
		return err
	}
	var dead []chat.RunID
	for run := range before.Slots {
		if w.live[run] {
			continue
		}
		r, err := w.store.Run(ctx, run)
		if err != nil && !errors.Is(err, chat.ErrNotFound) {
			return err
		}
		if err != nil || r.Status.Terminal() {
			dead = append(dead, run)
		}
	}
	if len(dead) == 0 {
		return nil
	}
	now, err := w.store.RunQueue(ctx) // a run that ended since the first look has taken its seat with it
	if err != nil || now.Erasing {    // of who is to be forgotten the seats stay: see Store.StopAll
		return err
	}
	for _, run := range dead {
		if _, sits := now.Slots[run]; sits {
			w.repaired(monitor.SweepSlots, string(run))
		}
	}
	return nil
}
