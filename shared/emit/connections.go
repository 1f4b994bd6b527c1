package emit

import (
	"context"
	"fmt"
	"time"

	"carrel/shared/chat"
	"carrel/shared/lasthop"
)

// listAgain is the pause after a list that failed.
const listAgain = 250 * time.Millisecond

// keepListing lists the connections at once, then once each lasthop.Interval, and immediately after refreshNow.
func (e *Emitter) keepListing() {
	defer close(e.listerEnded)
	for wait := e.list(); ; wait = e.list() {
		select {
		case <-e.c.After(wait):
		case <-e.refreshNow:
		case <-e.stopList:
			return
		case <-e.ctx.Done():
			return
		}
	}
}

// list reads the user's connections, updates the subscribers, and returns the pause before the next list.
func (e *Emitter) list() time.Duration {
	requested := e.c.User.Now()
	e.mu.Lock()
	e.lists++
	number := e.lists
	e.mu.Unlock()
	records, err := e.reader.Read(e.ctx)
	if err != nil {
		e.c.Report(fmt.Errorf("emit: %w", err))
		return listAgain
	}
	now := e.c.User.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.current, e.currentAt = number, requested
	e.update(records)
	e.backlog, e.backlogSize = nil, 0
	e.announce()
	return max(lasthop.Interval-now.Sub(requested), 0)
}

// update makes the eligible connections of a list the subscribers; the lock is held.
func (e *Emitter) update(records []lasthop.Record) {
	seen := map[chat.ConnectionID]bool{}
	for _, r := range records {
		if e.reader.Eligible(r) {
			seen[r.Connection().ID] = true
			e.subscribe(r)
		}
	}
	for id, s := range e.subscribers {
		if seen[id] {
			continue
		}
		s.listed = false
		s.drop()
		if !s.busy {
			delete(e.subscribers, id)
		}
	}
}

// holdBack keeps a delivery for the subscribers of the first list, unless that list is there. It drops all earlier ones
// if they are too many for one connection, whose client then finds the gap. The lock is held.
func (e *Emitter) holdBack(d *delivery) {
	if e.current > 0 {
		return
	}
	if e.backlogSize+d.size > maxQueue {
		e.backlog, e.backlogSize = nil, 0
	}
	e.backlog, e.backlogSize = append(e.backlog, d), e.backlogSize+d.size
}

// subscribe updates the subscriber of one connection from a list. A new subscriber receives the most recent record if it
// watches the thread, and the most recent broadcast. A subscriber of the first list receives all that was held back.
// The lock is held.
func (e *Emitter) subscribe(r lasthop.Record) {
	c := r.Connection()
	s := e.subscribers[c.ID]
	if s == nil {
		s = &subscriber{id: c.ID}
		e.subscribers[c.ID] = s
	}
	saidHello := s.cut && c.N > s.record.Connection().N
	isNew := !s.listed || saidHello
	watched := !isNew && e.watches(s)
	s.listed = true
	if isNew {
		s.cut = false
	}
	if !s.cut {
		s.record = r // a subscriber that is cut keeps the N at which it was cut
	}
	var hasRow *delivery // that its queue has now
	switch {
	case e.backlog != nil:
		for _, d := range e.backlog {
			e.offer(s, d)
		}
		return
	case !e.watches(s):
		if watched {
			s.dropEvents()
		}
	case !watched && e.lastRecord != nil:
		e.push(s, e.lastRecord)
		hasRow = e.lastRecord.row
	}
	if isNew && e.lastBroadcast != nil && e.lastBroadcast != hasRow { // behind the record, whose row may be older
		e.push(s, e.lastBroadcast)
	}
}

// watches reports whether a subscriber watches the thread of the run.
func (e *Emitter) watches(s *subscriber) bool {
	return s.record.Connection().Thread == e.c.User.Thread()
}

// relist has the connections listed again, and waits for a list that was requested after the call.
func (e *Emitter) relist(ctx context.Context) error {
	e.mu.Lock()
	before := e.lists
	e.mu.Unlock()
	select {
	case e.refreshNow <- struct{}{}:
	default:
	}
	return e.until(ctx, func() bool { return e.current > before || e.closed })
}

// records is the Source of the emitter's posts: the current list.
type records struct{ *Emitter }

// Latest implements lasthop.Source. It refuses a connection that is cut, or that is not in the current list.
func (e records) Latest(id chat.ConnectionID) (lasthop.Record, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.find(id)
}

// Renew implements lasthop.Source. It waits until the current list is young enough to post by, and refuses
// if the emitter ends before that.
func (e records) Renew(ctx context.Context, id chat.ConnectionID) (r lasthop.Record, err error) {
	over := e.until(ctx, func() bool {
		r, err = e.find(id)
		return e.closed || e.current > 0 && e.c.User.Now().Sub(e.currentAt) <= lasthop.MaxAge
	})
	if over != nil {
		return r, lasthop.ErrRefused
	}
	return r, err
}

// find returns the record of a connection; the lock is held.
func (e records) find(id chat.ConnectionID) (lasthop.Record, error) {
	s := e.subscribers[id]
	if s == nil || !s.listed || s.cut || e.closed {
		return lasthop.Record{}, lasthop.ErrRefused
	}
	return s.record, nil
}

// until waits for a change after which done, which is called with the lock held, reports true.
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
