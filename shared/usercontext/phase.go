package usercontext

import (
	"errors"
	"fmt"
	"slices"
)

// Phase is where a user context is in its life.
type Phase string

// The life of a user context: initializing → active → executing → completed or failed → cleaned. One that is closed
// before its work was through goes by failed.
const (
	Initializing Phase = "initializing" // New or Child is making it; nobody else has it yet
	Active       Phase = "active"       // what the run needs is made from it
	Executing    Phase = "executing"    // the agent works; once in a life
	Completed    Phase = "completed"    // the work is through
	Failed       Phase = "failed"       // the work failed, or was never begun
	Cleaned      Phase = "cleaned"      // closed, and nothing is left
)

// ErrPhase is a move that the life of a user context does not have, such as a second run in one.
var ErrPhase = errors.New("usercontext: not in this phase")

// next are the phases that may follow.
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

// move is the only place that changes the phase. It reports false and changes nothing if the life of a user context has
// no such move. The lock is held.
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

// Phase is where the context is in its life.
func (c *Context) Phase() Phase {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase
}

// Execute begins the work, which a context carries once: a second time it fails with ErrPhase, after Close too. Who
// began it calls ended when the work is through; its error says that the work failed. After Close, ended does nothing:
// the work was cut off.
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
