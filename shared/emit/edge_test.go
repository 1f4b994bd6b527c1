package emit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// fakeEdge is the user's connections and the way to them.
type fakeEdge struct {
	mu           sync.Mutex
	owner        chat.User                       // of the rows that do not say
	foreign      []error                         // of the rows that are another's
	list         func(ctx context.Context) error // before each list; its error is the list's
	listed       time.Time                       // when the last list that came was asked for
	oldest       time.Duration                   // of a list, when a post was begun
	rows         map[chat.ConnectionID]chat.Connection
	got          map[chat.ConnectionID][]wire.ServerFrame
	posts        int
	posting      map[chat.ConnectionID]int
	joiner       map[chat.ConnectionID]*wire.Joiner
	takes        map[chat.ConnectionID]time.Duration
	fails        map[chat.ConnectionID]error
	bad          []string
	last, before map[chat.ConnectionID]chat.Connection // as they were listed last, and the time before that
	answered     time.Time                             // when the last list was
}

func newEdge(conns ...chat.Connection) *fakeEdge {
	e := &fakeEdge{
		rows: map[chat.ConnectionID]chat.Connection{}, got: map[chat.ConnectionID][]wire.ServerFrame{},
		posting: map[chat.ConnectionID]int{}, takes: map[chat.ConnectionID]time.Duration{},
		fails: map[chat.ConnectionID]error{}, joiner: map[chat.ConnectionID]*wire.Joiner{},
	}
	for _, c := range conns {
		e.put(c)
	}
	return e
}

func (e *fakeEdge) put(c chat.Connection) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rows[c.ID] = c
}

func (e *fakeEdge) set(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

func (e *fakeEdge) Connections(ctx context.Context) ([]chat.Connection, error) {
	at := time.Now()
	e.mu.Lock()
	list := e.list
	e.mu.Unlock()
	if list != nil {
		if err := list(ctx); err != nil {
			return nil, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []chat.Connection
	for _, c := range e.rows {
		if c.Owner == "" && !e.owner.IsZero() {
			c.Owner = chat.OwnerHash(e.owner.Hash())
		}
		all = append(all, c)
	}
	e.listed, e.answered, e.before, e.last = at, time.Now(), e.last, map[chat.ConnectionID]chat.Connection{}
	for _, c := range all {
		e.last[c.ID] = c
	}
	return all, errors.Join(e.foreign...)
}

func (e *fakeEdge) RemoveConnection(_ context.Context, id chat.ConnectionID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.rows, id)
	return nil
}

func (e *fakeEdge) Post(ctx context.Context, id chat.ConnectionID, message []byte) error {
	e.mu.Lock()
	e.posts++
	e.oldest = max(e.oldest, time.Since(e.listed))
	e.check(id, message)
	if e.posting[id]++; e.posting[id] > 1 {
		e.bad = append(e.bad, "two posts at once to "+string(id))
	}
	takes, fails := e.takes[id], e.fails[id]
	e.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		fails = ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.posting[id]--
	if fails != nil {
		return fails
	}
	if len(message) > wire.MaxFrame {
		e.bad = append(e.bad, fmt.Sprintf("a message of %d bytes", len(message)))
	}
	f, err := wire.DecodeServer(message)
	if p, ok := f.(*wire.Part); ok {
		if e.joiner[id] == nil {
			e.joiner[id] = &wire.Joiner{}
		}
		whole, bad := e.joiner[id].Add(p)
		if bad != nil || whole == nil {
			return bad
		}
		f, err = wire.DecodeServer(whole)
	}
	if err != nil {
		e.bad = append(e.bad, err.Error())
		return nil
	}
	e.got[id] = append(e.got[id], f)
	return nil
}

// check holds a post to the record of its connection that was listed last. In the moment of a list it may go by the one
// before.
func (e *fakeEdge) check(id chat.ConnectionID, message []byte) {
	why := e.refused(e.last[id], message)
	if why != "" && time.Now().Equal(e.answered) {
		why = e.refused(e.before[id], message)
	}
	if why != "" {
		e.bad = append(e.bad, "a post to "+string(id)+why)
	}
}

// refused says why nothing may be posted by a record.
func (e *fakeEdge) refused(c chat.Connection, message []byte) string {
	if c.ID == "" || c.Owner != chat.OwnerHash(e.owner.Hash()) || c.N == 0 || !time.Now().Before(c.TokenExpires) {
		return fmt.Sprintf(", whose record is %+v", c)
	}
	f, err := wire.DecodeServer(message)
	if events, ok := f.(*wire.Events); ok && err == nil && events.ThreadID != c.Thread {
		return fmt.Sprintf(" of events of %s; it watches %s", events.ThreadID, c.Thread)
	}
	return ""
}

// events are what a connection got, in the order of arrival; a repeat or a gap is told.
func (e *fakeEdge) events(t *testing.T, id chat.ConnectionID, after chat.Seq) []agui.Event {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []agui.Event
	for _, f := range e.got[id] {
		if f, ok := f.(*wire.Events); ok {
			if f.Seq != after+1 {
				t.Errorf("%s got seq %d after %d", id, f.Seq, after)
			}
			after = f.Seq + chat.Seq(len(f.Events)) - 1
			all = append(all, f.Events...)
		}
	}
	for _, b := range e.bad {
		t.Error(b)
	}
	return all
}
