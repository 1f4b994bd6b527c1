package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// worker is a turn that has claimed its run.
type worker struct {
	a         *actor
	h         *store.Lease
	messages  int
	cancelled bool
}

func turn(a *actor, id chat.RunID) {
	a.since = a.now()
	h, err := a.store.Claim(a.ctx, id)
	if !a.claimed(id, err) {
		return
	}
	w := &worker{a: a, h: h}
	if !h.Deleted() && !w.begin() || !w.work() {
		return
	}
	if !w.cancelled && !h.Deleted() && h.MayHandOver() && a.rng.IntN(6) == 0 {
		w.handOver()
		return
	}
	a.m.responsesOf(w)
	last := storetest.Finished(h)
	switch {
	case w.cancelled || h.Deleted():
		last.Outcome.Type = agui.OutcomeCancelled
	case a.m.more > 0 && a.rng.IntN(3) > 0:
		last.Outcome = &agui.Outcome{Type: agui.OutcomeInterrupt, Interrupts: w.interrupts()}
	}
	w.end(func() []agui.Event {
		return append(agui.Close(h.PreviousEvents()), last) // this attempt has closed its own messages
	})
}

// begin writes the first record. It chooses the events again each time that a previous attempt has appended a record.
func (w *worker) begin() bool {
	if w.h.Continues() && w.h.HasRecords() {
		return true // nothing is left open
	}
	for {
		first := []agui.Event{storetest.Started(w.h)}
		if previous := w.h.PreviousEvents(); len(previous) > 0 {
			first = append(agui.Close(previous), agui.Event{
				Type: agui.Custom, Name: "carrel.attempt",
				Value: json.RawMessage(fmt.Sprintf(`{"attempt":%d}`, w.h.Run().Fence)),
			})
		}
		done, again := w.append(first)
		if !again {
			return done
		}
	}
}

// append writes one record. again is true if a previous attempt has appended a record in between.
func (w *worker) append(events []agui.Event) (done, again bool) {
	for {
		seq, err := w.h.Append(w.a.ctx, events)
		if errors.Is(err, store.ErrStaleAttempt) {
			if w.h.Continues() && w.h.HasRecords() {
				w.a.m.fail("%s: the worker that handed %s over wrote afterwards", w.a.name, w.h.Run().ID)
			}
			return false, true
		}
		if err != nil && !w.a.dead && w.a.excused(err) {
			continue // a failed call may be repeated
		}
		if w.passed("append", err) {
			w.a.m.acknowledged(w, seq, events)
			return true, false
		}
		return errors.Is(err, store.ErrDeleted), false // the run of a deleted thread can only be ended
	}
}

// passed checks the error of a method of the lease.
func (w *worker) passed(what string, err error) bool {
	if errors.Is(err, chat.ErrLeaseLost) && !w.a.dead {
		w.a.m.fenced(w)
	}
	return w.a.succeeded(what, err, chat.ErrLeaseLost, store.ErrDeleted)
}

// work does a random part of the work of a turn between its first and its last record.
func (w *worker) work() bool {
	for range w.a.rng.IntN(5) {
		going := true
		switch w.a.rng.IntN(4) {
		case 0:
			going = w.passed("renew", w.h.Renew(w.a.ctx))
		case 1:
			var err error
			w.cancelled, err = w.h.CancelRequested(w.a.ctx)
			going = w.passed("read the cancel request", err)
		default:
			going = w.say()
		}
		if !going || w.cancelled {
			return going
		}
	}
	return true
}

// say calls a model and appends its message.
func (w *worker) say() bool {
	if w.h.Expires().Sub(w.a.now()) < 5*time.Second {
		if !w.passed("renew", w.h.Renew(w.a.ctx)) {
			return false
		}
	}
	if w.h.Expires().Sub(w.a.now()) >= 5*time.Second {
		w.a.m.calls(w)
	}
	w.messages++
	id := fmt.Sprintf("%s/%d/%d", w.h.Run().ID, w.h.Run().Fence, w.messages)
	message := storetest.Said(id, "says "+id)
	mark := storetest.Marked(w.messages, 2, 1)
	for _, events := range [][]agui.Event{message[:1], append(message[1:], mark)} {
		if done, _ := w.append(events); !done {
			return false
		}
	}
	return true
}

// handOver hands the run over. Sometimes the worker dies before it invokes the next one.
func (w *worker) handOver() {
	for range 5 {
		err := w.h.HandOver(w.a.ctx)
		if err != nil && !w.a.dead && w.a.excused(err) {
			continue
		}
		if w.passed("hand over", err) && w.a.rng.IntN(5) > 0 {
			w.a.m.invoked(w.h.Run().ID)
		}
		return
	}
}

// interrupts returns one or two interrupts, some of which expire soon.
func (w *worker) interrupts() (asked []agui.Interrupt) {
	for n := range 1 + w.a.rng.IntN(2) {
		q := agui.Interrupt{ID: chat.InterruptID(fmt.Sprintf("q/%s/%d", w.h.Run().ID, n)), Reason: "confirm"}
		if w.a.rng.IntN(3) == 0 {
			q.ExpiresAt = w.a.m.now.Add(5 * time.Minute).UTC().Format(time.RFC3339)
		}
		asked = append(asked, q)
	}
	return asked
}

// end ends the run and starts the queued runs.
func (w *worker) end(last func() []agui.Event) {
	for range 5 {
		if w.a.rng.IntN(4) > 0 {
			w.passed("prepare the end", w.h.PrepareEnd(w.a.ctx))
		}
		ended, err := w.h.End(w.a.ctx, last())
		if err != nil && !w.a.dead && (w.a.excused(err) || errors.Is(err, store.ErrStaleAttempt)) {
			continue
		}
		if w.passed("end", err) || errors.Is(err, store.ErrDeleted) && !w.a.dead {
			w.a.m.ended(w)
			w.a.m.statusAfter(w, ended)
			startQueued(w.a)
		}
		return
	}
}
