package lambda

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync"
	"time"
)

// function is a function's pool of environments. Everything of its environments is guarded by its mutex too: what
// happens under it is short (a signal at most).
type function struct {
	Function
	host *Host
	// slots holds one element for each invocation that runs: Lambda counts invocations, not environments. A channel
	// lets asynchronous events wait in the order they came.
	slots chan struct{}

	mu         sync.Mutex
	binary     string
	generation int            // counts Replace
	live       []*environment // all whose process may exist
	idle       []*environment // those without an invocation, longest idle first
	queued     []*invocation  // those that wait for an environment, the oldest first
	growing    bool           // a timer calls grow
	moved      bool           // an environment became free since that timer was set
}

// accountConcurrency is how many invocations of one function run at once where the template reserves no other number: the
// quota of an AWS account for all its functions.
const accountConcurrency = 1000

// Lambda starts an environment for each concurrent invocation. On one machine they would share a few processors, and a
// burst of invocations would spend those on starting processes. So a function without tenant isolation starts at most
// poolSize environments at once; further invocations wait for one of them. If no environment becomes free for growTime, one
// more is started: invocations that wait for each other must not wait for ever. A function with tenant isolation has no
// such limit: its invocations last for minutes, and each user needs an environment of its own.
const growTime = 200 * time.Millisecond

func poolSize() int { return 2*runtime.NumCPU() + 4 }

func newFunction(h *Host, f Function) *function {
	f.MemoryMB = cmp.Or(f.MemoryMB, 128)
	f.Timeout = cmp.Or(f.Timeout, 3*time.Second)
	f.Concurrency = cmp.Or(f.Concurrency, accountConcurrency)
	f.MaxEventAge = cmp.Or(f.MaxEventAge, 6*time.Hour)
	return &function{Function: f, host: h, binary: f.Binary, slots: make(chan struct{}, max(0, f.Concurrency))}
}

// invocation is one try of one event.
type invocation struct {
	id      string
	entry   string // its name in the queue; of a duplicate another than its id
	tenant  string
	trace   string // the X-Ray header, which tells the chain of invokes that led here
	runs    int    // how often the function has run in that chain, this time included
	payload []byte
	subject string       // of Config.Subject, once it is placed
	event   bool         // it was invoked asynchronously
	done    chan outcome // gets exactly one element, and has room for it
}

// outcome is how an invocation ended.
type outcome struct {
	payload       []byte
	functionError string
	err           error // the host's own, never the function's
}

// newInvocation makes an invocation of f; trace is the header of the invocation that asks for it, "" for none.
func (h *Host) newInvocation(f *function, tenant, trace string, payload []byte) *invocation {
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	id := newID()
	inv := &invocation{id: id, entry: id, tenant: tenant, payload: payload, done: make(chan outcome, 1)}
	inv.trace, inv.runs = extend(trace, inv.id, h.arn(f.Name))
	return inv
}

// again is the same event for another try.
func (i *invocation) again() *invocation {
	next := *i
	next.done = make(chan outcome, 1)
	return &next
}

// call runs an invocation if a slot is free at once and waits for its end or that of ctx.
func (f *function) call(ctx context.Context, inv *invocation) outcome {
	if f.loops(inv) {
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

// place gives an invocation that holds a slot to an idle environment of its tenant, or to a new one.
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

// start gives an invocation a new environment. The caller holds the mutex, and start releases it.
func (f *function) start(inv *invocation) {
	if len(f.live) >= f.Concurrency && len(f.idle) > 0 {
		// Only other tenants' environments can be idle here. Lambda would let 2.5 times as many live and then
		// refuse; one machine is better served by ending the one that was not used for longest.
		f.idle[0].retire()
	}
	e := newEnvironment(f, inv)
	f.live = append(f.live, e)
	f.mu.Unlock()
	if !e.begin() {
		e.ended(nil)
	}
}

// takeIdle removes from the idle ones the environment that may serve the tenant, and returns nil if there is none. A
// frozen one comes before one that is still on its way from its answer to its next poll.
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

// watchQueue has grow called while invocations wait. The caller holds the mutex.
func (f *function) watchQueue() {
	if !f.growing && len(f.queued) > 0 {
		f.growing, f.moved = true, false
		time.AfterFunc(growTime, f.grow)
	}
}

// grow gives the oldest queued invocation an environment beyond the pool, unless one has become free since the timer was set.
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

// next removes the invocation that waits longest for an environment, and returns nil if none waits. The caller holds the mutex.
func (f *function) next() *invocation {
	if len(f.queued) == 0 {
		return nil
	}
	inv := f.queued[0]
	f.queued = f.queued[1:]
	f.moved = true
	return inv
}

// unlist makes an environment one that gets no further invocation. The caller holds the mutex.
func (f *function) unlist(e *environment) { f.idle = without(f.idle, e) }

func without(list []*environment, e *environment) []*environment {
	return slices.DeleteFunc(list, func(other *environment) bool { return other == e })
}
