package store

import (
	"context"
	"fmt"
	"time"
)

const (
	maxHandOvers = 10               // of one run
	handOverTime = 10 * time.Second // from a hand-over to the time at which sweep examines the run
)

// MayHandOver reports whether the run may be handed over once more.
func (l *Lease) MayHandOver() bool { return l.run.HandOvers < maxHandOvers }

// Continues reports whether the worker before has handed the run over to this one. Then every call without a result in
// the log has not been made.
func (l *Lease) Continues() bool { return l.continues }

// HandOver ends the lease, so that another worker continues the run. The next claim by turn counts no attempt. The
// caller has written all events, stops all work on the run before, and invokes turn afterwards; if it dies in between,
// sweep does so within two minutes. After HandOver, also if it fails, the lease can write nothing more. HandOver may be
// called again after a failure. It fails with chat.ErrLeaseLost if another worker has claimed the run, if the run has
// ended or if it may not be handed over any more.
func (l *Lease) HandOver(ctx context.Context) error {
	l.lost.Store(true)
	now := l.s.t.c.Now()
	_, err := l.s.t.update(ctx, update{
		key: l.s.runKey(l.run.ID),
		change: "SET #lease = :zero, #handed = :fence, #handings = if_not_exists(#handings, :zero) + :one," +
			" #due = :due",
		when: held + " AND (attribute_not_exists(#handings) OR #handings < :most)",
		values: l.withHeld(attributes{
			":zero": number(int64(0)), ":one": number(int64(1)), ":most": number(int64(maxHandOvers)),
			":due": number(min(millis(now.Add(handOverTime)), millis(l.run.Deadline))),
		}),
	})
	if old, isRefused := refused(err); isRefused {
		switch r, err := asRun(old); {
		case err != nil:
			return err
		case r.Nonce == l.nonce && r.handedOver():
			return nil // this lease has handed it over, and the answer was lost
		}
		return l.lose("the run was taken over, has ended or was handed over too often")
	}
	if err != nil {
		return fmt.Errorf("hand a run over: %w", err)
	}
	return nil
}

// notHanded is a part of the condition of Claim, which counts an attempt: the run was not handed over. Only the claim
// of continued takes a run that was.
const notHanded = " AND (attribute_not_exists(#handed) OR #handed <> #fence)"

// continued returns the claim of a run whose worker has handed it over: it counts no attempt.
func continued(worker string) claiming {
	return claiming{
		worker: worker,
		when:   "#status = :running AND #handed = #fence AND #lease < :clock AND #deadline > :clock",
	}
}
