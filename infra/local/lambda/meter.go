package lambda

import "time"

// Work is one invocation as it is billed.
type Work struct {
	Function string
	Subject  string        // of Config.Subject
	Event    bool          // it was invoked asynchronously
	MemoryMB int           // of the function
	Init     time.Duration // from the start of the process to its first poll, with the first invocation of an environment
	Took     time.Duration // from then on, to the answer or the end of the process
}

// At tells which function the environment with this AWS_SESSION_TOKEN is of, and what it works on at this moment: an
// environment has one invocation at a time. Both are empty if there is no such environment, and the subject is while it
// starts or has nothing to do.
func (h *Host) At(session string) (function, subject string) {
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

// work is what is to be billed of the invocation that ends; nil if the process never got one. The caller holds the mutex.
func (e *environment) work() *Work {
	if e.current == nil || !e.delivered {
		return nil
	}
	w := &Work{Function: e.function.Name, Subject: e.current.subject, Event: e.current.event,
		MemoryMB: e.function.MemoryMB, Init: e.init, Took: time.Since(e.began)}
	e.init = 0
	return w
}

// ran tells of an invocation's end.
func (h *Host) ran(w *Work) {
	if w != nil && h.config.Ran != nil {
		h.config.Ran(*w)
	}
}
