package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// ErrStaleAttempt is returned by the first write of a lease if a previous attempt wrote to the log in between. Nothing
// was written, PreviousEvents includes the record of the previous attempt now, and the caller chooses its first record
// again. It cannot happen to a first attempt (fence 1). It happens to one lease more than once only if more than one
// previous attempt wakes up.
var ErrStaleAttempt = errors.New("a previous attempt wrote in between")

// Lease is the claim of a worker on one run: the permission to write to the run's thread. Each write carries the
// lease's fence and nonce. Once the lease is lost, every method returns chat.ErrLeaseLost. Append and End are for one
// goroutine at a time; Renew and CancelRequested may run beside them.
type Lease struct {
	s     *Store
	run   Run
	nonce string
	input Admission
	// continues is true if the worker before has handed the run over
	continues bool
	thread    Thread
	lost      atomic.Bool  // the lease is lost, or the run has ended
	deleted   bool         // the thread is deleted: the run can only be ended
	broken    error        // why a part of the run cannot be decoded, if so: the run can only be ended
	lease     atomic.Int64 // end of the lease, ms since the epoch
	due       atomic.Int64 // when sweep examines the run next, ms since the epoch

	// statusAfter is the status of the thread after the end of the run, by the run queue that PrepareEnd read; "" if
	// it is not known.
	statusAfter chat.ThreadStatus

	// These fields belong to the goroutine that appends.
	stats    chat.RunStats
	folder   agui.Folder // of the events of all attempts, as far as a transcript has room for them
	header   agui.Header
	tokens   int64 // of the model calls of all attempts, as the log reports them
	previous previousEvents
	first    chat.Seq // of the run's events; 0 if there are none
	next     chat.Seq
	wrote    bool  // a record of this lease is in the log
	expires  int64 // of the last record: later records never expire before it
}

// lose marks the lease as lost.
func (l *Lease) lose(why string) error {
	l.lost.Store(true)
	return fmt.Errorf("%w: %s", chat.ErrLeaseLost, why)
}

// checkHeld fails if the lease is known to be lost.
func (l *Lease) checkHeld() error {
	if l.lost.Load() {
		return fmt.Errorf("%w: the run has ended or was taken over", chat.ErrLeaseLost)
	}
	return nil
}

// Run returns the run as it was claimed.
func (l *Lease) Run() Run { return l.run }

// Input returns the run's input, with the grants of its admission.
func (l *Lease) Input() Admission { return l.input }

// Thread returns the run's thread, as it was read after the claim.
func (l *Lease) Thread() Thread { return l.thread }

// Deleted reports whether the thread is deleted. Then the run can only be ended.
func (l *Lease) Deleted() bool { return l.deleted }

// Unreadable returns an ErrUnreadable if the run's input, or a record of a previous attempt, cannot be decoded. Then
// the run can only be ended.
func (l *Lease) Unreadable() error { return l.broken }

// HasRecords reports whether the log has a record of the run.
func (l *Lease) HasRecords() bool { return l.first != 0 }

// Expires returns when the lease ends unless it is renewed.
func (l *Lease) Expires() time.Time { return fromMillis(l.lease.Load()) }

// SetStats sets what the run has used. End stores it. SetStats is for the goroutine that appends.
func (l *Lease) SetStats(s chat.RunStats) { l.stats = s }

// held is the condition of every change of the run's record by the holder of the lease.
const held = "attribute_exists(#pk) AND #fence = :fence AND #nonce = :nonce AND #status = :running" +
	" AND (attribute_not_exists(#handed) OR #handed <> :fence)"

// withHeld adds the values of the condition held.
func (l *Lease) withHeld(values attributes) attributes {
	values[":fence"], values[":nonce"] = number(l.run.Fence), text(l.nonce)
	values[":running"] = text(chat.RunRunning)
	return values
}

// Renew extends the lease. A worker calls it every 6 s of the lease's 20 s. A lease never extends beyond the run's
// deadline; after the deadline Renew fails with chat.ErrLeaseLost, so that a worker that does not finish loses its run.
func (l *Lease) Renew(ctx context.Context) error {
	if err := l.checkHeld(); err != nil {
		return err
	}
	now := l.s.t.c.Now()
	if !now.Before(l.run.Deadline) {
		return l.lose("the run's deadline has passed")
	}
	lease := min(millis(now.Add(leaseTime)), millis(l.run.Deadline))
	u := update{
		key: l.s.runKey(l.run.ID), change: "SET #lease = :lease", when: held,
		values: l.withHeld(attributes{":lease": number(lease)}),
	}
	due := l.dueAfter(now)
	if due != l.due.Load() { // only then, because each change of the index costs two write units
		u.change, u.values[":due"] = u.change+", #due = :due", number(due)
	}
	_, err := l.s.t.update(ctx, u)
	if _, isRefused := refused(err); isRefused {
		return l.lose("the run was taken over or has ended")
	}
	if err != nil {
		return fmt.Errorf("renew the lease: %w", err)
	}
	l.lease.Store(lease)
	l.due.Store(due)
	return nil
}

// CancelRequested reports whether the user has requested that the run stop.
func (l *Lease) CancelRequested(ctx context.Context) (bool, error) {
	if err := l.checkHeld(); err != nil {
		return false, err
	}
	r, err := l.s.runItem(ctx, l.run.ID)
	if err != nil && !errors.Is(err, chat.ErrNotFound) {
		return false, err
	}
	return r.Cancel, l.stillHeld(r)
}

// stillHeld loses the lease if the run's record, as it was read, has another claim or has ended.
func (l *Lease) stillHeld(r runItem) error {
	if r.Fence != l.run.Fence || r.Nonce != l.nonce || chat.RunStatus(r.Status) != chat.RunRunning {
		return l.lose("the run was taken over or has ended")
	}
	return nil
}
