package store

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// Claim claims a run for a turn: an admitted run, or a running run whose lease has expired and whose deadline has not
// passed. The claim itself counts the attempt, so an attempt that dies while it loads the run is counted too. A claim
// of a run that was handed over counts no attempt. Claim
// fails with chat.ErrNotClaimed if another worker holds the lease, if the run has ended, or if its time or attempts
// are used up (then sweep ends it); with chat.ErrNotFound; and with chat.ErrForeign if the record names another user,
// which means that a key was wrong. On failure nothing is changed.
func (s *Store) Claim(ctx context.Context, id chat.RunID) (*Lease, error) {
	if err := checkID("run", id); err != nil {
		return nil, err
	}
	worker := ""
	if s.t.c.Worker != nil {
		worker = s.t.c.Worker(ctx)
	}
	return s.claim(ctx, id, claiming{
		worker: worker, keepsDue: true,
		count: ", #attempts = if_not_exists(#attempts, :zero) + :one",
		when: "(#status = :admitted OR (#status = :running AND #lease < :clock AND #deadline > :clock))" +
			" AND (attribute_not_exists(#attempts) OR #attempts < :most)" + notHanded,
		values: attributes{
			":admitted": text(chat.RunAdmitted), ":zero": number(int64(0)),
			":most": number(int64(s.t.c.Limits.Attempts)),
		},
	})
}

// ClaimExpired claims a run whose worker has died, to end it: a running run whose lease has expired, or an admitted run
// that no turn claimed before its deadline. It counts no attempt and needs none to be left. It fails with
// chat.ErrNotClaimed for any other run, and with chat.ErrNotFound. Only sweep uses it.
func (s *Store) ClaimExpired(ctx context.Context, id chat.RunID) (*Lease, error) {
	r, err := s.runItem(ctx, id)
	if err != nil {
		return nil, err
	}
	now := s.t.c.Now()
	// The condition repeats the values that were read, so a worker that claims or renews in between keeps the run.
	seen := attributes{":seen": text(r.Status), ":fence": number(r.Fence), ":old": text(r.Nonce)}
	const unchanged = "#status = :seen AND #fence = :fence AND #nonce = :old AND "
	switch {
	case chat.RunStatus(r.Status) == chat.RunRunning && fromMillis(r.Lease).Before(now):
		return s.claim(ctx, id, claiming{when: unchanged + "#lease < :clock", values: seen})
	case chat.RunStatus(r.Status) == chat.RunAdmitted && fromMillis(r.Deadline).Before(now):
		return s.claim(ctx, id, claiming{when: unchanged + "#deadline < :clock", values: seen})
	}
	return nil, fmt.Errorf("claim an expired run: %w", chat.ErrNotClaimed)
}

// ClaimUnclaimed claims an admitted run, to end it: its turn failed before the claim, or Lambda never ran it. It counts
// no attempt. It fails with chat.ErrNotClaimed for any other run, and with chat.ErrNotFound. Only sweep uses it.
func (s *Store) ClaimUnclaimed(ctx context.Context, id chat.RunID) (*Lease, error) {
	if err := checkID("run", id); err != nil {
		return nil, err
	}
	return s.claim(ctx, id, claiming{when: "#status = :seen", values: attributes{":seen": text(chat.RunAdmitted)}})
}

// claiming is the part of the update that differs between the kinds of claim.
type claiming struct {
	worker string // the id of the invocation that claims; "" if no failure record can name it
	count  string // an additional change
	when   string
	values attributes

	// keepsDue leaves the due time as it is if it is neither near nor far ahead, as it is after an admission.
	keepsDue bool
}

// claim claims the run if the condition holds. The deadline counts from the first claim, so later attempts do not
// extend the run's time.
func (s *Store) claim(ctx context.Context, id chat.RunID, c claiming) (*Lease, error) {
	now, nonce := s.t.c.Now(), s.t.c.NewID()
	item, err := s.claimAt(ctx, id, c, now, nonce)
	if err != nil {
		return nil, fmt.Errorf("claim a run: %w", err)
	}
	r, err := asRun(item)
	switch {
	case err != nil:
		return nil, err
	case r.ID == "" || s.t.expired(r.Expires):
		return nil, fmt.Errorf("claim a run: %w", chat.ErrNotFound)
	case r.User != s.user.Key():
		return nil, fmt.Errorf("claim a run: %w", chat.ErrForeign)
	case r.Nonce != nonce:
		return nil, fmt.Errorf("claim a run: %w", chat.ErrNotClaimed)
	}
	l := &Lease{s: s, nonce: nonce, folder: agui.Folder{MaxBytes: maxTranscript},
		continues: r.Handed != 0 && r.Handed == r.Fence-1}
	l.lease.Store(r.Lease)
	l.due.Store(r.Due)
	if err := l.load(ctx, r); err != nil {
		return nil, err // the lease expires
	}
	return l, nil
}

// claimAt makes the update of a claim and returns the run's record afterwards, also if the condition does not hold.
// With nonce in it the update was made, perhaps by a request whose response was lost.
func (s *Store) claimAt(
	ctx context.Context, id chat.RunID, c claiming, now time.Time, nonce string,
) (attributes, error) {
	if c.keepsDue { // a change of the index costs two write units
		item, err := s.claimWith(ctx, id, c, "", " AND #due BETWEEN :soon AND :late", attributes{
			":soon": number(millis(now.Add(moveDueBelow))), ":late": number(millis(now.Add(lookTime + clockMargin))),
		}, now, nonce)
		if err != nil {
			return nil, err
		}
		r, err := asRun(item)
		due := fromMillis(r.Due)
		kept := !due.Before(now.Add(moveDueBelow)) && !due.After(now.Add(lookTime+clockMargin))
		if err != nil || r.Nonce == nonce || kept && !r.handedOver() {
			return item, err
		}
		if r.handedOver() {
			c = continued(c.worker)
		}
	}
	due := attributes{":due": number(millis(now.Add(lookTime)))}
	return s.claimWith(ctx, id, c, ", #due = :due", "", due, now, nonce)
}

// claimWith makes the update with a further change and condition.
func (s *Store) claimWith(
	ctx context.Context, id chat.RunID, c claiming, change, when string, values attributes, now time.Time, nonce string,
) (attributes, error) {
	maps.Copy(values, c.values)
	values[":running"], values[":nonce"], values[":one"] = text(chat.RunRunning), text(nonce), number(int64(1))
	values[":lease"], values[":clock"] = number(millis(now.Add(leaseTime))), number(millis(now))
	values[":worker"], values[":me"] = text(c.worker), text(s.user.Key())
	values[":time"], values[":now"] = number((s.t.c.Limits.RunTime + overTime).Milliseconds()), number(s.t.nowSeconds())
	item, err := s.t.update(ctx, update{
		key: s.runKey(id),
		change: "SET #status = :running, #fence = #fence + :one, #nonce = :nonce, #lease = :lease," +
			" #worker = :worker, #started = if_not_exists(#started, :clock)," +
			" #deadline = if_not_exists(#started, :clock) + :time" + c.count + change,
		when: present + " AND #user = :me AND " + c.when + when, values: values,
	})
	if old, isRefused := refused(err); isRefused {
		return old, nil
	}
	return item, err
}

// load reads the run's input, thread and log after the claim: first the last record of the log, then RUN together with
// THREAD and the input. If RUN still has this claim, no other claim has written to the log before the first read. A
// later claim cannot end the run without moving the head beyond the last record.
func (l *Lease) load(ctx context.Context, r runItem) (err error) {
	s := l.s
	if l.run, err = r.run(); err != nil {
		return err
	}
	tail, found, err := s.recordBefore(ctx, l.run.Thread, chat.Epoch(r.Epoch), lastSeq)
	if err != nil {
		return err
	}
	run, thread := s.runKey(l.run.ID), s.threadKey(l.run.Thread)
	keys := []key{run, thread}
	if r.Inside == "" {
		keys = append(keys, s.inputKey(l.run.ID, r.Input))
	}
	items, err := s.t.getAll(ctx, keys)
	if err != nil {
		return fmt.Errorf("read a claimed run, its thread and its input: %w", err)
	}
	now, err := asRun(items[run.sk])
	if err != nil {
		return err
	}
	if err := l.stillHeld(now); err != nil {
		return err
	}
	l.run.CancelRequested = now.Cancel
	if err := l.loadThread(r, items[thread.sk]); err != nil {
		return err
	}
	l.loadInput(r, items)
	if l.deleted {
		return nil
	}
	return l.loadLog(ctx, tail, found)
}

// loadThread decodes the thread. A thread that was deleted, and perhaps created again, is not the run's thread.
func (l *Lease) loadThread(r runItem, item attributes) error {
	var t threadItem
	if err := attributevalue.UnmarshalMap(item, &t); err != nil {
		return fmt.Errorf("decode a claimed run's thread: %w", err)
	}
	if l.deleted = t.ID == "" || t.Epoch != r.Epoch || !l.s.t.visible(t); l.deleted {
		t = threadItem{ID: r.Thread}
	}
	l.thread = l.s.t.thread(t)
	return nil
}

// loadInput decodes the input, from RUN or the items that were read. If TTL has deleted it, the run can only be ended.
func (l *Lease) loadInput(r runItem, items map[string]attributes) {
	l.input = Admission{Run: l.run.ID, Thread: l.run.Thread, Agent: l.run.Agent}
	input, found, err := l.s.inputFrom(r, items)
	if err != nil {
		l.broken = fmt.Errorf("a run's input: %w: %w", ErrUnreadable, err)
	} else if found {
		l.input = input
	}
}
