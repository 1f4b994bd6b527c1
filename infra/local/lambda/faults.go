package lambda

import (
	"fmt"
	"syscall"
	"time"
)

// Faults are injected into invocations and their processes. The functions are called concurrently, must not block and
// must not call the host. A nil function injects nothing.
type Faults struct {
	Event func(Event) EventFault                          // called for each accepted asynchronous event
	Env   func(function, tenant string) map[string]string // additional variables of a new process
}

// Event is an asynchronous event.
type Event struct {
	Function, Tenant string
	Payload          []byte
}

// EventFault is the fault of an event. The zero value is none.
type EventFault struct {
	Drop   bool          // accept the event but never deliver it, and send no failure record
	Repeat bool          // deliver the event twice, with the same id
	Expire bool          // treat the event as too old after Delay, as without capacity, and send a failure record
	Delay  time.Duration // delay the delivery
}

// SetFaults replaces the faults for later events and processes. The zero Faults injects none.
func (h *Host) SetFaults(f Faults) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = f
}

func (h *Host) currentFaults() Faults {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.faults
}

// submit queues an event and applies its fault.
func (h *Host) submit(f *function, inv *invocation) error {
	choose := h.currentFaults().Event
	if choose == nil {
		return h.enqueue(f, inv, 0, false)
	}
	fault := choose(Event{f.Name, inv.tenant, inv.payload})
	if fault.Drop {
		h.log(f.Name, fmt.Sprintf("lambda: event %s is dropped by an injected fault", inv.id))
		return nil
	}
	if fault.Expire {
		h.log(f.Name, fmt.Sprintf("lambda: event %s gets no capacity by an injected fault", inv.id))
		return h.enqueue(f, inv, fault.Delay, true)
	}
	if fault.Repeat {
		duplicate := inv.retry() // with the same id, like Lambda's second delivery
		duplicate.entry = newID()
		if err := h.enqueue(f, duplicate, 0, false); err != nil {
			return err
		}
	}
	return h.enqueue(f, inv, fault.Delay, false)
}

// Kill kills (SIGKILL) the processes of a function that work for a tenant; "" means any. It returns their number.
func (h *Host) Kill(function, tenant string) int {
	return h.eachBusy(function, tenant, func(e *environment) { e.kill() })
}

// Freeze stops (SIGSTOP) the processes of a function that work for a tenant; "" means any. Their deadlines still apply.
// It returns their number when they have stopped. Thaw resumes them; it must not be called during Freeze.
func (h *Host) Freeze(function, tenant string) int {
	var pids []int
	n := h.eachBusy(function, tenant, func(e *environment) {
		if e.signal(syscall.SIGSTOP); e.started {
			pids = append(pids, e.command.Process.Pid)
		}
	})
	for _, pid := range pids {
		awaitStop(pid)
	}
	return n
}

// Thaw resumes the processes that Freeze stopped and returns their number.
func (h *Host) Thaw(function, tenant string) int {
	return h.eachBusy(function, tenant, func(e *environment) { e.signal(syscall.SIGCONT) })
}

// eachBusy calls do for each environment that works for the tenant, under the function's mutex.
func (h *Host) eachBusy(name, tenant string, do func(*environment)) (n int) {
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
