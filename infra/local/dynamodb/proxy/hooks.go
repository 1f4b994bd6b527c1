package proxy

// Request is one request of a caller, as the engine receives it.
type Request struct {
	Caller    string
	Operation string // such as PutItem
	N         int    // number of the request among its caller's, from 1, counted while a hook is set
	Body      []byte
}

// Hook is called for each read and write before the engine receives it. It is called concurrently, and it may block to
// delay the request. after, if not nil, is called when the engine has responded and before the caller gets the
// response. The returned fault takes precedence over the random faults.
type Hook func(Request) (fault Fault, after func())

// Fault is the fault of one request.
type Fault string

// The faults of one request.
const (
	Fine      Fault = ""
	Conflict  Fault = Fault(conflict) // for writes and transactions only
	Throttled Fault = Fault(throttle)
	Broken    Fault = Fault(broken) // an internal error without an effect
	Lost      Fault = Fault(lost)   // an effect, but the connection closes without a response
)

// SetHook sets the hook for all later requests. nil removes it.
func (p *Proxy) SetHook(h Hook) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook, p.calls = h, map[string]int{}
}

// callHook calls the hook for one request and stores its fault.
func (p *Proxy) callHook(c *call) (after func()) {
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
		c.injection.kind, c.injection.silent = kind(fault), fault == Lost
	}
	return after
}
