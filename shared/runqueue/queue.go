// Package runqueue decides which runs of a user may start now. A Queue holds one user's run slots and queued runs, and
// its methods are pure functions. At most Limits.Runs runs (5 by default) have a slot, at most one per thread; other
// runs are queued in order; a token bucket bounds how many runs a user starts. The package does no I/O and reads no
// clock; package store keeps the record.
package runqueue

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"carrel/shared/chat"
)

// Queue is the run queue of one user. The zero Queue has no runs and a full token bucket. Methods return a changed
// copy.
type Queue struct {
	Slots   map[chat.RunID]chat.ThreadID // runs that may work now
	Queued  []Entry                      // runs that wait for a slot, in order
	Full    time.Time                    // when the token bucket is full again; a time in the past means it is full
	Tokens  map[string]int64             // tokens of the model calls of ended runs, by the day of their end: see Day
	Version int64                        // of the stored record; only the store uses it
	Erasing bool                         // the user is being erased: no run is admitted and no queued run starts
}

// Entry is one queued run.
type Entry struct {
	Run      chat.RunID
	Thread   chat.ThreadID
	Priority Priority
}

// Priority orders the queued runs of one thread: the highest priority starts first, and equal priorities start in order
// of arrival.
type Priority int

// The priorities.
const (
	Normal       Priority = iota
	Interrupting          // the run interrupted the run that has the thread's slot
	Responding            // the run responds to the thread's open interrupts; no other run of the thread could start
)

// Request is a run that requests a slot.
type Request struct {
	Run      chat.RunID
	Thread   chat.ThreadID
	WhenBusy chat.WhenBusy
	Responds bool // to the open interrupts of its thread: it goes before the other queued runs of the thread
}

// Policy is what a decision depends on in addition to the queue.
type Policy struct {
	Limits        chat.Limits
	Now           time.Time
	AwaitingInput map[chat.ThreadID]bool // threads with open interrupts: their queued runs do not start
}

// Decision is the result of Admit.
type Decision struct {
	State     chat.RunStatus // RunAdmitted or RunQueued
	Position  int            // in the queue, from 1; 0 if the run is admitted
	Interrupt chat.RunID     // the running run of the thread, to be cancelled; only with chat.Interrupt
}

// Admit gives a run a slot or a place in the queue and spends one token of the bucket. A run that has a slot or a
// place already gets the same decision again and spends no token. If Admit fails it changes nothing. It fails with
// chat.ErrBusy (the policy is Reject and the thread has a running or queued run), chat.ErrTooManyRuns (the queue is
// full), a *chat.RateLimitedError (the bucket is empty), a *chat.BudgetError (the day's model tokens are used up) or
// chat.ErrErasing (the user is being erased).
//
// A run never overtakes a queued run that could start now: it takes a slot only if one is left after those runs. An
// interrupting run is queued directly behind the run that it interrupts, before the thread's normal runs. A responding
// run is queued before all other runs of its thread.
func (q Queue) Admit(r Request, p Policy) (Queue, Decision, error) {
	if q.Erasing {
		return q, Decision{}, chat.ErrErasing
	}
	if _, admitted := q.Slots[r.Run]; admitted {
		return q.clone(), Decision{State: chat.RunAdmitted}, nil
	}
	if position := q.Position(r.Run); position == 0 {
		if err := q.checkBudget(p); err != nil {
			return q, Decision{}, err
		}
	}
	running, busy := q.running(r.Thread)
	interrupt := chat.RunID("")
	if r.WhenBusy == chat.Interrupt {
		interrupt = running
	}
	if i := q.Position(r.Run); i > 0 {
		return q.clone(), Decision{State: chat.RunQueued, Position: i, Interrupt: interrupt}, nil
	}
	queued := !r.Responds && slices.ContainsFunc(q.Queued, func(e Entry) bool { return e.Thread == r.Thread })
	if r.WhenBusy == chat.Reject && (busy || queued) {
		return q, Decision{}, chat.ErrBusy
	}
	after, decision := q.clone(), Decision{State: chat.RunAdmitted}
	next, _ := q.Next(p)
	switch _, taken := next.running(r.Thread); {
	case !taken && !queued && len(next.Slots) < p.Limits.Runs:
		after.Slots[r.Run] = r.Thread
	case len(q.Queued) >= p.Limits.Queued:
		return q, Decision{}, fmt.Errorf("%w: %d runs are queued already, which is the limit",
			chat.ErrTooManyRuns, len(q.Queued))
	default:
		after.Queued = q.insert(Entry{Run: r.Run, Thread: r.Thread, Priority: r.priority(interrupt)})
		decision = Decision{State: chat.RunQueued, Position: after.Position(r.Run), Interrupt: interrupt}
	}
	after.Tokens = q.recent(p.Now)
	var err error
	if after.Full, err = spend(q.Full, p); err != nil {
		return q, Decision{}, err
	}
	return after, decision, nil
}

// priority returns the priority of a queued request. interrupt is the run that it interrupts, or "".
func (r Request) priority(interrupt chat.RunID) Priority {
	switch {
	case r.Responds:
		return Responding
	case interrupt != "":
		return Interrupting
	}
	return Normal
}

// insert returns the queued runs with e. The new entry takes the place of the first entry of its thread with a lower
// priority; that entry takes the place of the next such entry, and so on; the last one moves to the end of the queue.
// So other threads see the same order as if e had been appended, and a user who interrupts again and again does not
// delay the other threads.
func (q Queue) insert(e Entry) []Entry {
	list, priority := slices.Clone(q.Queued), e.Priority
	for i, other := range list {
		if other.Thread == e.Thread && other.Priority < priority {
			list[i], e = e, other
		}
	}
	return append(list, e)
}

// Next moves the queued runs that may start now to slots, while slots are free, and returns those runs. Runs of one
// thread start in order. The order of the queue makes it fair over threads: a thread never has two slots, and its later
// runs stand behind all runs of other threads that came earlier.
func (q Queue) Next(p Policy) (Queue, []Entry) {
	after := q.clone()
	var started []Entry
	after.Queued = slices.DeleteFunc(after.Queued, func(e Entry) bool {
		_, busy := after.running(e.Thread)
		if busy || q.Erasing || p.AwaitingInput[e.Thread] || len(after.Slots) >= p.Limits.Runs {
			return false
		}
		after.Slots[e.Run] = e.Thread
		started = append(started, e)
		return true
	})
	return after, started
}

// Remove takes a run out of its slot or out of the queue: the run has ended, was cancelled, or was queued too long. If
// the run is in neither, Remove changes nothing. It does not refund the token.
func (q Queue) Remove(run chat.RunID) Queue {
	after := q.clone()
	delete(after.Slots, run)
	after.Queued = slices.DeleteFunc(after.Queued, func(e Entry) bool { return e.Run == run })
	return after
}

// Position returns a run's place in the queue, from 1, or 0 if it is not queued.
func (q Queue) Position(run chat.RunID) int {
	return 1 + slices.IndexFunc(q.Queued, func(e Entry) bool { return e.Run == run })
}

// Status returns the status of a thread.
func (q Queue) Status(thread chat.ThreadID) chat.ThreadStatus {
	if _, busy := q.running(thread); busy {
		return chat.ThreadRunning
	}
	if slices.ContainsFunc(q.Queued, func(e Entry) bool { return e.Thread == thread }) {
		return chat.ThreadQueued
	}
	return chat.ThreadIdle
}

// All returns the runs with a slot, in no order, and then the queued runs, in order.
func (q Queue) All() []chat.RunID {
	all := slices.Collect(maps.Keys(q.Slots))
	for _, e := range q.Queued {
		all = append(all, e.Run)
	}
	return all
}

// Runs returns the runs of a thread: the run with a slot first, then the queued runs, in order.
func (q Queue) Runs(thread chat.ThreadID) []chat.RunID {
	var runs []chat.RunID
	if run, busy := q.running(thread); busy {
		runs = append(runs, run)
	}
	for _, e := range q.Queued {
		if e.Thread == thread {
			runs = append(runs, e.Run)
		}
	}
	return runs
}

// running returns the run that has the slot of a thread.
func (q Queue) running(thread chat.ThreadID) (chat.RunID, bool) {
	for run, t := range q.Slots {
		if t == thread {
			return run, true
		}
	}
	return "", false
}

// clone copies q. Its map is never nil, so that it can be written to and stored.
func (q Queue) clone() Queue {
	slots := maps.Clone(q.Slots)
	if slots == nil {
		slots = map[chat.RunID]chat.ThreadID{}
	}
	return Queue{Slots: slots, Queued: slices.Clone(q.Queued), Full: q.Full, Tokens: maps.Clone(q.Tokens),
		Version: q.Version, Erasing: q.Erasing}
}
