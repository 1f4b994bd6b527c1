package emit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrel/shared/chat"
)

// The connections are listed each listEvery, and a list is posted from for listGood from the moment at which it was asked
// for: that second, and what the next one may take to come. Without a newer one live delivery stands still after that;
// what is queued goes on, or is dropped, by the next list that there is.
const (
	listEvery = time.Second
	listGood  = listEvery + 250*time.Millisecond
	listTime  = listGood               // of one list: a later answer could not be posted from
	listAgain = 250 * time.Millisecond // after a list that failed
	listTries = 3                      // of Broadcast
	dropTime  = 3 * time.Second        // to forget a connection that is gone
)

// target reports whether anything may be posted to c for u: it is u's, its client has said hello, and its token is not
// past.
func target(c chat.Connection, u chat.User, now time.Time) bool {
	return c.Owner == chat.OwnerHash(u.Hash()) && !u.IsZero() && c.N > 0 && now.Before(c.TokenExpires)
}

// foreign are those of a list that are not u's, as its rows or its error say: each is an isolation violation. A row that
// does not say whose it is is not one; it is no target either.
func foreign(conns []chat.Connection, err error, u chat.User) []chat.ConnectionID {
	all := chat.Foreign(err)
	for _, c := range conns {
		if c.Owner != chat.OwnerHash(u.Hash()) && c.Owner != "" {
			all = append(all, c.ID)
		}
	}
	return all
}

// keepListing lists the connections once a second, and at once when it is kicked.
func (e *Emitter) keepListing(wait time.Duration) {
	defer close(e.listed)
	for {
		select {
		case <-e.c.After(wait):
		case <-e.kick:
		case <-e.stopList:
			return
		case <-e.ctx.Done():
			return
		}
		wait = e.list()
	}
}

// list reads the user's connections, drops those that are no target any more and brings news to those that are new. It
// returns how long to wait for the next time.
func (e *Emitter) list() time.Duration {
	at := e.c.User.Now()
	e.mu.Lock()
	e.lists++
	number := e.lists
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(e.ctx, listTime)
	defer cancel()
	conns, err := e.c.Connections.Connections(ctx)
	if err != nil && !errors.Is(err, chat.ErrForeign) {
		e.c.Report(fmt.Errorf("emit: list connections: %w", err))
		return listAgain
	}
	for _, id := range foreign(conns, err, e.c.User.User()) {
		if !e.refused[id] {
			e.refused[id] = true
			e.c.Violation(id)
		}
	}
	now := e.c.User.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inForce, e.listedAt = number, at
	e.take(conns, now)
	e.announce()
	return max(listEvery-now.Sub(at), 0)
}

// take takes over a list; the lock is held.
func (e *Emitter) take(conns []chat.Connection, now time.Time) {
	seen := map[chat.ConnectionID]bool{}
	for _, c := range conns {
		if target(c, e.c.User.User(), now) {
			seen[c.ID] = true
			e.see(c)
		}
	}
	for id, o := range e.outlets {
		if seen[id] {
			continue
		}
		o.listed = false
		o.drop()
		if !o.busy {
			delete(e.outlets, id)
		}
	}
}

// see takes one connection from a list; the lock is held.
func (e *Emitter) see(c chat.Connection) {
	o := e.outlets[c.ID]
	if o == nil {
		o = &outlet{}
		e.outlets[c.ID] = o
	}
	fresh := !o.listed || o.cut && c.N > o.conn.N
	watched := !fresh && o.conn.Thread == e.c.User.Thread()
	o.listed = true
	if fresh {
		o.cut = false
	}
	if !o.cut {
		o.conn = c // a cut one keeps the N at which it was cut
	}
	if fresh && e.news != nil {
		e.push(o, e.news)
	}
	switch {
	case o.conn.Thread != e.c.User.Thread():
		if watched {
			o.leave()
		}
	case !watched && e.last != nil:
		e.push(o, e.last)
	}
}

// relist has the connections listed anew, and waits for a list that was asked for after now.
func (e *Emitter) relist(ctx context.Context) error {
	e.mu.Lock()
	since := e.lists
	e.mu.Unlock()
	select {
	case e.kick <- struct{}{}:
	default:
	}
	return e.until(ctx, func() bool { return e.inForce > since || e.closed })
}

// current does step, under the lock, as soon as there is a list that may be posted from. It reports false if there will be
// none.
func (e *Emitter) current(step func()) bool {
	done := false
	err := e.until(e.ctx, func() bool {
		if !e.closed && e.c.User.Now().Sub(e.listedAt) <= listGood && e.inForce > 0 {
			step()
			done = true
		}
		return done || e.closed
	})
	return done && err == nil
}

// until waits for a change after which done, which is called under the lock, reports true.
func (e *Emitter) until(ctx context.Context, done func() bool) error {
	for {
		e.mu.Lock()
		over, changed := done(), e.changed
		e.mu.Unlock()
		if over {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("emit: %w", context.Cause(ctx))
		}
	}
}
