// Package desk decides who may run now: one small record per user and pure functions over it. At most five runs of a
// user run, at most one on a thread, and what cannot run yet waits in order. It does no I/O; store keeps the record.
package desk

import (
	"carrel/shared/chat"
)

// Desk is one user's record. The zero Desk is an empty one. Its functions return a changed copy.
type Desk struct {
	Seats   map[chat.RunID]chat.ThreadID
	Waiting []Waiting
	Version int64 // of the stored record; store's alone
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
// fails with chat.ErrBusy (policy Reject and the thread has a seat or waits) or chat.ErrTooManyRuns (the queue is full).
func (d Desk) Admit(run chat.RunID, thread chat.ThreadID, policy chat.WhenBusy, l chat.Limits) (Desk, Decision, error) {
	panic("not built")
}

// Next returns what may start now, with those runs moved from the queue to seats: in order per thread, fair over
// threads, while seats are free.
func (d Desk) Next(l chat.Limits) (Desk, []Waiting) { panic("not built") }

// Remove takes a run off its seat or out of the queue; a run that is neither changes nothing.
func (d Desk) Remove(run chat.RunID) Desk { panic("not built") }
