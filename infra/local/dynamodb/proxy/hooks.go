package proxy

// Request is one request of a caller, as the engine gets it.
type Request struct {
	Caller    string
	Operation string // such as PutItem
	N         int    // of this caller, from 1, counted while there is a hook
	Body      []byte
}

// Hook is asked of each read and write before the engine gets it, concurrently. It may block: the request waits. after,
// if it is not nil, is called when the engine has answered and before the caller knows. Fault comes on top of those of
// chance.
type Hook func(Request) (fault Fault, after func())

// Fault is what becomes of one request.
type Fault string

// The faults of one request.
const (
	Fine      Fault = ""
	Conflict  Fault = Fault(conflict) // writes and transactions only
	Throttled Fault = Fault(throttle)
	Broken    Fault = Fault(broken) // nothing was done
	Lost      Fault = Fault(lost)   // it was done, and the connection ends without a word
)

// SetHook has every later request pass through a hook; nil: none.
func (p *Proxy) SetHook(h Hook) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook, p.calls = h, map[string]int{}
}

// hooked asks the hook for one request.
func (p *Proxy) hooked(c *call) (after func()) {
	if !writes(c.operation) && !reads(c.operation) {
		return nil
	}
	p.mu.Lock()
	hook := p.hook
	if hook == nil {
		p.mu.Unlock()
		return nil
	}
	p.calls[c.caller]++
	n := p.calls[c.caller]
	p.mu.Unlock()
	fault, after := hook(Request{c.caller, c.operation, n, c.body})
	if fault != Fine {
		c.fate.kind, c.fate.silent = kind(fault), fault == Lost
	}
	return after
}
