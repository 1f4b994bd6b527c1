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

// eventAge is how long a run has been admitted when Lambda gives its event up, which is 180 s old then by Lambda's clock.
const eventAge = 170 * time.Second

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
// nothing is done to a run that another worker claims in between. A run that stays live is due again later.
func (w *watch) look(ctx context.Context, id chat.RunID) error {
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
		w.waiting = append(w.waiting, run)
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

// start invokes turn once more for an unclaimed run: message may have died before its invoke, or Lambda may have lost the
// event. If the invoke fails, the next sweep tries again, until the run's deadline.
func (w *watch) start(ctx context.Context, run store.Run) error {
	if err := w.invoker.Turn(ctx, w.user, run.ID); err != nil {
		return fmt.Errorf("invoke turn for an unclaimed run: %w", err)
	}
	w.repaired(monitor.SweepResumed, string(run.ID))
	return w.store.LookAgain(ctx, run)
}

// resume has turn go on with a run whose worker has died, if more attempts are left. A turn too many does nothing. Where
// none is left, or turn cannot be invoked, the run ends here.
func (w *watch) resume(ctx context.Context, run store.Run) error {
	if run.Attempts >= w.limits.Attempts || !w.now().Before(run.Deadline) {
		return w.end(ctx, run.ID, w.store.ClaimExpired, died)
	}
	if err := w.invoker.Turn(ctx, w.user, run.ID); err != nil {
		w.log.WarnContext(ctx, "invoke turn for another attempt", "user", w.user, "run", string(run.ID), "err", err)
		return w.end(ctx, run.ID, w.store.ClaimExpired, died)
	}
	w.repaired(monitor.SweepResumed, string(run.ID))
	return w.store.LookAgain(ctx, run)
}

// failed acts on a failure record of one of the user's runs.
//
// If the invocation never ran, Lambda had no capacity until the event was too old. A run of that age ends. A younger run has
// another event, and the index finds it. If the invocation failed and is the run's worker, the run goes on before its lease
// ends. If it failed and is not the worker, it failed before its claim. Then an admitted run ends, because the next
// invocation would fail as well, and a running run is left to its worker and to the index. If the run has ended, the worker
// may have died before it started the user's queued runs.
func (w *watch) failed(ctx context.Context, f *gateway.FailedTurn) error {
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

// release has a run go on whose worker has ended: the invocation that failed. It does nothing if another has claimed it.
func (w *watch) release(ctx context.Context, id chat.RunID, request string) error {
	run, err := w.store.Release(ctx, id, request)
	if errors.Is(err, chat.ErrNotClaimed) || errors.Is(err, chat.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return w.resume(ctx, run)
}

// erase has a pass made over a deleted thread, or over a user who is to be forgotten. One that is under way already is
// harmless.
func (w *watch) erase(ctx context.Context, e store.LiveEntry) error {
	if w.now().Sub(e.Due) > eraseTime {
		w.repaired(monitor.SweepErased, string(e.Erasure.Thread))
	}
	if e.EraseUser {
		return w.invoker.EraseUser(ctx, w.user)
	}
	return w.invoker.EraseThread(ctx, w.user, e.Erasure.Thread, e.Erasure.Epoch)
}

// eraseTime is after the due time of an erasure. An erasure that is still there then counts as a repair.
const eraseTime = 2 * time.Minute

// claim is Store.ClaimExpired or Store.ClaimUnclaimed.
type claim func(context.Context, chat.RunID) (*store.Lease, error)

// ending is why a run ends here.
type ending int

const (
	died       ending = iota // its worker has
	notStarted               // Lambda had no capacity
)

// end claims a run whose worker has died or never came, ends it and tells the user's windows. Whoever was faster has
// taken care of it.
func (w *watch) end(ctx context.Context, id chat.RunID, claim claim, why ending) error {
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
		w.log.ErrorContext(ctx, "the run can only be ended", "user", w.user, "run", string(id), "err", err)
	}
	started := emit.Started(held.Input().RunInput(), held.Input().Agent, w.now())
	last := lastOf(held, started, why)
	seq, thread, err := held.End(ctx, last)
	for try := 1; errors.Is(err, store.ErrStaleAttempt) && try < 3; try++ {
		last = lastOf(held, started, why)
		seq, thread, err = held.End(ctx, last)
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
	w.rows = append(w.rows, thread.ID)
	return w.tell(ctx, &wire.Events{
		ThreadID: run.Thread, Epoch: thread.Epoch, Seq: seq, RunID: run.ID, Events: last,
	})
}

// lastOf is the last record of a run that ends here, whose figures are those that its log shows.
func lastOf(held *store.Lease, started agui.Event, why ending) []agui.Event {
	earlier, asked := held.PreviousEvents(), held.Input().Asked()
	held.SetStats(agui.RunStats(earlier))
	if held.Unreadable() != nil {
		return emit.Unreadable(held.HasRecords(), earlier, started)
	}
	if why == notStarted && !held.HasRecords() {
		return emit.NotStarted(asked, started)
	}
	return emit.Died(earlier, asked, started)
}

// expire ends a run that has waited for too long and could not be started now: what it waited for may have expired at
// the same moment. One that may wait longer is due again later.
func (w *watch) expire(ctx context.Context, run store.Run) error {
	if !w.now().After(run.Deadline) {
		return w.store.LookAgain(ctx, run)
	}
	ended, err := w.store.ExpireQueued(ctx, run.ID)
	if errors.Is(err, chat.ErrNotClaimed) {
		return w.store.LookAgain(ctx, run) // it waits for a person, or it has started or ended since
	}
	if errors.Is(err, chat.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	w.rows = append(w.rows, run.Thread)
	w.repaired(monitor.SweepExpired, string(run.ID))
	return w.tell(ctx, &wire.Ended{RunID: run.ID, ThreadID: run.Thread, Status: ended.Status})
}

func (w *watch) tell(ctx context.Context, frames ...wire.ServerFrame) error {
	return emit.Broadcast(ctx, emit.Recipients{User: w.user, Connections: w.store, Poster: w.poster, Now: w.now,
		Violation: func(id chat.ConnectionID) {
			w.monitor.Violation(ctx, monitor.ConnectionRecord, w.user, monitor.Request(gateway.RequestID(ctx)), monitor.Connection(id))
		},
	}, frames...)
}

// startQueued starts what may start now; what fails is tried again in a minute.
func (w *watch) startQueued(ctx context.Context) error {
	runs, err := w.store.StartQueued(ctx)
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
		d, err := w.store.RunQueue(ctx) // after the thread: what it says is as new, or newer
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
	return w.tell(ctx, frames...)
}
