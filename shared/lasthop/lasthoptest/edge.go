// Package lasthoptest has a fake of the connections of one user, for tests of the packages that post.
package lasthoptest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/lasthop"
	"carrel/shared/wire"
)

// Edge is the list of a user's connections and the way to them. It checks each post against the list that was read
// last. Its exported fields are changed and read with Set, or before and after the test.
type Edge struct {
	mu sync.Mutex

	Owner   chat.User                       // the owner of the records that name none
	Foreign []error                         // the error of each list: records of other users
	List    func(ctx context.Context) error // called before each list, which fails with its error; nil: not called
	Rows    map[chat.ConnectionID]chat.Connection
	Takes   map[chat.ConnectionID]time.Duration // how long a post takes
	Fails   map[chat.ConnectionID]error         // how a post fails

	Got    map[chat.ConnectionID][]wire.ServerFrame // the frames that each connection received
	Posts  int                                      // the posts that were begun
	Oldest time.Duration                            // the greatest age of a list at the beginning of a post
	Bad    []string                                 // posts that broke a rule

	inProgress   map[chat.ConnectionID]int
	joiners      map[chat.ConnectionID]*wire.Joiner
	requested    time.Time                             // when the last list was requested
	answered     time.Time                             // when it was answered
	last, before map[chat.ConnectionID]chat.Connection // the last list, and the one before it
}

// New returns an edge with connections.
func New(conns ...chat.Connection) *Edge {
	e := &Edge{
		Rows: map[chat.ConnectionID]chat.Connection{}, Got: map[chat.ConnectionID][]wire.ServerFrame{},
		Takes: map[chat.ConnectionID]time.Duration{}, Fails: map[chat.ConnectionID]error{},
		inProgress: map[chat.ConnectionID]int{}, joiners: map[chat.ConnectionID]*wire.Joiner{},
	}
	for _, c := range conns {
		e.Put(c)
	}
	return e
}

// Put adds or replaces a connection.
func (e *Edge) Put(c chat.Connection) { e.Set(func() { e.Rows[c.ID] = c }) }

// Set calls change while no post or list reads the fields.
func (e *Edge) Set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

// Count returns the number of posts so far.
func (e *Edge) Count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.Posts
}

// Connections implements lasthop.Connections.
func (e *Edge) Connections(ctx context.Context) ([]chat.Connection, error) {
	requested := time.Now()
	e.mu.Lock()
	list := e.List
	e.mu.Unlock()
	if list != nil {
		if err := list(ctx); err != nil {
			return nil, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []chat.Connection
	for _, c := range e.Rows {
		if c.Owner == "" && !e.Owner.IsZero() {
			c.Owner = chat.OwnerHash(e.Owner.Hash())
		}
		all = append(all, c)
	}
	e.requested, e.answered = requested, time.Now()
	e.before, e.last = e.last, map[chat.ConnectionID]chat.Connection{}
	for _, c := range all {
		e.last[c.ID] = c
	}
	return all, errors.Join(e.Foreign...)
}

// RemoveConnection implements lasthop.Connections.
func (e *Edge) RemoveConnection(_ context.Context, id chat.ConnectionID) error {
	e.Set(func() { delete(e.Rows, id) })
	return nil
}

// Post implements lasthop.Poster.
func (e *Edge) Post(ctx context.Context, m lasthop.Message) error {
	id := m.Connection()
	e.mu.Lock()
	e.Posts++
	e.Oldest = max(e.Oldest, time.Since(e.requested))
	e.check(id, m.Body())
	if e.inProgress[id]++; e.inProgress[id] > 1 {
		e.Bad = append(e.Bad, "two posts at once to "+string(id))
	}
	takes, fails := e.Takes[id], e.Fails[id]
	e.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		fails = ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inProgress[id]--
	if fails != nil {
		return fails
	}
	return e.receive(id, m.Body())
}

// receive decodes a message and joins the parts of a long frame.
func (e *Edge) receive(id chat.ConnectionID, body []byte) error {
	if len(body) > wire.MaxFrame {
		e.Bad = append(e.Bad, fmt.Sprintf("a message of %d bytes", len(body)))
	}
	f, err := wire.DecodeServer(body)
	if p, ok := f.(*wire.Part); ok {
		if e.joiners[id] == nil {
			e.joiners[id] = &wire.Joiner{}
		}
		complete, bad := e.joiners[id].Add(p)
		if bad != nil || complete == nil {
			return bad
		}
		f, err = wire.DecodeServer(complete)
	}
	if err != nil {
		e.Bad = append(e.Bad, err.Error())
		return nil
	}
	e.Got[id] = append(e.Got[id], f)
	return nil
}

// check compares a post with the record of its connection that was listed last. At the moment of a list, the record of
// the list before is allowed too.
func (e *Edge) check(id chat.ConnectionID, body []byte) {
	reason := e.refused(e.last[id], body)
	if reason != "" && time.Now().Equal(e.answered) {
		reason = e.refused(e.before[id], body)
	}
	if reason != "" {
		e.Bad = append(e.Bad, "a post to "+string(id)+reason)
	}
}

// refused returns why a message may not be posted by a record; "" if it may.
func (e *Edge) refused(c chat.Connection, body []byte) string {
	if c.ID == "" || c.Owner != chat.OwnerHash(e.Owner.Hash()) || c.N == 0 || !time.Now().Before(c.TokenExpires) {
		return fmt.Sprintf(", whose record is %+v", c)
	}
	f, err := wire.DecodeServer(body)
	if events, ok := f.(*wire.Events); ok && err == nil && events.ThreadID != c.Thread {
		return fmt.Sprintf(" of events of %s; it watches %s", events.ThreadID, c.Thread)
	}
	return ""
}

// Events returns the events that a connection received after a sequence number, in the order of arrival. It fails the
// test if an event is missing or repeated, or if a post broke a rule.
func (e *Edge) Events(tb testing.TB, id chat.ConnectionID, after chat.Seq) []agui.Event {
	tb.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []agui.Event
	for _, f := range e.Got[id] {
		if f, ok := f.(*wire.Events); ok {
			if f.Seq != after+1 {
				tb.Errorf("%s got seq %d after %d", id, f.Seq, after)
			}
			after = f.Seq + chat.Seq(len(f.Events)) - 1
			all = append(all, f.Events...)
		}
	}
	for _, bad := range e.Bad {
		tb.Error(bad)
	}
	return all
}
