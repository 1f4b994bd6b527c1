package engine

import (
	"context"
	"errors"
	"time"

	"carrel/shared/agui"
)

// ErrHandOver is returned by Run if another worker has to continue the run. No call is in progress then, and every
// answer that was begun is closed. Calls without a result have not been made.
var ErrHandOver = errors.New("engine: another worker continues the run")

// HandOver says what a worker has taken over, and when another worker has to continue the run. The zero value means
// nothing and never.
type HandOver struct {
	Continues bool // the worker before has handed the run over, so that calls without a result have not been made

	At    time.Time     // the end of this worker's time
	Start time.Duration // a model call starts only if this much time is left
	Close time.Duration // an answer that is not complete with this much time left is closed, and requested again later
}

// adjust notes that the calls have not been made, if the worker before has handed the run over.
func (h HandOver) adjust(pending []PendingCall) {
	for i := range pending {
		pending[i].MayHaveRun = pending[i].MayHaveRun && !h.Continues
	}
}

// mustHandOver reports whether the time that is left is too short for a call. The first call of a worker is always
// made, so that each worker makes progress.
func (r *run) mustHandOver(takes time.Duration) bool {
	at := r.c.HandOver.At
	return !at.IsZero() && r.worked.Load() && r.c.User.Now().Add(takes).After(at)
}

// callsTime returns how long the calls of an answer may take, with the time that is needed to write their results.
func (r *run) callsTime(calls []agui.ToolCall) time.Duration {
	if r.c.Tools == nil {
		return r.c.HandOver.Close
	}
	longest := time.Duration(0)
	for _, c := range calls {
		longest = max(longest, r.c.Tools.CallTime(c.Function.Name))
	}
	rounds := (len(calls) + maxParallel - 1) / maxParallel
	return time.Duration(rounds)*longest + r.c.HandOver.Close
}

// closeInTime cancels a model call with ErrHandOver when it has to be closed. The caller calls stop.
func (r *run) closeInTime(cancel context.CancelCauseFunc) (stop func() bool) {
	h := r.c.HandOver
	if h.At.IsZero() {
		return func() bool { return true }
	}
	left := h.At.Add(-h.Close).Sub(r.c.User.Now())
	return time.AfterFunc(left, func() { cancel(ErrHandOver) }).Stop
}

// closeAnswer closes an answer that is not complete when the run is handed over. The next worker requests it again.
func (r *run) closeAnswer(a *answer) error {
	if a != nil && a.begun() {
		if err := r.again(a, &ModelError{Kind: handedOver}); err != nil {
			return err
		}
	}
	return ErrHandOver
}

// handedOver is why an answer is requested again after a hand-over. No provider has failed.
const handedOver Kind = "handed_over"
