package lambda

import "time"

// setDeadline starts a timer that kills the process if it does not poll within d. The caller holds the mutex.
func (e *environment) setDeadline(inv *invocation, d time.Duration) {
	e.deadlineFor = inv
	e.deadline = time.AfterFunc(d, func() { e.expire(inv, d) })
}

func (e *environment) clearDeadline() {
	e.deadlineFor = nil
	if e.deadline != nil {
		e.deadline.Stop()
	}
}

func (e *environment) expire(inv *invocation, d time.Duration) {
	e.function.mu.Lock()
	defer e.function.mu.Unlock()
	if e.deadlineFor != inv {
		return // the timer fired while it was being stopped
	}
	if e.current == inv {
		out := timedOut(inv.id, d)
		e.result = &out
	}
	e.kill()
}

func (e *environment) expireIdle() {
	e.function.mu.Lock()
	defer e.function.mu.Unlock()
	if e.current == nil {
		e.retire()
	}
}

func (e *environment) stopTimers() {
	e.clearDeadline()
	if e.idleTimer != nil {
		e.idleTimer.Stop()
	}
}
