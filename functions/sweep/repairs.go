package main

import (
	"context"
	"errors"
	"maps"
	"slices"

	"carrel/shared/chat"
	"carrel/shared/monitor"
)

// repaired records one repair, such as the id of a run, under its metric.
func (w *userSweep) repaired(metric, what string) {
	w.repairs[metric] = append(w.repairs[metric], what)
}

// report writes one metric and one line in the log for each kind of repair.
func (w *userSweep) report(ctx context.Context) {
	for _, metric := range slices.Sorted(maps.Keys(w.repairs)) {
		w.monitor.Count(metric, len(w.repairs[metric]))
		w.log.WarnContext(ctx, "repaired", "kind", metric, "user", w.user, "what", w.repairs[metric])
	}
}

// checkSlots reports slots whose run has ended or does not exist. The end of a run frees its slot in the same
// transaction, so there should be none. The next admission removes them from the run queue.
func (w *userSweep) checkSlots(ctx context.Context) error {
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
	// The slot of a run that has ended since the first read is free now. The slots of a user who is being erased stay:
	// see Store.StopAll.
	now, err := w.store.RunQueue(ctx)
	if err != nil || now.Erasing {
		return err
	}
	for _, run := range dead {
		if _, holdsSlot := now.Slots[run]; holdsSlot {
			w.repaired(monitor.SweepSlots, string(run))
		}
	}
	return nil
}
