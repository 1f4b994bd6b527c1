package main

import (
	"context"
	"errors"
	"fmt"

	"carrel/shared/chat"
	"carrel/shared/emit"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// watch is one user's share of a sweep.
type watch struct {
	*handler
	user  chat.User
	store *store.Store
	start bool            // something waits, or a seat has become free
	rows  []chat.ThreadID // that have changed, to be told at the end
}

// look judges one run by its record, read now: the index may lag behind.
func (w *watch) look(ctx context.Context, e store.LiveEntry, unclaimed bool) error {
	run, err := w.store.Run(ctx, e.Run)
	if errors.Is(err, chat.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	now := w.now()
	late := now.After(e.Deadline)
	switch {
	case run.Status == chat.RunWaiting && late:
		return w.expire(ctx, run)
	case run.Status == chat.RunWaiting:
		w.start = true
	case run.Status == chat.RunAdmitted && unclaimed:
		return w.end(ctx, run.ID, w.store.Claim)
	case run.Status == chat.RunAdmitted && late, run.Status == chat.RunRunning && now.After(run.Lease):
		return w.end(ctx, run.ID, w.store.ClaimExpired)
	}
	return nil
}

// erase has a pass made over a deleted thread, or over a user who is to be forgotten, that is due. One that is under way already is harmless.
func (w *watch) erase(ctx context.Context, e store.LiveEntry) error {
	if w.now().Before(e.Deadline) {
		return nil
	}
	if e.Forget {
		return w.invoker.Forget(ctx, w.user)
	}
	return w.invoker.Erase(ctx, w.user, e.Erasure.Thread, e.Erasure.Epoch)
}

// claim is Store.Claim or Store.ClaimExpired.
type claim func(context.Context, chat.RunID) (*store.Holder, error)

// end claims a run whose worker has died or never came, ends it and tells the user's windows. Whoever was faster has
// taken care of it.
func (w *watch) end(ctx context.Context, id chat.RunID, claim claim) error {
	held, err := claim(ctx, id)
	if errors.Is(err, chat.ErrNotClaimed) || errors.Is(err, chat.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	run := held.Run()
	started := emit.Started(run.Thread, run.ID, held.Input().Messages, w.now())
	last := emit.Died(held.Earlier(), started)
	seq, thread, err := held.End(ctx, last)
	for try := 1; errors.Is(err, store.ErrEarlier) && try < 3; try++ {
		last = emit.Died(held.Earlier(), started)
		seq, thread, err = held.End(ctx, last)
	}
	deleted := errors.Is(err, store.ErrDeleted)
	if errors.Is(err, chat.ErrFenced) {
		return nil
	}
	if err != nil && !deleted {
		return fmt.Errorf("end a run: %w", err)
	}
	w.start = true
	w.monitor.Count(monitor.RunsDied, 1)
	w.log.WarnContext(ctx, "ended a run whose worker died", "user", w.user, "run", string(run.ID), "claims", run.Fence)
	if deleted {
		return nil
	}
	w.rows = append(w.rows, thread.ID)
	return w.tell(ctx, &wire.Events{
		ThreadID: run.Thread, Epoch: thread.Epoch, Seq: seq, RunID: run.ID, Events: last,
	})
}

// expire ends a run that has waited for too long.
func (w *watch) expire(ctx context.Context, run store.Run) error {
	ended, err := w.store.ExpireWaiting(ctx, run.ID)
	if errors.Is(err, chat.ErrNotClaimed) || errors.Is(err, chat.ErrNotFound) {
		return nil // it has started or ended since
	}
	if err != nil {
		return err
	}
	w.start = true
	w.rows = append(w.rows, run.Thread)
	return w.tell(ctx, &wire.Ended{RunID: run.ID, ThreadID: run.Thread, Status: ended.Status})
}

func (w *watch) tell(ctx context.Context, frames ...wire.ServerFrame) error {
	return emit.Tell(ctx, emit.Audience{Connections: w.store, Poster: w.poster, Now: w.now}, frames...)
}

// startWaiting starts what may start now; what fails is tried again in a minute.
func (w *watch) startWaiting(ctx context.Context) error {
	runs, err := w.store.StartWaiting(ctx)
	errs := []error{err}
	for _, run := range runs {
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
