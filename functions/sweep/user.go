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
	"carrel/shared/lasthop"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// eventAge is the least age of an admitted run whose event Lambda has dropped. Lambda drops an event after 180 s by its
// own clock, so eventAge allows for a difference between the clocks.
const eventAge = 170 * time.Second

// userSweep is the part of a sweep that handles one user.
type userSweep struct {
	*handler
	user    chat.User
	store   *store.Store
	live    map[chat.RunID]bool // the runs with a due entry
	queued  []store.Run
	freed   bool                // this sweep has freed a slot
	threads []chat.ThreadID     // changed threads, which are broadcast at the end
	repairs map[string][]string // the repairs so far, by metric
}

// checkRun decides what to do with one run. It reads the record, because the index may be out of date. Each later claim
// checks its conditions again, so a run that another worker claims in between is left alone. A run that stays live is
// due again later.
func (w *userSweep) checkRun(ctx context.Context, id chat.RunID) error {
	run, err := w.store.Run(ctx, id)
	if errors.Is(err, chat.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	now := w.now()
	switch {
	case run.Status.Terminal() || run.Due.After(now):
		return nil
	case run.Status == chat.RunQueued:
		w.queued = append(w.queued, run)
		return nil
	case run.Status == chat.RunAdmitted && now.After(run.Deadline):
		return w.end(ctx, run.ID, w.store.ClaimExpired, notStarted)
	case run.Status == chat.RunAdmitted:
		return w.start(ctx, run)
	case run.Status == chat.RunRunning && now.After(run.LeaseExpires):
		return w.resume(ctx, run)
	}
	return w.store.LookAgain(ctx, run)
}

// start invokes turn again for an unclaimed run, because message may have died before it invoked turn, or Lambda may
// have lost the event. If the invocation fails, the next sweep tries again, until the deadline of the run.
func (w *userSweep) start(ctx context.Context, run store.Run) error {
	if err := w.invoker.Turn(ctx, w.user, run.ID); err != nil {
		return fmt.Errorf("invoke turn for an unclaimed run: %w", err)
	}
	w.repaired(monitor.SweepResumed, string(run.ID))
	return w.store.LookAgain(ctx, run)
}

// resume invokes turn for another attempt at a run whose worker has died, or that a worker has handed over. A
// superfluous invocation does nothing. If no attempt is left, or turn cannot be invoked, resume ends the run.
func (w *userSweep) resume(ctx context.Context, run store.Run) error {
	if run.Attempts >= w.limits.Attempts && !run.HandedOver || !w.now().Before(run.Deadline) {
		return w.end(ctx, run.ID, w.store.ClaimExpired, died)
	}
	if err := w.invoker.Turn(ctx, w.user, run.ID); err != nil {
		w.log.WarnContext(ctx, "invoke turn for another attempt", "user", w.user, "run", string(run.ID), "err", err)
		return w.end(ctx, run.ID, w.store.ClaimExpired, died)
	}
	w.repaired(monitor.SweepResumed, string(run.ID))
	return w.store.LookAgain(ctx, run)
}

// failed handles a failure record of one of the user's runs.
//
//   - The run has ended: its worker may have died before it started the user's queued runs, so failed starts them.
//   - The run is admitted, and the invocation failed: it failed before its claim. The run ends, because the next
//     invocation would fail too.
//   - The run is admitted, and the event was dropped: Lambda had no capacity. A run as old as such an event ends. A
//     younger run has another event, and the index finds it if that event is lost.
//   - The run is running, and the invocation failed: if the invocation is its worker, the run is resumed before its
//     lease expires. If it is not, it failed before its claim, and the run is left to its worker and to the index.
func (w *userSweep) failed(ctx context.Context, f *gateway.FailedTurn) error {
	run, err := w.store.Run(ctx, f.Run)
	if errors.Is(err, chat.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case run.Status.Terminal():
		return w.startQueued(ctx)
	case run.Status == chat.RunAdmitted && f.Invoked:
		return w.end(ctx, run.ID, w.store.ClaimUnclaimed, died)
	case run.Status == chat.RunAdmitted && run.Unclaimed(w.now()) >= eventAge:
		return w.end(ctx, run.ID, w.store.ClaimUnclaimed, notStarted)
	case run.Status == chat.RunRunning && f.Invoked:
		return w.release(ctx, run.ID, f.Request)
	}
	return nil
}

// release resumes a run whose worker was the failed invocation. It does nothing if another worker has claimed the run.
func (w *userSweep) release(ctx context.Context, id chat.RunID, request string) error {
	run, err := w.store.Release(ctx, id, request)
	if errors.Is(err, chat.ErrNotClaimed) || errors.Is(err, chat.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return w.resume(ctx, run)
}

// erase invokes turn for an erasing pass over a deleted thread, or over a user who asked to be erased. A second pass at
// the same time is harmless.
func (w *userSweep) erase(ctx context.Context, e store.LiveEntry) error {
	if w.now().Sub(e.Due) > eraseTime {
		w.repaired(monitor.SweepErased, string(e.Erasure.Thread))
	}
	if e.EraseUser {
		return w.invoker.EraseUser(ctx, w.user)
	}
	return w.invoker.EraseThread(ctx, w.user, e.Erasure.Thread, e.Erasure.Epoch)
}

// eraseTime is the time that an erasure may take after it is due. An erasure that takes longer counts as a repair.
const eraseTime = 2 * time.Minute

// claim is the type of Store.ClaimExpired and Store.ClaimUnclaimed.
type claim func(context.Context, chat.RunID) (*store.Lease, error)

// ending is the reason for which sweep ends a run.
type ending int

const (
	died       ending = iota // the worker has died
	notStarted               // Lambda had no capacity to start a worker
)

// end claims a run whose worker has died or never started, ends the run, and broadcasts the end. It does nothing if
// another worker has claimed or ended the run first.
func (w *userSweep) end(ctx context.Context, id chat.RunID, claim claim, why ending) error {
	lease, err := claim(ctx, id)
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
	run := lease.Run()
	if err := lease.Unreadable(); err != nil {
		w.log.ErrorContext(ctx, "end an unreadable run", "user", w.user, "run", string(id), "err", err)
	}
	started := emit.Started(lease.Input().RunInput(), lease.Input().Agent, w.now())
	last := finalEvents(lease, started, why)
	ended, err := lease.End(ctx, last)
	for try := 1; errors.Is(err, store.ErrStaleAttempt) && try < 3; try++ {
		last = finalEvents(lease, started, why)
		ended, err = lease.End(ctx, last)
	}
	deleted := errors.Is(err, store.ErrDeleted)
	if errors.Is(err, chat.ErrLeaseLost) {
		return nil
	}
	if err != nil && !deleted {
		return fmt.Errorf("end a run: %w", err)
	}
	w.freed = true
	switch why {
	case died:
		w.monitor.Count(monitor.RunsDied, 1)
		w.repaired(monitor.SweepEnded, string(run.ID))
	case notStarted:
		w.repaired(monitor.NoCapacity, string(run.ID))
	}
	if deleted {
		return nil
	}
	w.threads = append(w.threads, ended.Thread.ID)
	return w.broadcast(ctx, &wire.Events{
		ThreadID: run.Thread, Epoch: ended.Thread.Epoch, Seq: ended.Seq, RunID: run.ID, Events: last,
	})
}

// finalEvents returns the events of the last record of a run that sweep ends. It sets the run's usage from its log.
func finalEvents(lease *store.Lease, started agui.Event, why ending) []agui.Event {
	previous, asked := lease.PreviousEvents(), lease.Input().AnsweredCalls()
	lease.SetStats(agui.RunStats(previous))
	if lease.Unreadable() != nil {
		return emit.Unreadable(lease.HasRecords(), previous, started)
	}
	if why == notStarted && !lease.HasRecords() {
		return emit.NotStarted(asked, started)
	}
	return emit.Died(previous, asked, started)
}

// expire ends a run that was queued for too long. It is called after startQueued, because the run that it was queued
// behind may have ended in this sweep. A run that may stay queued is due again later.
func (w *userSweep) expire(ctx context.Context, run store.Run) error {
	if !w.now().After(run.Deadline) {
		return w.store.LookAgain(ctx, run)
	}
	ended, err := w.store.ExpireQueued(ctx, run.ID)
	if errors.Is(err, chat.ErrNotClaimed) {
		return w.store.LookAgain(ctx, run) // the thread is awaiting input, or the run has started or ended since
	}
	if errors.Is(err, chat.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	w.threads = append(w.threads, run.Thread)
	w.repaired(monitor.SweepExpired, string(run.ID))
	return w.broadcast(ctx, &wire.Ended{RunID: run.ID, ThreadID: run.Thread, Status: ended.Status})
}

func (w *userSweep) broadcast(ctx context.Context, frames ...wire.ServerFrame) error {
	return lasthop.Broadcast(ctx, lasthop.Recipients{User: w.user, Connections: w.store, Poster: w.poster, Now: w.now,
		Violation: func(id chat.ConnectionID) {
			w.monitor.Violation(ctx, monitor.ConnectionRecord, w.user, monitor.Request(gateway.RequestID(ctx)),
				monitor.Connection(id))
		},
	}, frames...)
}

// startQueued starts the queued runs that have a slot now. The next sweep, in a minute, repeats what fails.
func (w *userSweep) startQueued(ctx context.Context) error {
	runs, err := w.store.StartQueued(ctx)
	errs := []error{err}
	for _, run := range runs {
		if !w.freed { // the function that freed the slot should have started the run
			w.repaired(monitor.SweepStarted, string(run.ID))
		}
		errs = append(errs, w.invoker.Turn(ctx, w.user, run.ID))
	}
	return errors.Join(errs...)
}

// broadcastThreads sends the state of the threads whose runs this sweep has ended to all connections of the user.
func (w *userSweep) broadcastThreads(ctx context.Context) error {
	var frames []wire.ServerFrame
	for _, id := range w.threads {
		t, err := w.store.Thread(ctx, id)
		if errors.Is(err, chat.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		d, err := w.store.RunQueue(ctx) // read after the thread, so that it is not older
		if err != nil {
			return err
		}
		frames = append(frames, &wire.Thread{ThreadInfo: wire.ThreadInfo{
			ThreadID: t.ID, Title: t.Title, Status: d.Status(t.ID), Head: t.Head,
			Created: t.Created.UnixMilli(), Updated: t.Updated.UnixMilli(), Interrupted: len(t.Interrupts) > 0,
			Used: t.Used.UnixMilli(), Pinned: t.Pinned, Archived: t.Archived,
		}})
	}
	if len(frames) == 0 {
		return nil
	}
	return w.broadcast(ctx, frames...)
}
