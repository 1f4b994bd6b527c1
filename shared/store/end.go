package store

import (
	"context"
	"errors"
	"fmt"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// ErrDeleted is returned by Append and End if the run's thread was deleted. After End the run has ended all the same,
// and nothing is sent about it.
var ErrDeleted = errors.New("its thread was deleted")

// End ends the run. It stores the transcript, which it folds from the events of all attempts. Then one transaction
// writes the last record, the thread's head, the run's status and the free slot; with the outcome interrupt also the
// thread's open interrupts. last must end with a terminal event, which determines the run's status.
//
// End fails as Append does. If the thread was deleted, the run ends without a record in the thread, and the error is
// ErrDeleted. The caller then calls StartQueued.
func (l *Lease) End(ctx context.Context, last []agui.Event) (Ended, error) {
	if err := l.checkHeld(); err != nil {
		return Ended{}, err
	}
	if len(last) == 0 || !last[len(last)-1].Terminal() {
		return Ended{}, errors.New("end a run: its last event is not a terminal one")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := endCall{Lease: l, events: last, terminal: last[len(last)-1]}
	for n := 1; ; n++ {
		if l.deleted {
			return Ended{}, l.endDeleted(ctx, c.events)
		}
		r, done, err := c.attempt(ctx)
		if err != nil {
			return Ended{}, err
		}
		if done {
			return Ended{Seq: chat.Seq(r.Seq), Thread: l.thread, Status: l.statusAfter}, nil
		}
		if waited := pause(ctx, n); waited != nil {
			return Ended{}, fmt.Errorf("end a run: %w", waited)
		}
	}
}

// Ended is a run's end as it was written.
type Ended struct {
	Seq    chat.Seq          // of the first event of the last record
	Thread Thread            // after the write
	Status chat.ThreadStatus // of the thread after the write; "" if End does not know it: see PrepareEnd
}

// PrepareEnd reads the run queue, so that End knows the status of the thread after its write without a request of its
// own. If the thread changes between PrepareEnd and the write, End does not know the status: every change of the run
// queue that concerns a thread changes the thread too. PrepareEnd may run beside Append, and must return before End.
func (l *Lease) PrepareEnd(ctx context.Context) error {
	queue, err := l.s.RunQueue(ctx)
	if err != nil {
		return err
	}
	delete(queue.Slots, l.run.ID)
	l.statusAfter = queue.Status(l.run.Thread)
	return nil
}

// endCall is one call of End. It makes as many attempts as concurrent writes require.
type endCall struct {
	*Lease
	events     []agui.Event // of the last record
	terminal   agui.Event   // the last of the events
	transcript chat.Seq     // the last sequence number with which the transcript was stored
}

// attempt stores the transcript and writes the terminal transaction for the next record of the log. done is false if a
// concurrent write requires another attempt.
func (c *endCall) attempt(ctx context.Context) (r recordItem, done bool, err error) {
	if r, err = c.record(c.events); err != nil {
		return r, false, err
	}
	if err := c.storeTranscript(ctx, r); err != nil {
		return r, false, err
	}
	t := c.threadAfter(r, c.terminal)
	if err := c.writeEnd(ctx, r, t, c.events); err != nil {
		if own, err := c.endRefused(err, r); err != nil || !own {
			return r, false, err
		}
	}
	c.advance(r, c.events)
	c.wrote, c.thread = true, t
	c.lost.Store(true)
	return r, true, nil
}

// storeTranscript stores the transcript unless an earlier attempt stored it with the same last sequence number.
func (c *endCall) storeTranscript(ctx context.Context, r recordItem) error {
	if c.transcript != r.last() {
		if err := c.putTranscript(ctx, r, c.events); err != nil {
			return err
		}
		c.transcript = r.last()
	}
	return nil
}

// threadAfter returns the thread with r as its last record and with the interrupts of the terminal event.
func (l *Lease) threadAfter(r recordItem, terminal agui.Event) Thread {
	t := l.thread
	t.Head, t.Interrupts = r.last(), l.s.t.interruptsOf(terminal)
	t.Updated = fromMillis(l.s.t.after(millis(t.Updated)))
	return t
}

// putTranscript stores the run's messages, unless a claim with a higher fence has stored them. Readers ignore the
// transcript until the thread's head has reached its last event.
func (l *Lease) putTranscript(ctx context.Context, r recordItem, last []agui.Event) error {
	f := l.folder.Clone() // this attempt may fail, and a later one folds again
	header := l.header
	for _, e := range last {
		f.Add(e)
		header.Add(e)
	}
	messages, size, err := fitting(f)
	if err != nil {
		return err
	}
	content, err := packed{header, messages, size}.pack(l.run.ID)
	if err != nil {
		return err
	}
	first := l.first
	if first == 0 {
		first = chat.Seq(r.Seq)
	}
	err = l.s.t.put(ctx, transcriptItem{
		PK: r.PK, SK: transcriptSort(first), First: int64(first), Last: int64(r.last()), Run: r.Run, Fence: r.Fence,
		Packed: content,
	}, "attribute_not_exists(#pk) OR #f <= :fence", attributes{":fence": number(r.Fence)})
	if _, isRefused := refused(err); isRefused {
		return l.lose("another attempt has stored the transcript")
	}
	if err != nil {
		return fmt.Errorf("store the transcript: %w", err)
	}
	return nil
}

// endDeleted ends a run whose thread was deleted. It writes nothing to the thread, because the thread is being erased.
func (l *Lease) endDeleted(ctx context.Context, last []agui.Event) error {
	run, queue, err := l.endParts(last)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		err := l.s.t.transact(ctx, run, queue)
		if old, isRefused := refusedPart(err, 0); isRefused {
			switch r, err := asRun(old); {
			case err != nil:
				return err
			case r.Nonce != l.nonce || !chat.RunStatus(r.Status).Terminal():
				return l.lose("the run was taken over or has ended")
			}
			err = nil // this lease ended it, and the answer was lost
		}
		switch {
		case err == nil:
			l.lost.Store(true)
			return fmt.Errorf("end a run: %w", ErrDeleted)
		case !conflicted(err):
			return fmt.Errorf("end a run: %w", err)
		}
		if waited := pause(ctx, n); waited != nil {
			return fmt.Errorf("end a run: %w", waited)
		}
	}
}
