package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/runqueue"
)

const (
	claimTime = 200 * time.Second   // from admission to the claim; Lambda gives turn's event up after 180 s
	queueTime = time.Hour           // in the queue
	leaseTime = 20 * time.Second    // of a claim, unless renewed
	overTime  = 60 * time.Second    // beyond a run's limit, until sweep looks at it whatever its lease
	runLife   = 90 * 24 * time.Hour // of a run's record
	inputLife = 2 * time.Hour       // longer than a run can wait and run; its log and transcript hold the question
)

// Run is one run's record.
type Run struct {
	ID              chat.RunID
	Thread          chat.ThreadID
	Agent           string
	Status          chat.RunStatus
	Fence           int64 // how often it was claimed
	LeaseExpires    time.Time
	CancelRequested bool
	Created, Ended  time.Time
	Started         time.Time // first claim; zero: not yet
	Attempts        int       // claims by turn
	Deadline        time.Time // by when it is to be claimed, or ended
	Due             time.Time // when sweep looks at it next
	Usage           []agui.Usage
	Stats           chat.RunStats
}

// Run reads a run's record, or chat.ErrNotFound.
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

// Input reads what a run was asked and the grants of its admission. It is there for as long as the run may need it.
func (s *Store) Input(ctx context.Context, id chat.RunID) (Admission, error) {
	run, err := s.runItem(ctx, id)
	if err != nil {
		return Admission{}, err
	}
	var item inputItem
	found, err := s.t.get(ctx, s.inputKey(id, run.Input), &item)
	if err != nil {
		return Admission{}, fmt.Errorf("read a run's input: %w", err)
	}
	if !found {
		return Admission{}, fmt.Errorf("input of the run: %w", chat.ErrNotFound)
	}
	return item.admission()
}

func (i inputItem) admission() (a Admission, err error) {
	if err := json.Unmarshal([]byte(i.Input), &a); err != nil {
		return a, fmt.Errorf("read a run's input: %w", err)
	}
	return a, nil
}

func (s *Store) putInput(ctx context.Context, a Admission, nonce string) error {
	asked, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("write a run's input: %w", err)
	}
	k := s.inputKey(a.Run, nonce)
	item := inputItem{PK: k.pk, SK: k.sk, Input: string(asked), Expires: s.t.expiry(inputLife)}
	if err := s.t.put(ctx, item, "", nil); err != nil {
		return fmt.Errorf("write a run's input: %w", err)
	}
	return nil
}

// RunQueue reads the user's desk, consistently.
func (s *Store) RunQueue(ctx context.Context) (runqueue.Queue, error) {
	item, err := s.queueItem(ctx)
	return item.queue(), err
}

// setQueue is the change of the desk to d if it still has d's version and, unless leaving says that runs only leave it,
// the user is not being erased.
func (s *Store) setQueue(d runqueue.Queue, leaving bool) (types.TransactWriteItem, error) {
	item := queueItem{Slots: map[string]string{}, Queued: []queuedItem{}}
	for run, thread := range d.Slots {
		item.Slots[string(run)] = string(thread)
	}
	for _, w := range d.Queued {
		item.Queued = append(item.Queued, queuedItem{Run: string(w.Run), Thread: string(w.Thread), Priority: int(w.Priority)})
	}
	seats, err := attributevalue.Marshal(item.Slots)
	if err != nil {
		return types.TransactWriteItem{}, fmt.Errorf("write the desk: %w", err)
	}
	queued, err := attributevalue.Marshal(item.Queued)
	if err != nil {
		return types.TransactWriteItem{}, fmt.Errorf("write the desk: %w", err)
	}
	u := update{
		key: s.queueKey(), change: "SET #slots = :slots, #queued = :queued, #full = :full, #version = :next",
		when: "attribute_exists(#pk) AND #version = :version",
		values: attributes{
			":slots": seats, ":queued": queued, ":full": number(millis(d.Full)),
			":version": number(d.Version), ":next": number(d.Version + 1),
		},
	}
	switch {
	case d.Version == 0: // there is none, or the tombstone of an erased one
		u.change, u.when = u.change+" REMOVE #erasing, #expires", absent
		delete(u.values, ":version")
		u.values[":now"] = number(s.t.nowSeconds())
	case !leaving:
		u.when += " AND attribute_not_exists(#erasing)"
	}
	return s.t.updatePart(u), nil
}

// withoutEndedRuns takes the runs off the desk that sit there although they have ended or are gone, so that no seat outlives
// its run. Those whose lease is past stay until their end: sweep finds them in the index live when they are due.
func (s *Store) withoutEndedRuns(ctx context.Context, d runqueue.Queue) (runqueue.Queue, error) {
	keys := make([]key, 0, len(d.Slots))
	for run := range d.Slots {
		keys = append(keys, s.runKey(run))
	}
	found, err := s.t.getAll(ctx, keys)
	if err != nil {
		return d, fmt.Errorf("read the runs of the desk: %w", err)
	}
	for run := range d.Slots {
		item, err := asRun(found[s.runKey(run).sk])
		if err != nil {
			return d, err
		}
		if item.ID == "" || s.t.expired(item.Expires) || chat.RunStatus(item.Status).Terminal() {
			d = d.Remove(run)
		}
	}
	return d, nil
}

// asRun reads a RUN item; without one it is the zero item.
func asRun(item attributes) (r runItem, err error) {
	if err := attributevalue.UnmarshalMap(item, &r); err != nil {
		return r, fmt.Errorf("read a run: %w", err)
	}
	return r, nil
}
