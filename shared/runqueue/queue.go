// Package runqueue decides who may run now: one small record per user and pure functions over it. At most five runs of a
// user run, at most one on a thread, what cannot run yet waits in order, and a token bucket bounds how many are started.
// It does no I/O and has no clock; store keeps the record.
package runqueue

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"carrel/shared/chat"
)

// Queue is one user's record. The zero Queue is an empty one with a full bucket. Its functions return a changed copy.
type Queue struct {
	Slots   map[chat.RunID]chat.ThreadID
	Queued  []Entry
	Full    time.Time // when the bucket of runs is full again; past: it is full
	Version int64     // of the stored record; store's alone
	Erasing bool      // its user is being erased: nothing is admitted, and nothing that waits starts
}

// Entry is one run in the queue.
type Entry struct {
	Run      chat.RunID
	Thread   chat.ThreadID
	Priority Priority
}

// Priority is which of a thread's waiting runs goes first: the highest, and of equals the one that came first.
type Priority int

// The priorities.
const (
	Normal       Priority = iota
	Interrupting          // it interrupted the run that has the thread's seat
	Responding            // it answers what its thread waits with: nothing else could begin
)

// Request is a run that asks for a seat.
type Request struct {
	Run      chat.RunID
	Thread   chat.ThreadID
	WhenBusy chat.WhenBusy
	Responds bool // the questions that its thread waits with: it goes before the thread's other waiting runs
}

// Policy is what a decision depends on besides the desk.
type Policy struct {
	Limits        chat.Limits
	Now           time.Time
	AwaitingInput map[chat.ThreadID]bool // threads that wait for a person: what waits on them does not start
}

// Decision is what became of a run that asked for a seat.
type Decision struct {
	State     chat.RunStatus // RunAdmitted or RunQueued
	Position  int            // 1 is the next of the waiting; 0 if admitted
	Interrupt chat.RunID     // with chat.Interrupt: the run on the thread that is to be cancelled
}

// Admit gives a run a seat or a place in the queue, for one token of the bucket. A run that sits or waits already gets
// the same decision again, for none. It fails, and costs nothing, with chat.ErrBusy (policy Reject and the thread has a
// seat or waits), chat.ErrTooManyRuns (the queue is full), a *chat.RateLimitedError (the bucket is empty) or
// chat.ErrClosed (its user is being erased).
//
// A run never overtakes what waits and could start now: it takes a seat only if one is left after those. One that
// interrupts waits directly behind the run that it interrupts, before what came to the thread in order; one that answers
// goes before all that waits on its thread.
func (d Queue) Admit(a Request, r Policy) (Queue, Decision, error) {
	if d.Erasing {
		return d, Decision{}, fmt.Errorf("admit the run: the user is being erased: %w", chat.ErrClosed)
	}
	if _, sits := d.Slots[a.Run]; sits {
		return d.clone(), Decision{State: chat.RunAdmitted}, nil
	}
	holder, seated := d.holder(a.Thread)
	interrupt := chat.RunID("")
	if a.WhenBusy == chat.Interrupt {
		interrupt = holder
	}
	if i := d.Position(a.Run); i > 0 {
		return d.clone(), Decision{State: chat.RunQueued, Position: i, Interrupt: interrupt}, nil
	}
	queued := !a.Responds && slices.ContainsFunc(d.Queued, func(w Entry) bool { return w.Thread == a.Thread })
	if a.WhenBusy == chat.Reject && (seated || queued) {
		return d, Decision{}, fmt.Errorf("admit the run: %w", chat.ErrBusy)
	}
	c, decision := d.clone(), Decision{State: chat.RunAdmitted}
	next, _ := d.Next(r)
	switch _, taken := next.holder(a.Thread); {
	case !taken && !queued && len(next.Slots) < r.Limits.Runs:
		c.Slots[a.Run] = a.Thread
	case len(d.Queued) >= r.Limits.Queued:
		return d, Decision{}, fmt.Errorf("%w: %d wait already, and no more may", chat.ErrTooManyRuns, len(d.Queued))
	default:
		rank := Normal
		switch {
		case a.Responds:
			rank = Responding
		case interrupt != "":
			rank = Interrupting
		}
		c.Queued = d.queue(Entry{Run: a.Run, Thread: a.Thread, Priority: rank})
		decision = Decision{State: chat.RunQueued, Position: c.Position(a.Run), Interrupt: interrupt}
	}
	var err error
	if c.Full, err = spend(d.Full, r); err != nil {
		return d, Decision{}, fmt.Errorf("admit the run: %w", err)
	}
	return c, decision, nil
}

// queue is the waiting runs and w. It takes the place of its thread's first run of a lower rank, which takes the next
// one's, and so on: the last of them takes the new place at the end. So to other threads it is as if w had come in order,
// and nobody who interrupts himself again and again keeps them waiting.
func (d Queue) queue(w Entry) []Entry {
	q, rank := slices.Clone(d.Queued), w.Priority
	for i, o := range q {
		if o.Thread == w.Thread && o.Priority < rank {
			q[i], w = w, o
		}
	}
	return append(q, w)
}

// Next returns what may start now, with those runs moved from the queue to seats: in order per thread, fair over
// threads, while seats are free. The queue's order is the fairness: a thread never has two seats, and its later runs
// stand behind everybody who came before them.
func (d Queue) Next(r Policy) (Queue, []Entry) {
	c := d.clone()
	var started []Entry
	c.Queued = slices.DeleteFunc(c.Queued, func(w Entry) bool {
		if _, busy := c.holder(w.Thread); busy || d.Erasing || r.AwaitingInput[w.Thread] || len(c.Slots) >= r.Limits.Runs {
			return false
		}
		c.Slots[w.Run] = w.Thread
		started = append(started, w)
		return true
	})
	return c, started
}

// Remove takes a run off its seat or out of the queue: it has ended, was cancelled or has waited too long. A run that is
// neither changes nothing. The tokens of the bucket are spent.
func (d Queue) Remove(run chat.RunID) Queue {
	c := d.clone()
	delete(c.Slots, run)
	c.Queued = slices.DeleteFunc(c.Queued, func(w Entry) bool { return w.Run == run })
	return c
}

// Position is a run's place in the queue, from 1; 0 if it does not wait.
func (d Queue) Position(run chat.RunID) int {
	return 1 + slices.IndexFunc(d.Queued, func(w Entry) bool { return w.Run == run })
}

// Status is where a thread's runs are.
func (d Queue) Status(thread chat.ThreadID) chat.ThreadStatus {
	if _, seated := d.holder(thread); seated {
		return chat.ThreadRunning
	}
	if slices.ContainsFunc(d.Queued, func(w Entry) bool { return w.Thread == thread }) {
		return chat.ThreadQueued
	}
	return chat.ThreadIdle
}

// All are the runs that have a seat, in no order, and then those that wait, in order.
func (d Queue) All() []chat.RunID {
	all := slices.Collect(maps.Keys(d.Slots))
	for _, w := range d.Queued {
		all = append(all, w.Run)
	}
	return all
}

// Runs are a thread's runs: the one with a seat first, then those that wait, in order.
func (d Queue) Runs(thread chat.ThreadID) []chat.RunID {
	var runs []chat.RunID
	if run, seated := d.holder(thread); seated {
		runs = append(runs, run)
	}
	for _, w := range d.Queued {
		if w.Thread == thread {
			runs = append(runs, w.Run)
		}
	}
	return runs
}

// holder is the run that has the thread's seat.
func (d Queue) holder(thread chat.ThreadID) (chat.RunID, bool) {
	for run, t := range d.Slots {
		if t == thread {
			return run, true
		}
	}
	return "", false
}

// clone copies d; its map is never nil, so that it can be written to and stored.
func (d Queue) clone() Queue {
	seats := maps.Clone(d.Slots)
	if seats == nil {
		seats = map[chat.RunID]chat.ThreadID{}
	}
	return Queue{Slots: seats, Queued: slices.Clone(d.Queued), Full: d.Full, Version: d.Version, Erasing: d.Erasing}
}
