package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
)

// Cancelled says what Cancel did.
type Cancelled struct {
	Run   Run  // as it is now
	Ended bool // it was waiting, or admitted and not claimed, and has ended without events: its watchers are to be told
}

// Cancel asks a running run to stop, and ends one that never began. A run that has ended stays as it is. Of an unknown run,
// which is chat.ErrNotFound, it stores nothing. A run that ended here may have freed a seat: StartQueued is the caller's.
func (s *Store) Cancel(ctx context.Context, id chat.RunID) (Cancelled, error) {
	if err := checkID("run", id); err != nil {
		return Cancelled{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	nonce := s.t.c.NewID()
	for n := 1; ; n++ {
		r, d, err := s.runAndDesk(ctx, id)
		if err != nil {
			return Cancelled{}, err
		}
		if r.ID == "" {
			return Cancelled{}, fmt.Errorf("cancel a run: %w", chat.ErrNotFound)
		}
		done, err := s.cancelOnce(ctx, id, r, d, nonce)
		if err == nil {
			return done, nil
		}
		if _, isOld := refused(err); !isOld && !anyRefused(err) {
			return Cancelled{}, fmt.Errorf("cancel a run: %w", err)
		}
		if waited := pause(ctx, n); waited != nil {
			return Cancelled{}, fmt.Errorf("cancel a run: %w", waited)
		}
	}
}

func (s *Store) cancelOnce(ctx context.Context, id chat.RunID, r runItem, d queueItem, nonce string) (Cancelled, error) {
	switch status := chat.RunStatus(r.Status); {
	case status.Terminal():
		run, err := r.run()
		return Cancelled{Run: run, Ended: r.Nonce == nonce}, err // own nonce: this call ended it, and the answer was lost
	case status == chat.RunRunning:
		item, err := s.t.update(ctx, s.cancelRequest(id))
		if err != nil {
			return Cancelled{}, err
		}
		run, err := runOf(item)
		return Cancelled{Run: run}, err
	default: // waiting, or admitted and not claimed
		run, err := s.endUnclaimed(ctx, r, d, nonce)
		return Cancelled{Run: run, Ended: err == nil}, err
	}
}

// cancelRequest asks a run that has not ended to stop.
func (s *Store) cancelRequest(id chat.RunID) update {
	return update{
		key: s.runKey(id), change: "SET #cancel = :true",
		when: "attribute_exists(#pk) AND #status IN (:admitted, :running)",
		values: attributes{
			":true": &types.AttributeValueMemberBOOL{Value: true}, ":admitted": text(chat.RunAdmitted), ":running": text(chat.RunRunning),
		},
	}
}

// endUnclaimed ends a run that nobody has claimed: cancelled, and out of the desk in the same transaction. It leaves no
// record in the log.
func (s *Store) endUnclaimed(ctx context.Context, r runItem, d queueItem, nonce string) (Run, error) {
	now := s.t.c.Now()
	run := s.t.updatePart(update{
		key:    key{r.PK, r.SK},
		change: "SET #status = :cancelled, #nonce = :nonce, #ended = :ended REMOVE #live, #due, #deadline",
		when:   "attribute_exists(#pk) AND #status = :status AND #fence = :zero",
		values: attributes{
			":cancelled": text(chat.RunCancelled), ":nonce": text(nonce), ":ended": number(millis(now)),
			":status": text(r.Status), ":zero": number(int64(0)),
		},
	})
	seats, err := s.setQueue(d.queue().Remove(chat.RunID(r.ID)), true)
	if err != nil {
		return Run{}, err
	}
	thread, err := s.threadWithout(ctx, r)
	if err != nil {
		return Run{}, err
	}
	if err := s.t.transact(ctx, append(thread, run, seats)...); err != nil {
		return Run{}, err
	}
	r.Status, r.Ended = string(chat.RunCancelled), millis(now)
	return r.run()
}

// threadWithout is the change of a run's thread when the run ends that nobody has claimed: newer, and what it was to
// answer is open again. None if the thread was deleted.
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

// ExpireQueued ends a run that has waited beyond its deadline: cancelled, out of the queue. It fails with
// chat.ErrNotClaimed if the run does not wait or may still, and with chat.ErrNotFound. One that waits behind questions
// may: until an hour after they expire, which is its deadline from then on. For sweep.
func (s *Store) ExpireQueued(ctx context.Context, id chat.RunID) (Run, error) {
	if err := checkID("run", id); err != nil {
		return Run{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	nonce := s.t.c.NewID()
	for n := 1; ; n++ {
		r, d, err := s.runAndDesk(ctx, id)
		switch {
		case err != nil:
			return Run{}, err
		case r.ID == "":
			return Run{}, fmt.Errorf("expire a queued run: %w", chat.ErrNotFound)
		case r.Nonce == nonce: // ours, and its answer was lost
			return r.run()
		case chat.RunStatus(r.Status) != chat.RunQueued || !fromMillis(r.Deadline).Before(s.t.c.Now()):
			return Run{}, fmt.Errorf("expire a queued run: %w", chat.ErrNotClaimed)
		}
		switch postponed, err := s.postpone(ctx, r); {
		case err != nil:
			return Run{}, err
		case postponed:
			return Run{}, fmt.Errorf("expire a queued run: it waits for a person: %w", chat.ErrNotClaimed)
		}
		run, err := s.endUnclaimed(ctx, r, d, nonce)
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

// runAndDesk reads both, each consistently; the run is zero if there is none.
func (s *Store) runAndDesk(ctx context.Context, id chat.RunID) (r runItem, d queueItem, err error) {
	found, err := s.t.getAll(ctx, []key{s.runKey(id), s.queueKey()})
	if err == nil {
		err = errors.Join(
			attributevalue.UnmarshalMap(found[s.runKey(id).sk], &r),
			attributevalue.UnmarshalMap(found[s.queueKey().sk], &d),
		)
	}
	if err != nil {
		return r, d, fmt.Errorf("read a run and the desk: %w", err)
	}
	if s.t.expired(r.Expires) {
		r = runItem{}
	}
	return r, s.t.current(d), nil
}

func runOf(item attributes) (Run, error) {
	r, err := asRun(item)
	if err != nil {
		return Run{}, err
	}
	return r.run()
}
