package store

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
	"carrel/shared/runqueue"
)

// StartQueued moves what may start from the queue to seats and returns those runs: the caller invokes turn for each. Of
// more than a transaction takes, the others start with the next call: sweep's, within a minute.
func (s *Store) StartQueued(ctx context.Context) ([]Run, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	nonce := s.t.c.NewID()
	for n := 1; ; n++ {
		d, err := s.queueItem(ctx)
		if err != nil || d.Erasing || len(d.Queued) == 0 {
			return nil, err
		}
		started, err := s.startQueued(ctx, d.queue(), nonce)
		if err == nil {
			return started, nil
		}
		if !anyRefused(err) {
			return nil, fmt.Errorf("start what waits: %w", err)
		}
		if own, err := s.startedBy(ctx, started, nonce); err != nil || len(own) > 0 {
			return own, err
		}
		if waited := pause(ctx, n); waited != nil {
			return nil, fmt.Errorf("start what waits: %w", waited)
		}
	}
}

// startQueued returns the runs that it starts, also with the error of their transaction.
func (s *Store) startQueued(ctx context.Context, d runqueue.Queue, nonce string) ([]Run, error) {
	if after, _ := d.Next(runqueue.Policy{Limits: s.t.c.Limits}); len(after.Queued) > 0 {
		// Some must stay: behind runs, or behind seats that nobody has given back?
		var err error
		if d, err = s.withoutEndedRuns(ctx, d); err != nil {
			return nil, err
		}
	}
	d, next, err := s.startable(ctx, d)
	if err != nil || len(next) == 0 {
		return nil, err
	}
	parts := make([]types.TransactWriteItem, 0, 2*len(next)+1)
	seats, err := s.setQueue(d, false)
	if err != nil {
		return nil, err
	}
	parts = append(parts, seats)
	now := s.t.c.Now()
	started := make([]Run, 0, len(next))
	for _, w := range next {
		r := w.run
		parts = append(parts, s.begin(w.thread, ""), s.t.updatePart(update{
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
			return nil, err
		}
		started = append(started, run)
	}
	return started, s.t.transact(ctx, parts...)
}

// startedBy are those of the runs that this very call started, its answer lost.
func (s *Store) startedBy(ctx context.Context, runs []Run, nonce string) ([]Run, error) {
	keys := make([]key, 0, len(runs))
	for _, r := range runs {
		keys = append(keys, s.runKey(r.ID))
	}
	found, err := s.t.getAll(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("read what was started: %w", err)
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

// starter is a run that waits, and its thread.
type starter struct {
	run    runItem
	thread threadItem
}

// startable is the desk with what starts now moved to seats, and those runs. What does not wait any more, or whose
// thread is gone, is taken off the desk: it must not keep the others from starting, and neither must what waits on a
// thread that waits for a person or was deleted. No more than its threads are read.
func (s *Store) startable(ctx context.Context, was runqueue.Queue) (runqueue.Queue, []starter, error) {
	rules := runqueue.Policy{Limits: s.t.c.Limits, AwaitingInput: map[chat.ThreadID]bool{}}
	rules.Limits.Runs = min(rules.Limits.Runs, len(was.Slots)+(mostParts-1)/2) // the desk, and two parts for each
	for {
		d, next := was.Next(rules)
		var keys []key
		for _, w := range next { // of different threads
			keys = append(keys, s.runKey(w.Run), s.threadKey(w.Thread))
		}
		found, err := s.t.getAll(ctx, keys)
		if err != nil {
			return d, nil, fmt.Errorf("read what waits: %w", err)
		}
		runs := make([]starter, 0, len(next))
		for _, w := range next {
			r, err := asRun(found[s.runKey(w.Run).sk])
			if err != nil {
				return d, nil, err
			}
			var t threadItem
			if err := attributevalue.UnmarshalMap(found[s.threadKey(w.Thread).sk], &t); err != nil {
				return d, nil, fmt.Errorf("read a thread: %w", err)
			}
			switch {
			case chat.RunStatus(r.Status) != chat.RunQueued || t.ID == "":
				was = was.Remove(w.Run)
			case len(s.t.open(t)) > 0 || !s.t.visible(t): // a deleted thread's runs are found here and cancelled
				rules.AwaitingInput[w.Thread] = true
			default:
				runs = append(runs, starter{r, t})
			}
		}
		if len(runs) == len(next) {
			return d, runs, nil
		}
	}
}
