// Package desk decides who may run now: one small record per user and pure functions over it. At most five runs of a
// user run, at most one on a thread, and what cannot run yet waits in order. It does no I/O; store keeps the record.
package desk

import (
	"fmt"
	"maps"
	"slices"

	"carrel/shared/chat"
)

// Desk is one user's record. The zero Desk is an empty one. Its functions return a changed copy.
type Desk struct {
	Seats   map[chat.RunID]chat.ThreadID
	Waiting []Waiting
	Version int64 // of the stored record; store's alone
	Closing bool  // its user is being erased: nothing is admitted, and nothing that waits starts
}

// Waiting is one run in the queue.
type Waiting struct {
	Run    chat.RunID
	Thread chat.ThreadID
}

// Decision is what became of a run that asked for a seat.
type Decision struct {
	State     chat.RunStatus // RunAdmitted or RunWaiting
	Position  int            // 1 is the next of the waiting; 0 if admitted
	Interrupt chat.RunID     // with chat.Interrupt: the run on the thread that is to be cancelled
}

// Admit gives a run a seat or a place in the queue. A run that sits or waits already gets the same decision again. It
// fails with chat.ErrBusy (policy Reject and the thread has a seat or waits) chat.ErrTooManyRuns (the queue is full) or
// chat.ErrClosed (its user is being erased).
//
// A run never overtakes what waits and could start now: it takes a seat only if one is left after those.
func (d Desk) Admit(run chat.RunID, thread chat.ThreadID, policy chat.WhenBusy, l chat.Limits) (Desk, Decision, error) {
	if d.Closing {
		return d, Decision{}, fmt.Errorf("admit the run: the user is being erased: %w", chat.ErrClosed)
	}
	if _, sits := d.Seats[run]; sits {
		return d.clone(), Decision{State: chat.RunAdmitted}, nil
	}
	holder, seated := d.holder(thread)
	interrupt := chat.RunID("")
	if policy == chat.Interrupt {
		interrupt = holder
	}
	if i := d.Position(run); i > 0 {
		return d.clone(), Decision{State: chat.RunWaiting, Position: i, Interrupt: interrupt}, nil
	}
	queued := slices.ContainsFunc(d.Waiting, func(w Waiting) bool { return w.Thread == thread })
	if policy == chat.Reject && (seated || queued) {
		return d, Decision{}, fmt.Errorf("admit the run: %w", chat.ErrBusy)
	}
	if next, _ := d.Next(l); !seated && !queued && len(next.Seats) < l.Runs {
		c := d.clone()
		c.Seats[run] = thread
		return c, Decision{State: chat.RunAdmitted}, nil
	}
	if len(d.Waiting) >= l.Waiting {
		return d, Decision{}, fmt.Errorf("%w: %d wait already, and no more may", chat.ErrTooManyRuns, len(d.Waiting))
	}
	c := d.clone()
	c.Waiting = append(c.Waiting, Waiting{Run: run, Thread: thread})
	return c, Decision{State: chat.RunWaiting, Position: len(c.Waiting), Interrupt: interrupt}, nil
}

// Next returns what may start now, with those runs moved from the queue to seats: in order per thread, fair over
// threads, while seats are free. The queue's order is the fairness: a thread never has two seats, and its later runs
// stand behind everybody who came before them.
func (d Desk) Next(l chat.Limits) (Desk, []Waiting) {
	c := d.clone()
	var started []Waiting
	c.Waiting = slices.DeleteFunc(c.Waiting, func(w Waiting) bool {
		if _, busy := c.holder(w.Thread); busy || d.Closing || len(c.Seats) >= l.Runs {
			return false
		}
		c.Seats[w.Run] = w.Thread
		started = append(started, w)
		return true
	})
	return c, started
}

// Remove takes a run off its seat or out of the queue; a run that is neither changes nothing.
func (d Desk) Remove(run chat.RunID) Desk {
	c := d.clone()
	delete(c.Seats, run)
	c.Waiting = slices.DeleteFunc(c.Waiting, func(w Waiting) bool { return w.Run == run })
	return c
}

// Position is a run's place in the queue, from 1; 0 if it does not wait.
func (d Desk) Position(run chat.RunID) int {
	return 1 + slices.IndexFunc(d.Waiting, func(w Waiting) bool { return w.Run == run })
}

// Status is where a thread's runs are.
func (d Desk) Status(thread chat.ThreadID) chat.ThreadStatus {
	if _, seated := d.holder(thread); seated {
		return chat.ThreadRunning
	}
	if slices.ContainsFunc(d.Waiting, func(w Waiting) bool { return w.Thread == thread }) {
		return chat.ThreadWaiting
	}
	return chat.ThreadIdle
}

// Runs are a thread's runs: the one with a seat first, then those that wait, in order.
func (d Desk) Runs(thread chat.ThreadID) []chat.RunID {
	var runs []chat.RunID
	if run, seated := d.holder(thread); seated {
		runs = append(runs, run)
	}
	for _, w := range d.Waiting {
		if w.Thread == thread {
			runs = append(runs, w.Run)
		}
	}
	return runs
}

// holder is the run that has the thread's seat.
func (d Desk) holder(thread chat.ThreadID) (chat.RunID, bool) {
	for run, t := range d.Seats {
		if t == thread {
			return run, true
		}
	}
	return "", false
}

// clone copies d; its map is never nil, so that it can be written to and stored.
func (d Desk) clone() Desk {
	seats := maps.Clone(d.Seats)
	if seats == nil {
		seats = map[chat.RunID]chat.ThreadID{}
	}
	return Desk{Seats: seats, Waiting: slices.Clone(d.Waiting), Version: d.Version, Closing: d.Closing}
}
