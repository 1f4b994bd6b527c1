package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/emit"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// What the functions do with the store, in a few lines each.

// ask is one thing that a person does at a device.
type ask struct {
	name string
	do   func(a *actor)
}

func (m *model) ask(n int) {
	todo := m.asks[n]
	m.asks = slices.Delete(m.asks, n, n+1)
	m.start(todo.name, todo.do)
}

// excused tells whether an error proves nothing: the process is dead, or all of a request's answers were lost.
func (a *actor) excused(err error) bool {
	return a.dead || err != nil && strings.Contains(err.Error(), "the answer was lost")
}

// went ends the schedule if an operation failed in a way that its contract does not know.
func (a *actor) went(what string, err error, may ...error) bool {
	if err == nil {
		return !a.dead
	}
	if !a.excused(err) && !slices.ContainsFunc(may, func(e error) bool { return errors.Is(err, e) }) {
		a.m.fail("%s: %s: %v", a.name, what, err)
	}
	a.m.note("%s: %s: %v", a.name, what, err)
	return false
}

// admit is what the function message does with a run.
func admit(a *actor, asked store.Admission) {
	got, err := a.store.Admit(a.ctx, asked)
	if !a.went("admit", err, chat.ErrBusy, chat.ErrTooManyRuns, chat.ErrNotFound, chat.ErrInterrupted, chat.ErrRateLimited) {
		if a.did["created "+string(asked.Run)] != "" && !a.excused(err) {
			a.m.fail("%s: %s was admitted, and its device was told: %v", a.name, asked.Run, err)
		}
		return
	}
	a.m.note("%s: %s is %s", a.name, asked.Run, got.Run.Status)
	a.m.accept(a, asked, got)
	if got.Repeat && a.did["created "+string(asked.Run)] != "" {
		a.m.fail("%s: takes its own admission of %s for a repeat", a.name, asked.Run)
	}
	if got.Invoke {
		a.m.invokes = append(a.m.invokes, asked.Run)
	}
}

func cancel(a *actor, run chat.RunID) {
	c, err := a.store.Cancel(a.ctx, run)
	if !a.went("cancel", err) {
		return
	}
	a.m.cancelled(a, run, c)
	if c.Ended {
		startWaiting(a)
	}
}

func remove(a *actor, thread chat.ThreadID) {
	_, err := a.store.Delete(a.ctx, thread)
	if a.went("delete", err, chat.ErrNotFound) {
		a.m.note("%s: deleted", a.name)
		cancelAll(a, thread)
	}
}

// cancelAll cancels a deleted thread's runs.
func cancelAll(a *actor, thread chat.ThreadID) {
	_, err := a.store.CancelRuns(a.ctx, thread)
	if a.went("cancel the thread's runs", err) {
		startWaiting(a)
	}
}

func erase(a *actor, e store.Erasure) {
	cancelAll(a, e.Thread)
	a.went("erase", a.store.Erase(a.ctx, e))
}

func startWaiting(a *actor) {
	runs, err := a.store.StartWaiting(a.ctx)
	if !a.went("start what waits", err) {
		return
	}
	for _, r := range runs {
		delete(a.did, "started "+string(r.ID))
		a.m.invokes = append(a.m.invokes, r.ID)
	}
	for did := range a.did {
		if run, ok := strings.CutPrefix(did, "started "); ok && a.stands("started", chat.RunID(run)) {
			a.m.fail("%s: %s, and nobody is told to invoke it", a.name, did)
		}
	}
}

// sweep looks at what the live index shows, which lags behind.
func sweep(a *actor) {
	var waiting []store.Run
	for _, run := range a.m.live() {
		if r := lookAfter(a, run); r.Status == chat.RunWaiting {
			waiting = append(waiting, r)
		}
	}
	for _, key := range sorted(a.m.was.erasures) {
		thread, epoch, _ := strings.Cut(strings.TrimPrefix(key, "ERASE#"), "#")
		if a.m.was.erasures[key].Deadline <= a.m.now.UnixMilli() {
			a.m.erases = append(a.m.erases, store.Erasure{Thread: chat.ThreadID(thread), Epoch: chat.Epoch(epoch)})
		}
	}
	startWaiting(a)
	for _, run := range waiting {
		if a.m.now.After(run.Deadline) {
			_, err := a.store.ExpireWaiting(a.ctx, run.ID)
			a.went("expire", err, chat.ErrNotClaimed, chat.ErrNotFound)
		}
	}
}

// lookAfter has a run whose worker is gone tried again, or ends it.
func lookAfter(a *actor, id chat.RunID) store.Run {
	run, err := a.store.Run(a.ctx, id)
	if !a.went("read a run", err, chat.ErrNotFound) {
		return run
	}
	now, more := a.m.now, a.rng.IntN(5) > 0 // else the invoke fails
	switch {
	case run.Status == chat.RunAdmitted && now.After(run.Deadline):
		more = more && now.Before(run.Deadline.Add(3*time.Minute))
	case run.Status == chat.RunRunning && now.After(run.Lease):
		more = more && run.Attempts < a.m.limits.Attempts && now.Before(run.Deadline)
	default:
		return run
	}
	if more {
		a.m.invokes = append(a.m.invokes, id)
	} else {
		endExpired(a, id)
	}
	return run
}

// endExpired ends a run whose worker is gone.
func endExpired(a *actor, id chat.RunID) {
	h, err := a.store.ClaimExpired(a.ctx, id)
	if !a.claimed(id, err) {
		return
	}
	w := &worker{a: a, h: h}
	w.end(func() []agui.Event {
		return emit.Died(h.Earlier(), storetest.Started(h))
	})
}

func (a *actor) claimed(id chat.RunID, err error) bool {
	if !a.went("claim", err, chat.ErrNotClaimed, chat.ErrNotFound, chat.ErrFenced) {
		if a.stands("claimed", id) && !a.excused(err) {
			a.m.fail("%s: its claim of %s stands, and it was told: %v", a.name, id, err)
		}
		return false
	}
	return true
}

// worker is a turn that has claimed its run.
type worker struct {
	a         *actor
	h         *store.Holder
	said      int
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
	a.m.answersOf(w)
	last := storetest.Finished(h)
	switch {
	case w.cancelled || h.Deleted():
		last.Outcome.Type = agui.OutcomeCancelled
	case a.m.more > 0 && a.rng.IntN(3) > 0:
		last.Outcome = &agui.Outcome{Type: agui.OutcomeInterrupt, Interrupts: w.questions()}
	}
	w.end(func() []agui.Event {
		return append(agui.Close(h.Earlier()), last) // what this attempt opened it has closed
	})
}

// begin writes the first record, chosen anew as often as an earlier attempt writes once more.
func (w *worker) begin() bool {
	for {
		first := []agui.Event{storetest.Started(w.h)}
		if earlier := w.h.Earlier(); len(earlier) > 0 {
			first = append(agui.Close(earlier), agui.Event{
				Type: agui.Custom, Name: "carrel.attempt", Value: json.RawMessage(fmt.Sprintf(`{"attempt":%d}`, w.h.Run().Fence)),
			})
		}
		done, again := w.append(first)
		if !again {
			return done
		}
	}
}

// append writes one record. again: an earlier attempt wrote in between.
func (w *worker) append(events []agui.Event) (done, again bool) {
	for {
		seq, err := w.h.Append(w.a.ctx, events)
		if errors.Is(err, store.ErrEarlier) {
			return false, true
		}
		if err != nil && !w.a.dead && w.a.excused(err) {
			continue // a failed call may be repeated
		}
		if w.passed("append", err) {
			w.a.m.acknowledged(w, seq, events)
			return true, false
		}
		return errors.Is(err, store.ErrDeleted), false // then it can only be ended
	}
}

// passed judges the error of one of the holder's methods.
func (w *worker) passed(what string, err error) bool {
	if errors.Is(err, chat.ErrFenced) && !w.a.dead {
		w.a.m.fenced(w)
	}
	return w.a.went(what, err, chat.ErrFenced, store.ErrDeleted)
}

// work is some of what a turn does between its first and its last record, in any order.
func (w *worker) work() bool {
	for range w.a.rng.IntN(5) {
		going := true
		switch w.a.rng.IntN(4) {
		case 0:
			going = w.passed("renew", w.h.Renew(w.a.ctx))
		case 1:
			var err error
			w.cancelled, err = w.h.CancelRequested(w.a.ctx)
			going = w.passed("look for a cancel", err)
		default:
			going = w.say()
		}
		if !going || w.cancelled {
			return going
		}
	}
	return true
}

// say calls a model and writes what it said.
func (w *worker) say() bool {
	if w.h.Lease().Sub(w.a.now()) < 5*time.Second {
		if !w.passed("renew", w.h.Renew(w.a.ctx)) {
			return false
		}
	}
	if w.h.Lease().Sub(w.a.now()) >= 5*time.Second {
		w.a.m.calls(w)
	}
	w.said++
	id := fmt.Sprintf("%s/%d/%d", w.h.Run().ID, w.h.Run().Fence, w.said)
	said := storetest.Said(id, "says "+id)
	for _, events := range [][]agui.Event{said[:1], said[1:]} {
		if done, _ := w.append(events); !done {
			return false
		}
	}
	return true
}

// questions are one or two, of which some expire soon.
func (w *worker) questions() (asked []agui.Interrupt) {
	for n := range 1 + w.a.rng.IntN(2) {
		q := agui.Interrupt{ID: chat.InterruptID(fmt.Sprintf("q/%s/%d", w.h.Run().ID, n)), Reason: "confirm"}
		if w.a.rng.IntN(3) == 0 {
			q.ExpiresAt = w.a.m.now.Add(5 * time.Minute).UTC().Format(time.RFC3339)
		}
		asked = append(asked, q)
	}
	return asked
}

// end ends the run, and starts what waited for it.
func (w *worker) end(last func() []agui.Event) {
	for range 5 {
		_, _, err := w.h.End(w.a.ctx, last())
		if err != nil && !w.a.dead && (w.a.excused(err) || errors.Is(err, store.ErrEarlier)) {
			continue
		}
		if w.passed("end", err) || errors.Is(err, store.ErrDeleted) && !w.a.dead {
			w.a.m.ended(w)
			startWaiting(w.a)
		}
		return
	}
}
