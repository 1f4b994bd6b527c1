package lambda

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync"
	"time"
)

// function is a function with its pool of environments. Its mutex also guards all fields of its environments. It is
// held only briefly, at most for sending a signal.
type function struct {
	Function
	host *Host
	// slots holds one element per running invocation: Lambda limits invocations, not environments. As a channel it
	// serves asynchronous events in the order of their arrival.
	slots chan struct{}

	mu         sync.Mutex
	binary     string
	generation int            // counts Replace
	live       []*environment // all environments whose process may exist
	idle       []*environment // environments without an invocation, longest idle first
	queued     []*invocation  // invocations that wait for an environment, oldest first
	growing    bool           // a timer is set that calls grow
	moved      bool           // an environment became free since that timer was set
}

// accountConcurrency is the default limit for concurrent invocations of a function. It is the quota of an AWS account
// for all its functions together.
const accountConcurrency = 1000

// Lambda starts an environment for each concurrent invocation. On one machine these would share a few processors, and a
// burst of invocations would spend them on starting processes. A function without tenant isolation therefore has at
// most poolSize environments; further invocations wait. If no environment becomes free for growTime, one more is
// started, because invocations that wait for each other would otherwise wait for ever. A function with tenant isolation
// has no such limit: its invocations last for minutes, and each user needs its own environment.
const growTime = 200 * time.Millisecond

func poolSize() int { return 2*runtime.NumCPU() + 4 }

func newFunction(h *Host, f Function) *function {
	f.MemoryMB = cmp.Or(f.MemoryMB, 128)
	f.Timeout = cmp.Or(f.Timeout, 3*time.Second)
	f.Concurrency = cmp.Or(f.Concurrency, accountConcurrency)
	f.MaxEventAge = cmp.Or(f.MaxEventAge, 6*time.Hour)
	return &function{Function: f, host: h, binary: f.Binary, slots: make(chan struct{}, max(0, f.Concurrency))}
}

// invocation is one attempt to process an event.
type invocation struct {
	id      string
	entry   string // its name in the queue; differs from id for a duplicate
	tenant  string
	trace   string // X-Ray header, which records the chain of invocations that led here
	runs    int    // number of runs of the function in that chain, including this one
	payload []byte
	subject string       // result of Config.Subject, set by place
	event   bool         // invoked asynchronously
	done    chan outcome // receives exactly one outcome; buffered
}

// outcome is the result of an invocation.
type outcome struct {
	payload       []byte
	functionError string
	err           error // an error of the host, not of the function
}

// newInvocation returns an invocation of f. trace is the X-Ray header of the calling invocation, or "".
func (h *Host) newInvocation(f *function, tenant, trace string, payload []byte) *invocation {
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	id := newID()
	inv := &invocation{id: id, entry: id, tenant: tenant, payload: payload, done: make(chan outcome, 1)}
	inv.trace, inv.runs = extendTrace(trace, inv.id, h.arn(f.Name))
	return inv
}

// retry returns a new attempt for the same event.
func (i *invocation) retry() *invocation {
	next := *i
	next.done = make(chan outcome, 1)
	return &next
}

// call runs an invocation, if a slot is free now, and waits for its outcome or the end of ctx.
func (f *function) call(ctx context.Context, inv *invocation) outcome {
	if f.exceedsRecursion(inv) {
		return outcome{err: recursive()}
	}
	select {
	case f.slots <- struct{}{}:
	default:
		return outcome{err: throttled()}
	}
	f.place(inv)
	select {
	case out := <-inv.done:
		return out
	case <-ctx.Done():
		return outcome{err: ctx.Err()}
	}
}

// finish ends an invocation and frees its slot.
func (f *function) finish(inv *invocation, out outcome) {
	<-f.slots
	inv.done <- out
}

// place assigns an invocation that holds a slot to an idle environment of its tenant, or to a new one.
func (f *function) place(inv *invocation) {
	if subject := f.host.config.Subject; subject != nil {
		inv.subject = subject(inv.payload)
	}
	f.mu.Lock()
	e := f.takeIdle(inv.tenant)
	if e != nil {
		e.assign(inv)
		f.mu.Unlock()
		return
	}
	if !f.PerTenant && len(f.live) >= poolSize() {
		f.queued = append(f.queued, inv)
		f.watchQueue()
		f.mu.Unlock()
		return
	}
	f.start(inv)
}

// start creates an environment for an invocation. The caller holds the mutex; start releases it.
func (f *function) start(inv *invocation) {
	if len(f.live) >= f.Concurrency && len(f.idle) > 0 {
		// All idle environments belong to other tenants. Lambda would allow 2.5 times as many live environments and
		// then reject invocations. On one machine it is better to end the environment that was idle for longest.
		f.idle[0].retire()
	}
	e := newEnvironment(f, inv)
	f.live = append(f.live, e)
	f.mu.Unlock()
	if !e.begin() {
		e.settle(nil)
	}
}

// takeIdle removes and returns an idle environment of the tenant, or nil. It prefers a frozen environment to one that
// has responded but not yet polled again.
func (f *function) takeIdle(tenant string) *environment {
	best := -1
	for i := len(f.idle) - 1; i >= 0; i-- {
		if f.idle[i].tenant != tenant {
			continue
		}
		if f.idle[i].frozen {
			best = i
			break
		}
		best = max(best, i)
	}
	if best < 0 {
		return nil
	}
	e := f.idle[best]
	f.idle = slices.Delete(f.idle, best, best+1)
	return e
}

func (f *function) replace(binary string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.binary = binary
	f.generation++
	for _, e := range slices.Clone(f.idle) {
		e.retire()
	}
}

func (f *function) killAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.live {
		e.kill()
	}
}

// watchQueue sets the timer for grow while invocations are queued. The caller holds the mutex.
func (f *function) watchQueue() {
	if !f.growing && len(f.queued) > 0 {
		f.growing, f.moved = true, false
		time.AfterFunc(growTime, f.grow)
	}
}

// grow starts an environment beyond the pool for the oldest queued invocation, unless one became free since the timer
// was set.
func (f *function) grow() {
	f.mu.Lock()
	f.growing = false
	var inv *invocation
	if !f.moved {
		inv = f.next()
	}
	f.watchQueue()
	if inv == nil {
		f.mu.Unlock()
		return
	}
	f.start(inv)
}

// next removes and returns the oldest queued invocation, or nil. The caller holds the mutex.
func (f *function) next() *invocation {
	if len(f.queued) == 0 {
		return nil
	}
	inv := f.queued[0]
	f.queued = f.queued[1:]
	f.moved = true
	return inv
}

// unlist removes an environment from the idle ones, so that it gets no further invocation. The caller holds the mutex.
func (f *function) unlist(e *environment) { f.idle = without(f.idle, e) }

func without(list []*environment, e *environment) []*environment {
	return slices.DeleteFunc(list, func(other *environment) bool { return other == e })
}
