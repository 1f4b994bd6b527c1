package usercontext

import (
	"errors"
	"fmt"
	"slices"
)

// Phase is a stage in the life of a user context.
type Phase string

// The phases follow each other: initializing → active → executing → completed or failed → cleaned. A context that is
// closed before its work has completed becomes failed first.
const (
	Initializing Phase = "initializing" // New or Child creates it and has not returned it yet
	Active       Phase = "active"       // engine, emitter, dispatcher and store are made from it
	Executing    Phase = "executing"    // the agent works; happens at most once
	Completed    Phase = "completed"    // the work has succeeded
	Failed       Phase = "failed"       // the work failed, or was never started
	Cleaned      Phase = "cleaned"      // closed, without residue
)

// ErrPhase is returned for a change of phase that is not allowed, such as a second run in one context.
var ErrPhase = errors.New("usercontext: change of phase not allowed")

// next returns the phases that may follow p.
func (p Phase) next() []Phase {
	switch p {
	case "":
		return []Phase{Initializing}
	case Initializing:
		return []Phase{Active, Failed}
	case Active:
		return []Phase{Executing, Failed}
	case Executing:
		return []Phase{Completed, Failed}
	case Completed, Failed:
		return []Phase{Cleaned}
	}
	return nil
}

// move changes the phase; no other code does. It returns false and changes nothing if the change is not allowed. The
// caller holds the lock.
func (c *Context) move(to Phase) bool {
	if !slices.Contains(c.phase.next(), to) {
		return false
	}
	c.phase = to
	switch to {
	case Initializing:
		c.gauge.make()
	case Cleaned:
		c.gauge.clean()
	}
	return true
}

// Phase returns the current phase of the context.
func (c *Context) Phase() Phase {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase
}

// Execute starts the work of the context. A context executes once: a second call, or a call after Close, fails with
// ErrPhase. The caller calls ended with the result of the work, nil for success. After Close, ended does nothing,
// because Close has already marked the work as failed.
func (c *Context) Execute() (ended func(error), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.move(Executing) {
		return nil, fmt.Errorf("%w: from %s to %s", ErrPhase, c.phase, Executing)
	}
	return c.executed, nil
}

func (c *Context) executed(failed error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if failed != nil {
		c.move(Failed)
		return
	}
	c.move(Completed)
}
