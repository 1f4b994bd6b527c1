package store

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
)

// Cancelled is the result of Cancel.
type Cancelled struct {
	Run   Run  // after the call
	Ended bool // the run was queued or unclaimed and has ended without events: the caller notifies its watchers
}

// Cancel requests that a running run stop, and ends a run that no turn has claimed. It does not change a run that has
// ended. For an unknown run it fails with chat.ErrNotFound and stores nothing. If Cancel ended the run, a slot may be
// free, and the caller calls StartQueued.
func (s *Store) Cancel(ctx context.Context, id chat.RunID) (Cancelled, error) {
	return s.cancel(ctx, id, nil)
}

// cancel makes its first attempt by the run and the run queue of first; without them it reads both.
func (s *Store) cancel(ctx context.Context, id chat.RunID, first *Rows) (Cancelled, error) {
	if err := checkID("run", id); err != nil {
		return Cancelled{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	nonce := s.t.c.NewID()
	for n := 1; ; n++ {
		r, queue, err := s.runAndQueue(ctx, id, first)
		if err != nil {
			return Cancelled{}, err
		}
		first = nil
		if r.ID == "" {
			return Cancelled{}, fmt.Errorf("cancel a run: %w", chat.ErrNotFound)
		}
		done, err := s.cancelOnce(ctx, r, queue, nonce)
		if err == nil {
			return done, nil
		}
		if _, isRefused := refused(err); !isRefused && !anyRefused(err) {
			return Cancelled{}, fmt.Errorf("cancel a run: %w", err)
		}
		if waited := pause(ctx, n); waited != nil {
			return Cancelled{}, fmt.Errorf("cancel a run: %w", waited)
		}
	}
}

// cancelOnce makes one attempt to cancel a run.
func (s *Store) cancelOnce(ctx context.Context, r runItem, queue queueItem, nonce string) (Cancelled, error) {
	switch status := chat.RunStatus(r.Status); {
	case status.Terminal():
		run, err := r.run()
		// With this nonce, an earlier attempt of this call ended it.
		return Cancelled{Run: run, Ended: r.Nonce == nonce}, err
	case status == chat.RunRunning:
		item, err := s.t.update(ctx, s.cancelRequest(chat.RunID(r.ID)))
		if err != nil {
			return Cancelled{}, err
		}
		run, err := runOf(item)
		return Cancelled{Run: run}, err
	default: // queued, or admitted and not claimed
		run, err := s.endUnclaimed(ctx, r, queue, nonce)
		return Cancelled{Run: run, Ended: err == nil}, err
	}
}

// cancelRequest stores the request that a run with a slot stop.
func (s *Store) cancelRequest(id chat.RunID) update {
	return update{
		key: s.runKey(id), change: "SET #cancel = :true",
		when: "attribute_exists(#pk) AND #status IN (:admitted, :running)",
		values: attributes{
			":true":     &types.AttributeValueMemberBOOL{Value: true},
			":admitted": text(chat.RunAdmitted), ":running": text(chat.RunRunning),
		},
	}
}

// endUnclaimed ends a run that no turn has claimed: one transaction sets the status cancelled and removes the run from
// the run queue. It writes no record to the log.
func (s *Store) endUnclaimed(ctx context.Context, r runItem, queue queueItem, nonce string) (Run, error) {
	now := s.t.c.Now()
	run := s.t.updatePart(update{
		key:    key{r.PK, r.SK},
		change: "SET #status = :cancelled, #nonce = :nonce, #ended = :ended REMOVE #live, #due, #deadline, #in",
		when:   "attribute_exists(#pk) AND #status = :status AND #fence = :zero",
		values: attributes{
			":cancelled": text(chat.RunCancelled), ":nonce": text(nonce), ":ended": number(millis(now)),
			":status": text(r.Status), ":zero": number(int64(0)),
		},
	})
	left, err := s.setQueue(queue.queue().Remove(chat.RunID(r.ID)), true)
	if err != nil {
		return Run{}, err
	}
	thread, err := s.threadWithout(ctx, r)
	if err != nil {
		return Run{}, err
	}
	if err := s.t.transact(ctx, append(thread, run, left)...); err != nil {
		return Run{}, err
	}
	r.Status, r.Ended = string(chat.RunCancelled), millis(now)
	return r.run()
}

// threadWithout changes the thread of a run that ends unclaimed: it raises the updated time, and the interrupts to
// which the run would have responded are open again. If the thread was deleted there is no change.
func (s *Store) threadWithout(ctx context.Context, r runItem) ([]types.TransactWriteItem, error) {
	var t threadItem
	if _, err := s.t.get(ctx, s.threadKey(chat.ThreadID(r.Thread)), &t); err != nil {
		return nil, fmt.Errorf("read a thread: %w", err)
	}
	if t.ID == "" || !s.t.visible(t) {
		return nil, nil
	}
	if r.Answers == "" {
		return []types.TransactWriteItem{s.touch(t)}, nil
	}
	part, err := s.reopen(ctx, t, r)
	return []types.TransactWriteItem{part}, err
}

// ExpireQueued ends a queued run whose deadline has passed: its status becomes cancelled, and it leaves the queue. A
// run behind open interrupts is not ended: its deadline moves to an hour after they expire. ExpireQueued fails with
// chat.ErrNotClaimed if the run is not queued or may stay queued, and with chat.ErrNotFound. Only sweep uses it.
func (s *Store) ExpireQueued(ctx context.Context, id chat.RunID) (Run, error) {
	if err := checkID("run", id); err != nil {
		return Run{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	nonce := s.t.c.NewID()
	for n := 1; ; n++ {
		r, queue, err := s.runAndQueue(ctx, id, nil)
		switch {
		case err != nil:
			return Run{}, err
		case r.ID == "":
			return Run{}, fmt.Errorf("expire a queued run: %w", chat.ErrNotFound)
		case r.Nonce == nonce: // an earlier attempt of this call ended it, and the answer was lost
			return r.run()
		case chat.RunStatus(r.Status) != chat.RunQueued || !fromMillis(r.Deadline).Before(s.t.c.Now()):
			return Run{}, fmt.Errorf("expire a queued run: %w", chat.ErrNotClaimed)
		}
		switch postponed, err := s.postpone(ctx, r); {
		case err != nil:
			return Run{}, err
		case postponed:
			return Run{}, fmt.Errorf("expire a queued run: its thread is awaiting input: %w", chat.ErrNotClaimed)
		}
		run, err := s.endUnclaimed(ctx, r, queue, nonce)
		if err == nil {
			return run, nil
		}
		if !anyRefused(err) {
			return Run{}, fmt.Errorf("expire a queued run: %w", err)
		}
		if waited := pause(ctx, n); waited != nil {
			return Run{}, fmt.Errorf("expire a queued run: %w", waited)
		}
	}
}

// runAndQueue reads a run and the run queue, each consistently, or takes them from rows. The run is zero if it does not
// exist.
func (s *Store) runAndQueue(
	ctx context.Context, id chat.RunID, rows *Rows,
) (r runItem, queue queueItem, err error) {
	if rows == nil {
		if rows, err = s.Rows(ctx, Select{Run: id, Queue: true}); err != nil {
			return r, queue, err
		}
	}
	if _, err = rows.get(s.runKey(id), &r); err == nil {
		queue, err = s.queueItem(rows.get)
	}
	if err != nil {
		return r, queue, fmt.Errorf("decode a run and the run queue: %w", err)
	}
	if s.t.expired(r.Expires) {
		r = runItem{}
	}
	return r, queue, nil
}

func runOf(item attributes) (Run, error) {
	r, err := asRun(item)
	if err != nil {
		return Run{}, err
	}
	return r.run()
}
