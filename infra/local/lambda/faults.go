package lambda

import (
	"fmt"
	"syscall"
	"time"
)

// Faults says what goes wrong with invocations and their processes. Its functions are called concurrently, must not
// block and must not call the host; nil ones let everything be.
type Faults struct {
	Event func(Event) EventFault                          // asked of each asynchronous event that was taken
	Env   func(function, tenant string) map[string]string // more variables of a process that starts
}

// Event is an asynchronous event.
type Event struct {
	Function, Tenant string
	Payload          []byte
}

// EventFault is what becomes of an event. The zero value is nothing.
type EventFault struct {
	Drop   bool // it is taken and never comes; the failure destination is told nothing
	Repeat bool // it comes twice, with one id
	Expire bool // it gets no capacity and is too old after Delay: the failure destination gets its record
	Delay  time.Duration
}

// SetFaults has other faults, or none, from the next event and process on.
func (h *Host) SetFaults(f Faults) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = f
}

func (h *Host) faultsNow() Faults {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.faults
}

// spoil takes an event as its fault says.
func (h *Host) spoil(f *function, inv *invocation) error {
	ask := h.faultsNow().Event
	if ask == nil {
		return h.enqueue(f, inv, 0, false)
	}
	fault := ask(Event{f.Name, inv.tenant, inv.payload})
	if fault.Drop {
		h.log(f.Name, fmt.Sprintf("lambda: event %s is dropped on request", inv.id))
		return nil
	}
	if fault.Expire {
		h.log(f.Name, fmt.Sprintf("lambda: event %s gets no capacity on request", inv.id))
		return h.enqueue(f, inv, fault.Delay, true)
	}
	if fault.Repeat {
		twin := inv.again() // it has the same id, as Lambda's second delivery has
		twin.entry = newID()
		if err := h.enqueue(f, twin, 0, false); err != nil {
			return err
		}
	}
	return h.enqueue(f, inv, fault.Delay, false)
}

// Kill kills (SIGKILL) the processes of a function that serve a tenant; "" is any tenant. It returns how many there were.
func (h *Host) Kill(function, tenant string) int {
	return h.each(function, tenant, func(e *environment) { e.kill() })
}

// Freeze stops (SIGSTOP) the processes of a function that are at work for a tenant, as they stand; Thaw lets them go on.
// Deadlines run on meanwhile. Both return how many there were.
func (h *Host) Freeze(function, tenant string) int {
	return h.each(function, tenant, func(e *environment) { e.signal(syscall.SIGSTOP) })
}

// Thaw is the end of Freeze.
func (h *Host) Thaw(function, tenant string) int {
	return h.each(function, tenant, func(e *environment) { e.signal(syscall.SIGCONT) })
}

// each does something to the environments at work for a tenant, under the function's mutex.
func (h *Host) each(name, tenant string, do func(*environment)) (n int) {
	f := h.functions[name]
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range append([]*environment(nil), f.live...) {
		if e.current != nil && (tenant == "" || e.tenant == tenant) {
			do(e)
			n++
		}
	}
	return n
}
