package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/runqueue"
)

// The parts of the terminal transaction, in order.
const (
	endLog = iota
	endThread
	endRun
	endQueue
)

// writeEnd writes the terminal transaction. The run's fence guards it, so the condition does not include the version of
// the run queue: a busy run queue never blocks the end of a run.
func (l *Lease) writeEnd(ctx context.Context, r recordItem, t Thread, last []agui.Event) error {
	record, err := l.s.t.putPart(r, absent, attributes{":now": number(l.s.t.nowSeconds())})
	if err != nil {
		return fmt.Errorf("end a run: %w", err)
	}
	run, queue, err := l.endParts(last)
	if err != nil {
		return err
	}
	thread, err := l.endThread(t)
	if err != nil {
		return err
	}
	parts := [...]types.TransactWriteItem{endLog: record, endThread: thread, endRun: run, endQueue: queue}
	return l.s.t.transact(ctx, parts[:]...)
}

// endThread changes the thread to t, on the condition that it has not changed since it was read: End returns its title,
// its place in the list and its status.
func (l *Lease) endThread(t Thread) (types.TransactWriteItem, error) {
	u := update{
		key: l.s.threadKey(t.ID), change: "SET #head = :head, #updated = :updated",
		when: standing + " AND #epoch = :epoch AND #updated = :was",
		values: attributes{
			":head": number(t.Head), ":updated": number(millis(t.Updated)), ":epoch": text(t.Epoch),
			":was": number(millis(l.thread.Updated)),
		},
	}
	if len(t.Interrupts) > 0 {
		open, err := attributevalue.Marshal(interrupts(t.Interrupts))
		if err != nil {
			return types.TransactWriteItem{}, fmt.Errorf("encode the interrupts of a thread: %w", err)
		}
		u.change += ", #open = :open, #asked = :asked"
		u.values[":open"], u.values[":asked"] = open, text(l.run.ID)
	}
	return l.s.t.updatePart(u), nil
}

// endParts ends the run's record, frees its slot and adds its tokens to those of the day. last has the events of its
// last record. The condition on the run's record makes sure that the tokens are added once.
func (l *Lease) endParts(last []agui.Event) (run, queue types.TransactWriteItem, err error) {
	terminal := last[len(last)-1]
	usage, err := usageText(terminal.Usage)
	if err != nil {
		return run, queue, fmt.Errorf("end a run: %w", err)
	}
	run = l.s.t.updatePart(update{
		key: l.s.runKey(l.run.ID), when: held,
		change: "SET #status = :status, #ended = :ended, #usage = :usage, #stats = :stats" +
			" REMOVE #live, #due, #deadline, #lease, #in",
		values: l.withHeld(attributes{
			":status": text(statusOf(terminal)), ":ended": number(millis(l.s.t.c.Now())), ":usage": text(usage),
			":stats": text(statsText(l.stats)),
		}),
	})
	free := update{
		key: l.s.queueKey(), change: "REMOVE #slots.#run SET #version = #version + :one", when: "attribute_exists(#pk)",
		values: attributes{":one": number(int64(1))}, names: map[string]string{"#run": string(l.run.ID)},
	}
	if used := l.tokens + tokensIn(last); used > 0 {
		free.change += ", #tokens.#day = if_not_exists(#tokens.#day, :zero) + :used"
		free.values[":zero"], free.values[":used"] = number(int64(0)), number(used)
		free.names["#day"] = runqueue.Day(l.s.t.c.Now())
	}
	return run, l.s.t.updatePart(free), nil
}

// tokensIn returns the input and output tokens of the model calls that events report.
func tokensIn(events []agui.Event) (n int64) {
	for _, u := range agui.TokensOf(events) {
		n += int64(u.InputTokens) + int64(u.OutputTokens)
	}
	return n
}

// statusOf returns the status of a run that ends with a terminal event.
func statusOf(terminal agui.Event) chat.RunStatus {
	outcome := terminal.Outcome
	switch {
	case terminal.Type == agui.RunError:
		return chat.RunFailed
	case outcome != nil && outcome.Type == agui.OutcomeCancelled:
		return chat.RunCancelled
	case outcome != nil && outcome.Type == agui.OutcomeInterrupt && len(outcome.Interrupts) > 0:
		return chat.RunSuspended
	default:
		return chat.RunFinished
	}
}

// endRefused examines why the terminal transaction failed. own is true if an earlier try of this lease wrote it and the
// answer was lost. Otherwise the caller makes another attempt, or err says why the run cannot be ended.
func (l *Lease) endRefused(failed error, r recordItem) (own bool, err error) {
	if old, isRefused := refusedPart(failed, endRun); isRefused {
		run, err := asRun(old)
		if err != nil {
			return false, err
		}
		if run.Nonce == l.nonce && chat.RunStatus(run.Status).Terminal() {
			return true, nil
		}
		return false, l.lose("the run was taken over or has ended")
	}
	if old, isRefused := refusedPart(failed, endLog); isRefused {
		return l.recordExists(old, r)
	}
	if old, isRefused := refusedPart(failed, endThread); isRefused {
		return false, l.refreshThread(old)
	}
	if _, isRefused := refusedPart(failed, endQueue); isRefused {
		return false, errors.New("end a run: the user has no run queue")
	}
	if conflicted(failed) {
		return false, nil
	}
	return false, fmt.Errorf("end a run: %w", failed)
}

// refreshThread takes over the current thread: it has changed since it was read, or it was deleted. The run queue may
// have changed with it.
func (l *Lease) refreshThread(old attributes) error {
	l.statusAfter = ""
	var t threadItem
	if err := attributevalue.UnmarshalMap(old, &t); err != nil {
		return fmt.Errorf("decode a thread: %w", err)
	}
	if l.deleted = t.Epoch != string(l.thread.Epoch) || !l.s.t.visible(t); !l.deleted {
		l.thread = l.s.t.thread(t)
	}
	return nil
}
