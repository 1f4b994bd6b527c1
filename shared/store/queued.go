package store

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
	"carrel/shared/runqueue"
)

// StartQueued moves the queued runs that may start now to slots and returns them. The caller invokes turn for each. If
// more runs may start than fit into one transaction, the next call starts the others; sweep calls StartQueued within a
// minute.
func (s *Store) StartQueued(ctx context.Context) ([]Run, error) {
	started, _, err := s.StartNext(ctx)
	return started, err
}

// StartNext is StartQueued, and returns the run queue after it as well.
func (s *Store) StartNext(ctx context.Context) (started []Run, after runqueue.Queue, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	nonce := s.t.c.NewID()
	for n := 1; ; n++ {
		item, err := s.queueItem(s.t.reader(ctx))
		if err != nil || item.Erasing || len(item.Queued) == 0 {
			return nil, item.queue(), err
		}
		started, after, err := s.startQueued(ctx, item.queue(), nonce)
		if err == nil {
			return started, after, nil
		}
		if !anyRefused(err) {
			return nil, after, fmt.Errorf("start queued runs: %w", err)
		}
		if own, err := s.startedBy(ctx, started, nonce); err != nil || len(own) > 0 {
			return own, after, err
		}
		if waited := pause(ctx, n); waited != nil {
			return nil, after, fmt.Errorf("start queued runs: %w", waited)
		}
	}
}

// startQueued makes one attempt. It returns the runs that it starts and the run queue afterwards, also together with
// the error of their transaction.
func (s *Store) startQueued(
	ctx context.Context, q runqueue.Queue, nonce string,
) (started []Run, after runqueue.Queue, err error) {
	if after, _ := q.Next(runqueue.Policy{Limits: s.t.c.Limits}); len(after.Queued) > 0 {
		// Some runs stay queued. Perhaps a run that has ended still has a slot.
		if q, err = s.withoutEndedRuns(ctx, q); err != nil {
			return nil, q, err
		}
	}
	q, next, err := s.startable(ctx, q)
	if err != nil || len(next) == 0 {
		return nil, q, err
	}
	parts := make([]types.TransactWriteItem, 0, 2*len(next)+1)
	queue, err := s.setQueue(q, false)
	if err != nil {
		return nil, q, err
	}
	parts = append(parts, queue)
	now := s.t.c.Now()
	for _, n := range next {
		r := n.run
		parts = append(parts, s.begin(n.thread, ""), s.t.updatePart(update{
			key: key{r.PK, r.SK}, change: "SET #status = :admitted, #deadline = :deadline, #due = :due, #nonce = :nonce",
			when: "attribute_exists(#pk) AND #status = :queued AND #fence = :zero",
			values: attributes{
				":admitted": text(chat.RunAdmitted), ":queued": text(chat.RunQueued),
				":deadline": number(millis(now.Add(claimTime))), ":due": number(millis(now.Add(lookTime))),
				":zero": number(int64(0)), ":nonce": text(nonce),
			},
		}))
		r.Status = string(chat.RunAdmitted)
		run, err := r.run()
		if err != nil {
			return nil, q, err
		}
		started = append(started, run)
	}
	return started, q, s.t.transact(ctx, parts...)
}

// startedBy returns those of the runs that the call with this nonce started; the answer to its transaction was lost.
func (s *Store) startedBy(ctx context.Context, runs []Run, nonce string) ([]Run, error) {
	keys := make([]key, 0, len(runs))
	for _, r := range runs {
		keys = append(keys, s.runKey(r.ID))
	}
	found, err := s.t.getAll(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("read the runs that may have been started: %w", err)
	}
	var own []Run
	for _, r := range runs {
		item, err := asRun(found[s.runKey(r.ID).sk])
		if err != nil {
			return nil, err
		}
		if item.Nonce == nonce {
			own = append(own, r)
		}
	}
	return own, nil
}

// starter is a queued run that may start, with its thread.
type starter struct {
	run    runItem
	thread threadItem
}

// startable returns the run queue after the start of the runs that may start now, and those runs. It removes entries
// whose run is not queued any more or whose thread does not exist, and skips entries whose thread has open interrupts
// or was deleted: neither may keep other runs from starting. It reads only the runs and threads that could start.
func (s *Store) startable(ctx context.Context, q runqueue.Queue) (runqueue.Queue, []starter, error) {
	policy := runqueue.Policy{Limits: s.t.c.Limits, AwaitingInput: map[chat.ThreadID]bool{}}
	// A transaction has one part for the run queue and two for each run.
	policy.Limits.Runs = min(policy.Limits.Runs, len(q.Slots)+(mostParts-1)/2)
	for {
		after, next := q.Next(policy)
		var keys []key
		for _, e := range next { // of different threads
			keys = append(keys, s.runKey(e.Run), s.threadKey(e.Thread))
		}
		found, err := s.t.getAll(ctx, keys)
		if err != nil {
			return after, nil, fmt.Errorf("read the queued runs and their threads: %w", err)
		}
		runs := make([]starter, 0, len(next))
		for _, e := range next {
			r, err := asRun(found[s.runKey(e.Run).sk])
			if err != nil {
				return after, nil, err
			}
			var t threadItem
			if err := attributevalue.UnmarshalMap(found[s.threadKey(e.Thread).sk], &t); err != nil {
				return after, nil, fmt.Errorf("decode a thread: %w", err)
			}
			switch {
			case chat.RunStatus(r.Status) != chat.RunQueued || t.ID == "":
				q = q.Remove(e.Run)
			case len(s.t.open(t)) > 0 || !s.t.visible(t): // CancelRuns cancels the runs of a deleted thread
				policy.AwaitingInput[e.Thread] = true
			default:
				runs = append(runs, starter{r, t})
			}
		}
		if len(runs) == len(next) {
			return after, runs, nil
		}
	}
}
