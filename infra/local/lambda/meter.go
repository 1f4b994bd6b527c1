package lambda

import "time"

// Work describes one billed invocation.
type Work struct {
	Function string
	Subject  string        // result of Config.Subject
	Event    bool          // invoked asynchronously
	MemoryMB int           // memory size of the function
	Init     time.Duration // from the start of the process to its first poll; only in its first invocation
	Took     time.Duration // from then to the response or the end of the process
}

// Serving returns the function of the environment with this AWS_SESSION_TOKEN, and the subject of its current
// invocation. An environment has one invocation at a time. Both results are "" for an unknown token. The subject is ""
// while the environment starts or is idle.
func (h *Host) Serving(session string) (function, subject string) {
	h.mu.RLock()
	e := h.environments[session]
	h.mu.RUnlock()
	if e == nil {
		return "", ""
	}
	e.function.mu.Lock()
	defer e.function.mu.Unlock()
	if e.current != nil && e.delivered {
		subject = e.current.subject
	}
	return e.function.Name, subject
}

// work returns the bill for the current invocation, or nil if the process never received it. The caller holds the
// mutex.
func (e *environment) work() *Work {
	if e.current == nil || !e.delivered {
		return nil
	}
	w := &Work{Function: e.function.Name, Subject: e.current.subject, Event: e.current.event,
		MemoryMB: e.function.MemoryMB, Init: e.init, Took: time.Since(e.deliveredAt)}
	e.init = 0
	return w
}

// ran reports the end of an invocation.
func (h *Host) ran(w *Work) {
	if w != nil && h.config.Ran != nil {
		h.config.Ran(*w)
	}
}
