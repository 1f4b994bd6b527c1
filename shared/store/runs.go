package store

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/runqueue"
)

const (
	claimTime = 200 * time.Second   // maximum from the admission to the claim; Lambda drops turn's event after 180 s
	queueTime = time.Hour           // maximum in the queue
	leaseTime = 20 * time.Second    // from a claim or a renewal to the end of the lease
	overTime  = 60 * time.Second    // from the run's time limit to its deadline, after which no lease can be renewed
	runLife   = 90 * 24 * time.Hour // of a run's record
)

// Run is the record of a run.
type Run struct {
	ID              chat.RunID
	Thread          chat.ThreadID
	Agent           string
	Status          chat.RunStatus
	Fence           int64 // number of claims
	LeaseExpires    time.Time
	CancelRequested bool
	Created, Ended  time.Time
	Started         time.Time // time of the first claim; zero if there was none
	Attempts        int       // number of claims by turn, except those that continue after a hand-over
	HandOvers       int       // how often a worker handed the run over to the next one
	HandedOver      bool      // the last worker has handed the run over, and no other has claimed it since
	Deadline        time.Time // by this time the run must be claimed, or ended
	Due             time.Time // when sweep examines the run next
	Usage           []agui.Usage
	Stats           chat.RunStats
}

// Run reads the record of a run. It fails with chat.ErrNotFound.
func (s *Store) Run(ctx context.Context, id chat.RunID) (Run, error) {
	item, err := s.runItem(ctx, id)
	if err != nil {
		return Run{}, err
	}
	return item.run()
}

func (s *Store) runItem(ctx context.Context, id chat.RunID) (runItem, error) {
	var item runItem
	if err := checkID("run", id); err != nil {
		return item, err
	}
	found, err := s.t.get(ctx, s.runKey(id), &item)
	if err != nil {
		return item, fmt.Errorf("read a run: %w", err)
	}
	if !found || s.t.expired(item.Expires) {
		return item, fmt.Errorf("run: %w", chat.ErrNotFound)
	}
	return item, nil
}

// RunQueue reads the user's run queue, consistently.
func (s *Store) RunQueue(ctx context.Context) (runqueue.Queue, error) {
	item, err := s.queueItem(s.t.reader(ctx))
	return item.queue(), err
}

// setQueue changes the stored run queue to q, on the condition that it still has q's version. Unless leaving is true,
// which means that the change only removes runs, another condition is that the user is not being erased.
func (s *Store) setQueue(q runqueue.Queue, leaving bool) (types.TransactWriteItem, error) {
	item := queueItem{Slots: map[string]string{}, Queued: []queuedItem{}, Tokens: map[string]int64{}}
	maps.Copy(item.Tokens, q.Tokens)
	for run, thread := range q.Slots {
		item.Slots[string(run)] = string(thread)
	}
	for _, e := range q.Queued {
		item.Queued = append(item.Queued, queuedItem{
			Run: string(e.Run), Thread: string(e.Thread), Priority: int(e.Priority),
		})
	}
	encoded, err := attributevalue.MarshalMap(item)
	if err != nil {
		return types.TransactWriteItem{}, fmt.Errorf("encode the run queue: %w", err)
	}
	u := update{
		key:    s.queueKey(),
		change: "SET #slots = :slots, #queued = :queued, #tokens = :tokens, #full = :full, #version = :next",
		when:   "attribute_exists(#pk) AND #version = :version",
		values: attributes{
			":slots": encoded["slots"], ":queued": encoded["queued"], ":tokens": encoded["tokens"],
			":full":    number(millis(q.Full)),
			":version": number(q.Version), ":next": number(q.Version + 1),
		},
	}
	switch {
	case q.Version == 0: // there is no item, or the item of a user whose erasure has ended
		u.change, u.when = u.change+" REMOVE #erasing, #expires", absent
		delete(u.values, ":version")
		u.values[":now"] = number(s.t.nowSeconds())
	case !leaving:
		u.when += " AND attribute_not_exists(#erasing)"
	}
	return s.t.updatePart(u), nil
}

// withoutEndedRuns frees the slots of runs that have ended or do not exist, so that no slot outlives its run. Runs
// whose lease has expired keep their slots until they end: sweep finds them in the index live when they are due.
func (s *Store) withoutEndedRuns(ctx context.Context, q runqueue.Queue) (runqueue.Queue, error) {
	keys := make([]key, 0, len(q.Slots))
	for run := range q.Slots {
		keys = append(keys, s.runKey(run))
	}
	found, err := s.t.getAll(ctx, keys)
	if err != nil {
		return q, fmt.Errorf("read the runs with a slot: %w", err)
	}
	for run := range q.Slots {
		item, err := asRun(found[s.runKey(run).sk])
		if err != nil {
			return q, err
		}
		if item.ID == "" || s.t.expired(item.Expires) || chat.RunStatus(item.Status).Terminal() {
			q = q.Remove(run)
		}
	}
	return q, nil
}

// asRun decodes a RUN item. Without an item it returns the zero item.
func asRun(item attributes) (r runItem, err error) {
	if err := attributevalue.UnmarshalMap(item, &r); err != nil {
		return r, fmt.Errorf("read a run: %w", err)
	}
	return r, nil
}
