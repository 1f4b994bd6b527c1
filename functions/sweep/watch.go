package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/emit"
	"carrel/shared/gateway"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// comeTime is how long after a run's deadline turn is asked to come, each minute, before the run is given up.
const comeTime = 3 * time.Minute

// watch is one user's share of a sweep.
type watch struct {
	*handler
	user    chat.User
	store   *store.Store
	live    map[chat.RunID]bool
	waiting []store.Run
	freed   bool                // a seat has become free here
	rows    []chat.ThreadID     // that have changed, to be told at the end
	found   map[string][]string // what had to be repaired, by metric
}

// look judges one run by its record, read now: the index may lag behind. Each claim has its conditions again, so that
// nothing is done to a run that somebody takes meanwhile.
func (w *watch) look(ctx context.Context, id chat.RunID, failed bool) error {
	run, err := w.store.Run(ctx, id)
	if errors.Is(err, chat.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	now := w.now()
	switch {
	case run.Status == chat.RunWaiting:
		w.waiting = append(w.waiting, run)
	case run.Status == chat.RunAdmitted && failed:
		return w.end(ctx, run.ID, w.store.Claim)
	case run.Status == chat.RunAdmitted && now.After(run.Deadline):
		return w.resume(ctx, run.ID, now.Before(run.Deadline.Add(comeTime)))
	case run.Status == chat.RunRunning && now.After(run.Lease):
		return w.resume(ctx, run.ID, run.Attempts < w.limits.Attempts && now.Before(run.Deadline))
	}
	return nil
}

// resume has turn go on with a run whose worker has died or never came, if more attempts are left. A turn too many does
// nothing. Where none is left, or turn cannot be asked, the run ends here.
func (w *watch) resume(ctx context.Context, id chat.RunID, more bool) error {
	if !more {
		return w.end(ctx, id, w.store.ClaimExpired)
	}
	if err := w.invoker.Turn(ctx, w.user, id); err != nil {
		w.log.WarnContext(ctx, "another attempt", "user", w.user, "run", string(id), "reason", err.Error())
		return w.end(ctx, id, w.store.ClaimExpired)
	}
	w.repaired(monitor.SweepResumed, string(id))
	return nil
}

// erase has a pass made over a deleted thread, or over a user who is to be forgotten, that is due. One that is under way
// already is harmless.
func (w *watch) erase(ctx context.Context, e store.LiveEntry) error {
	if w.now().Before(e.Deadline) {
		return nil
	}
	if w.now().Sub(e.Deadline) > eraseTime {
		w.repaired(monitor.SweepErased, string(e.Erasure.Thread))
	}
	if e.Forget {
		return w.invoker.Forget(ctx, w.user)
	}
	return w.invoker.Erase(ctx, w.user, e.Erasure.Thread, e.Erasure.Epoch)
}

// eraseTime is how long after its deadline an erasure counts as one that was asked for and is not through.
const eraseTime = 2 * time.Minute

// claim is Store.Claim or Store.ClaimExpired.
type claim func(context.Context, chat.RunID) (*store.Holder, error)

// end claims a run whose worker has died or never came, ends it and tells the user's windows. Whoever was faster has
// taken care of it.
func (w *watch) end(ctx context.Context, id chat.RunID, claim claim) error {
	held, err := claim(ctx, id)
	if errors.Is(err, chat.ErrForeign) {
		w.monitor.Violation(ctx, monitor.Tenant, w.user, monitor.Run(id), monitor.Request(gateway.RequestID(ctx)))
		return err
	}
	if errors.Is(err, chat.ErrNotClaimed) || errors.Is(err, chat.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	run := held.Run()
	if err := held.Unreadable(); err != nil {
		w.log.ErrorContext(ctx, "the run can only be ended", "user", w.user, "run", string(id), "reason", err.Error())
	}
	started := emit.Started(held.Input().RunInput(), w.now())
	last := lastOf(held, started)
	seq, thread, err := held.End(ctx, last)
	for try := 1; errors.Is(err, store.ErrEarlier) && try < 3; try++ {
		last = lastOf(held, started)
		seq, thread, err = held.End(ctx, last)
	}
	deleted := errors.Is(err, store.ErrDeleted)
	if errors.Is(err, chat.ErrFenced) {
		return nil
	}
	if err != nil && !deleted {
		return fmt.Errorf("end a run: %w", err)
	}
	w.freed = true
	w.monitor.Count(monitor.RunsDied, 1)
	w.repaired(monitor.SweepEnded, string(run.ID))
	if deleted {
		return nil
	}
	w.rows = append(w.rows, thread.ID)
	return w.tell(ctx, &wire.Events{
		ThreadID: run.Thread, Epoch: thread.Epoch, Seq: seq, RunID: run.ID, Events: last,
	})
}

// lastOf is the last record of a run that ends here, whose figures are those that its log shows.
func lastOf(held *store.Holder, started agui.Event) []agui.Event {
	earlier := held.Earlier()
	held.SetFigures(agui.Figures(earlier))
	if held.Unreadable() != nil {
		return emit.Unreadable(held.Begun(), earlier, started)
	}
	return emit.Died(earlier, held.Input().Asked(), started)
}

// expire ends a run that has waited for too long and could not be started now: what it waited for may have expired at
// the same moment.
func (w *watch) expire(ctx context.Context, run store.Run) error {
	if !w.now().After(run.Deadline) {
		return nil
	}
	ended, err := w.store.ExpireWaiting(ctx, run.ID)
	if errors.Is(err, chat.ErrNotClaimed) || errors.Is(err, chat.ErrNotFound) {
		return nil // it has started or ended since
	}
	if err != nil {
		return err
	}
	w.rows = append(w.rows, run.Thread)
	w.repaired(monitor.SweepExpired, string(run.ID))
	return w.tell(ctx, &wire.Ended{RunID: run.ID, ThreadID: run.Thread, Status: ended.Status})
}

func (w *watch) tell(ctx context.Context, frames ...wire.ServerFrame) error {
	return emit.Tell(ctx, emit.Audience{User: w.user, Connections: w.store, Poster: w.poster, Now: w.now,
		Violation: func(id chat.ConnectionID) {
			w.monitor.Violation(ctx, monitor.ConnectionRecord, w.user, monitor.Request(gateway.RequestID(ctx)), monitor.Connection(id))
		},
	}, frames...)
}

// startWaiting starts what may start now; what fails is tried again in a minute.
func (w *watch) startWaiting(ctx context.Context) error {
	runs, err := w.store.StartWaiting(ctx)
	errs := []error{err}
	for _, run := range runs {
		if !w.freed { // whoever freed its seat before should have started it
			w.repaired(monitor.SweepStarted, string(run.ID))
		}
		errs = append(errs, w.invoker.Turn(ctx, w.user, run.ID))
	}
	return errors.Join(errs...)
}

// tellRows tells the user's lists where the threads are now whose runs have ended here.
func (w *watch) tellRows(ctx context.Context) error {
	var frames []wire.ServerFrame
	for _, id := range w.rows {
		t, err := w.store.Thread(ctx, id)
		if errors.Is(err, chat.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		d, err := w.store.Desk(ctx) // after the thread: what it says is as new, or newer
		if err != nil {
			return err
		}
		frames = append(frames, &wire.Thread{ThreadInfo: wire.ThreadInfo{
			ThreadID: t.ID, Title: t.Title, Status: d.Status(t.ID), Head: t.Head,
			Created: t.Created.UnixMilli(), Updated: t.Updated.UnixMilli(), Interrupted: len(t.Interrupts) > 0,
		}})
	}
	if len(frames) == 0 {
		return nil
	}
	return w.tell(ctx, frames...)
}
