package store_test

import (
	"context"
	"errors"
)

// errNotOwned is the error of a check that finds the connection of another user.
var errNotOwned = errors.New("the connection belongs to another user")

// check is the check of the ownership of a connection, which an admission makes beside its first read.
type check struct {
	after  int           // it ends after this many requests of the actor
	ends   chan struct{} // closed when it ends
	err    error         // its result
	passed bool          // it has ended, and successfully
}

// owned returns the check of an admission's connection. It ends before the first request of the actor, or after one of
// the three reads that it runs beside. It may fail.
func (a *actor) owned() func(context.Context) error {
	a.check = &check{after: a.steps + a.rng.IntN(4), ends: make(chan struct{})}
	if a.rng.IntN(10) == 0 {
		a.check.err = errNotOwned
	}
	a.checkBeside()
	return func(ctx context.Context) error {
		select {
		case <-a.check.ends:
			return a.check.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// checkBeside ends the check of the actor when its time has come, and fails the schedule if the actor writes before
// that. The transport calls it after each request.
func (a *actor) checkBeside() {
	c := a.check
	if c == nil || c.passed {
		return
	}
	if a.writes {
		a.m.fail("%s: writes before the ownership of its connection is known: %s", a.name, a.at)
	}
	if a.steps == c.after {
		a.m.note("%s: the check of its connection ends: %v", a.name, c.err)
		c.passed = c.err == nil
		close(c.ends)
	}
}
