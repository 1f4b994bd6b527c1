package lambda

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// environment is one execution environment: a process and what it is doing. All fields below the blank line are guarded
// by the function's mutex, and methods that do not lock it say so.
//
// Its life: begin starts the process; its first poll takes the invocation that it was made for; after the answer it is
// idle and may be assigned the next one at once, even before it polls again; a poll that finds nothing assigned freezes it.
type environment struct {
	id         string
	function   *function
	tenant     string
	binary     string
	generation int
	wake       chan struct{} // tells a waiting poll that an invocation was assigned
	gone       chan struct{} // closed when the process has ended

	command     *exec.Cmd
	started     bool // the process exists and is not reaped
	killed      bool
	initialized bool // it polled once
	retired     bool // it ends as soon as nothing was promised to it
	frozen      bool
	polling     bool
	current     *invocation   // assigned, and not answered
	delivered   bool          // the process has got current
	began       time.Time     // when it got it
	born        time.Time     // when the process was started
	init        time.Duration // from then to its first poll, until it is billed
	deadline    *time.Timer
	timed       *invocation // what deadline is for
	idleTimer   *time.Timer
	verdict     *outcome // how current ends when the process does, if that is known
}

// initTime is what Lambda gives a process until its first poll.
const initTime = 10 * time.Second

// newEnvironment makes the environment for an invocation. The caller holds the function's mutex.
func newEnvironment(f *function, inv *invocation) *environment {
	e := &environment{
		id: newID(), function: f, tenant: inv.tenant, binary: f.binary, generation: f.generation,
		wake: make(chan struct{}, 1), gone: make(chan struct{}),
	}
	e.assign(inv)
	return e
}

// begin starts the process and reports whether the host still allows that; what comes of it goes to the invocation.
func (e *environment) begin() bool {
	h := e.function.host
	h.mu.Lock()
	h.environments[e.id] = e
	h.mu.Unlock()
	return h.own(e.run)
}

// run is the process's whole life. It keeps its thread, because the kernel takes the end of the thread that started
// a process for the death of the parent.
func (e *environment) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f := e.function
	lines := &lineWriter{write: func(line string) { f.host.log(f.Name, line) }}
	defer lines.flush()
	command := e.newCommand()
	command.Stdout, command.Stderr = lines, lines
	f.mu.Lock()
	e.born = time.Now()
	f.mu.Unlock()
	if err := command.Start(); err != nil {
		e.ended(fmt.Errorf("starting %s: %w", e.binary, err))
		return
	}
	f.mu.Lock()
	e.command, e.started = command, true
	if !e.initialized { // on a busy machine it may have polled, and even answered, by now
		e.setDeadline(e.current, max(initTime, f.Timeout))
	}
	if e.frozen {
		e.signal(syscall.SIGSTOP)
	}
	if e.killed {
		e.signal(syscall.SIGKILL)
	}
	f.mu.Unlock()
	awaitExit(command.Process.Pid)
	f.mu.Lock()
	e.kill() // what it started ends with it
	e.started = false
	f.mu.Unlock()
	e.ended(command.Wait())
}

// ended settles what the environment leaves behind. cause is how the process ended, nil for exit status 0.
func (e *environment) ended(cause error) {
	f, h := e.function, e.function.host
	h.mu.Lock()
	delete(h.environments, e.id)
	closed := h.closed
	h.mu.Unlock()
	f.mu.Lock()
	f.live = without(f.live, e)
	e.stopTimers()
	inv := e.current
	work := e.work()
	e.current = nil
	close(e.gone)
	verdict, again := e.verdict, e.initialized && !e.delivered
	queued := f.next()
	f.mu.Unlock()
	h.ran(work)
	if queued != nil { // the environment has left room for another one
		f.place(queued)
	}
	switch {
	case inv == nil:
	case closed:
		f.finish(inv, outcome{err: ErrClosed})
	case verdict != nil:
		h.log(f.Name, string(verdict.payload))
		f.finish(inv, *verdict)
	case again: // it died between two invocations: the second never reached it
		f.place(inv)
	default:
		out := exited(inv.id, cause)
		h.log(f.Name, string(out.payload))
		f.finish(inv, out)
	}
}

// assign promises an invocation to the environment. The caller holds the mutex.
func (e *environment) assign(inv *invocation) {
	e.current, e.delivered = inv, false
	if e.idleTimer != nil {
		e.idleTimer.Stop()
	}
	if e.frozen {
		e.frozen = false
		e.signal(syscall.SIGCONT)
	}
	e.wake <- struct{}{}
}

// next waits for the process's next invocation and starts its deadline. ctx is that of the poll.
func (e *environment) next(ctx context.Context) (*invocation, error) {
	f := e.function
	f.mu.Lock()
	if e.polling || e.current != nil && e.delivered {
		f.mu.Unlock()
		return nil, errState
	}
	if !e.initialized {
		e.init = time.Since(e.born)
	}
	e.initialized, e.polling = true, true
	e.clearDeadline()
	switch {
	case e.current != nil:
	case e.retired:
		e.kill()
	default:
		e.frozen = true
		e.signal(syscall.SIGSTOP)
	}
	f.mu.Unlock()
	var err error
	select {
	case <-e.wake:
		if err = ctx.Err(); err != nil {
			e.wake <- struct{}{} // whoever polled is gone; what was assigned is not lost
		}
	case <-e.gone:
		err = errState
	case <-ctx.Done():
		err = ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e.polling = false
	if err == nil && e.current == nil {
		err = errState // it was killed between the assignment and here, and what was assigned is another's by now
	}
	if err == nil {
		e.delivered, e.began = true, time.Now()
		e.setDeadline(e.current, f.Timeout)
		return e.current, nil
	}
	return nil, err
}

// answer ends the current invocation, whose id the process must name.
func (e *environment) answer(id string, out outcome) error {
	f := e.function
	f.mu.Lock()
	inv := e.current
	if inv == nil || !e.delivered || inv.id != id || e.verdict != nil {
		f.mu.Unlock()
		return errState
	}
	work := e.work()
	e.current, e.delivered = nil, false
	if e.retired = e.retired || e.generation != f.generation; !e.retired {
		if queued := f.next(); queued != nil {
			e.assign(queued)
		} else {
			f.idle = append(f.idle, e)
			e.idleTimer = time.AfterFunc(f.host.config.Idle, e.expireIdle)
		}
	}
	f.mu.Unlock()
	f.host.ran(work)
	f.finish(inv, out)
	return nil
}

// failInit takes the error that the process reports instead of its first poll; it is the answer once the process ends.
func (e *environment) failInit(payload []byte) error {
	f := e.function
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.initialized {
		return errState
	}
	e.verdict = &outcome{payload: payload, functionError: unhandled}
	return nil
}

// retire ends an idle environment: now if it is frozen, at its next poll otherwise. The caller holds the mutex.
func (e *environment) retire() {
	e.retired = true
	e.function.unlist(e)
	if e.frozen {
		e.kill()
	}
}

func (e *environment) expireIdle() {
	e.function.mu.Lock()
	defer e.function.mu.Unlock()
	if e.current == nil {
		e.retire()
	}
}

// setDeadline kills the process if it has not polled again after d. The caller holds the mutex.
func (e *environment) setDeadline(inv *invocation, d time.Duration) {
	e.timed = inv
	e.deadline = time.AfterFunc(d, func() { e.expire(inv, d) })
}

func (e *environment) clearDeadline() {
	e.timed = nil
	if e.deadline != nil {
		e.deadline.Stop()
	}
}

func (e *environment) expire(inv *invocation, d time.Duration) {
	e.function.mu.Lock()
	defer e.function.mu.Unlock()
	if e.timed != inv {
		return // it was stopped too late
	}
	if e.current == inv {
		out := timedOut(inv.id, d)
		e.verdict = &out
	}
	e.kill()
}

func (e *environment) stopTimers() {
	e.clearDeadline()
	if e.idleTimer != nil {
		e.idleTimer.Stop()
	}
}

// kill ends the process, also one that is frozen or about to start. The caller holds the mutex.
func (e *environment) kill() {
	e.killed, e.retired = true, true
	e.function.unlist(e)
	e.signal(syscall.SIGKILL)
}

// signal reaches the process and what it started, and nothing once it is reaped. The caller holds the mutex.
func (e *environment) signal(s syscall.Signal) {
	if !e.started {
		return
	}
	if err := syscall.Kill(-e.command.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		e.function.host.log(e.function.Name, fmt.Sprintf("lambda: sending %v to process %d: %v", s, e.command.Process.Pid, err))
	}
}
