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

// environment is one execution environment: a process and its current invocation. The function's mutex guards all
// fields below the blank line. A method that expects the caller to hold it says so.
//
// Life cycle: begin starts the process. Its first poll takes the invocation for which it was created. After its
// response the environment is idle and may be assigned the next invocation at once, even before it polls again. A poll
// that finds no assigned invocation freezes the process.
type environment struct {
	id         string
	function   *function
	tenant     string
	binary     string
	generation int
	wake       chan struct{} // signals an assigned invocation to the waiting poll
	exited     chan struct{} // closed when the process has ended

	command     *exec.Cmd
	started     bool // the process exists and has not been reaped
	killed      bool
	initialized bool // the process has polled
	retired     bool // ends as soon as no invocation is assigned
	frozen      bool
	polling     bool
	current     *invocation   // assigned and not yet answered
	delivered   bool          // the process has received current
	deliveredAt time.Time     // when it received current
	startedAt   time.Time     // when the process was started
	init        time.Duration // from startedAt to the first poll; 0 once it is billed
	deadline    *time.Timer
	deadlineFor *invocation // the invocation that deadline limits
	idleTimer   *time.Timer
	result      *outcome // outcome of current when the process ends, if it is known already
}

// initTime is Lambda's limit for the time until a process's first poll.
const initTime = 10 * time.Second

// newEnvironment creates the environment for an invocation. The caller holds the function's mutex.
func newEnvironment(f *function, inv *invocation) *environment {
	e := &environment{
		id: newID(), function: f, tenant: inv.tenant, binary: f.binary, generation: f.generation,
		wake: make(chan struct{}, 1), exited: make(chan struct{}),
	}
	e.assign(inv)
	return e
}

// begin starts the process. It returns false if the host is closed. Any other failure is the outcome of the invocation.
func (e *environment) begin() bool {
	h := e.function.host
	h.mu.Lock()
	h.environments[e.id] = e
	h.mu.Unlock()
	return h.spawn(e.run)
}

// run runs the process until it ends. It stays on its thread, because the kernel kills a process when the thread that
// started it ends.
func (e *environment) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f := e.function
	lines := &lineWriter{write: func(line string) { f.host.log(f.Name, line) }}
	defer lines.flush()
	command := e.newCommand()
	command.Stdout, command.Stderr = lines, lines
	f.mu.Lock()
	e.startedAt = time.Now()
	f.mu.Unlock()
	if err := command.Start(); err != nil {
		e.settle(fmt.Errorf("start %s: %w", e.binary, err))
		return
	}
	f.mu.Lock()
	e.command, e.started = command, true
	if !e.initialized { // on a busy machine the process may have polled, and even responded, by now
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
	e.kill() // also kills the child's own children
	e.started = false
	f.mu.Unlock()
	e.settle(command.Wait())
}

// settle ends the environment and its current invocation. exitErr is how the process ended, nil for exit status 0.
func (e *environment) settle(exitErr error) {
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
	close(e.exited)
	result, replay := e.result, e.initialized && !e.delivered
	queued := f.next()
	f.mu.Unlock()
	h.ran(work)
	if queued != nil { // there is room for another environment now
		f.place(queued)
	}
	switch {
	case inv == nil:
	case closed:
		f.finish(inv, outcome{err: ErrClosed})
	case result != nil:
		h.log(f.Name, string(result.payload))
		f.finish(inv, *result)
	case replay: // the process ended between two invocations and never received this one
		f.place(inv)
	default:
		out := exited(inv.id, exitErr)
		h.log(f.Name, string(out.payload))
		f.finish(inv, out)
	}
}

// assign assigns an invocation to the environment. The caller holds the mutex.
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

// next waits for the process's next invocation and starts its deadline. ctx is the poll's.
func (e *environment) next(ctx context.Context) (*invocation, error) {
	f := e.function
	f.mu.Lock()
	if e.polling || e.current != nil && e.delivered {
		f.mu.Unlock()
		return nil, errState
	}
	if !e.initialized {
		e.init = time.Since(e.startedAt)
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
			e.wake <- struct{}{} // the poll was cancelled; keep the invocation for the next poll
		}
	case <-e.exited:
		err = errState
	case <-ctx.Done():
		err = ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e.polling = false
	if err == nil && e.current == nil {
		err = errState // the process was killed since the assignment, and settle has passed the invocation on
	}
	if err == nil {
		e.delivered, e.deliveredAt = true, time.Now()
		e.setDeadline(e.current, f.Timeout)
		return e.current, nil
	}
	return nil, err
}

// answer ends the current invocation, which must have this id.
func (e *environment) answer(id string, out outcome) error {
	f := e.function
	f.mu.Lock()
	inv := e.current
	if inv == nil || !e.delivered || inv.id != id || e.result != nil {
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

// failInit stores the error that the process reports instead of its first poll. It is the outcome once the process
// ends.
func (e *environment) failInit(payload []byte) error {
	f := e.function
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.initialized {
		return errState
	}
	e.result = &outcome{payload: payload, functionError: unhandled}
	return nil
}

// retire ends an idle environment: now if it is frozen, otherwise at its next poll. The caller holds the mutex.
func (e *environment) retire() {
	e.retired = true
	e.function.unlist(e)
	if e.frozen {
		e.kill()
	}
}

// kill kills the process, even if it is frozen or about to start. The caller holds the mutex.
func (e *environment) kill() {
	e.killed, e.retired = true, true
	e.function.unlist(e)
	e.signal(syscall.SIGKILL)
}

// signal sends a signal to the process and its children, unless it has been reaped. The caller holds the mutex.
func (e *environment) signal(s syscall.Signal) {
	if !e.started {
		return
	}
	if err := syscall.Kill(-e.command.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		e.function.host.log(e.function.Name,
			fmt.Sprintf("lambda: send %v to process %d: %v", s, e.command.Process.Pid, err))
	}
}
