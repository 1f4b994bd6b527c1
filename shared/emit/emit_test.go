package emit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/emit"
	"carrel/shared/usercontext"
	"carrel/shared/wire"
)

const thread, run, epoch = chat.ThreadID("t"), chat.RunID("r"), chat.Epoch("e")

// fakeLog is a log in memory. fail, if set, is asked before and after each write.
type fakeLog struct {
	mu      sync.Mutex
	records []record
	fail    func(try int, written bool) error
	takes   time.Duration
	tries   int

	unanswered bool // the last write succeeded and nobody knows
}

type record struct {
	seq    chat.Seq
	events []agui.Event
	at     time.Time
}

func (l *fakeLog) Append(_ context.Context, events []agui.Event) (chat.Seq, error) {
	if l.takes > 0 {
		<-time.After(l.takes)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tries++
	if l.fail != nil {
		if err := l.fail(l.tries, false); err != nil {
			return 0, err
		}
	}
	next := chat.Seq(1)
	if n := len(l.records); n > 0 {
		last := l.records[n-1]
		next = last.seq + chat.Seq(len(last.events))
		if l.unanswered {
			l.unanswered = false
			return last.seq, nil // its own write, recognised
		}
	}
	l.records = append(l.records, record{next, events, time.Now()})
	if l.fail != nil {
		if err := l.fail(l.tries, true); err != nil {
			l.unanswered = true
			return 0, err
		}
	}
	return next, nil
}

func (l *fakeLog) all() []agui.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	var events []agui.Event
	for _, r := range l.records {
		events = append(events, r.events...)
	}
	return events
}

// fakeEdge is the user's connections and the way to them.
type fakeEdge struct {
	mu      sync.Mutex
	owner   chat.User                       // of the rows that do not say
	foreign []error                         // of the rows that are another's
	list    func(ctx context.Context) error // before each list; its error is the list's
	listed  time.Time                       // when the last list that came was asked for
	oldest  time.Duration                   // of a list, when a post was begun
	rows    map[chat.ConnectionID]chat.Connection
	got     map[chat.ConnectionID][]wire.ServerFrame
	posts   int
	posting map[chat.ConnectionID]int
	joiner  map[chat.ConnectionID]*wire.Joiner
	takes   map[chat.ConnectionID]time.Duration
	fails   map[chat.ConnectionID]error
	bad     []string
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
		if c.Owner.IsZero() {
			c.Owner = e.owner
		}
		all = append(all, c)
	}
	e.listed = at
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

func conn(id string) chat.Connection {
	return chat.Connection{ID: chat.ConnectionID(id), Thread: thread, N: 1, TokenExpires: time.Now().Add(time.Hour)}
}

type rig struct {
	*emit.Emitter
	log      *fakeLog
	edge     *fakeEdge
	uc       *usercontext.Context
	reported []string

	violations []chat.ConnectionID
}

func newRig(t *testing.T, log *fakeLog, edge *fakeEdge) *rig {
	t.Helper()
	uc, err := usercontext.New(t.Context(), usercontext.Config{
		User: chattest.User(t, "alice"), Thread: thread, Run: run, Request: "q", Limits: chat.DefaultLimits(),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{log: log, edge: edge, uc: uc}
	edge.owner = uc.User()
	var mu sync.Mutex
	r.Emitter, err = emit.New(t.Context(), emit.Config{
		User: uc, Epoch: epoch, Log: log, Connections: edge, Poster: edge,
		Violation: func(id chat.ConnectionID) { mu.Lock(); r.violations = append(r.violations, id); mu.Unlock() },
		Report:    func(err error) { mu.Lock(); r.reported = append(r.reported, err.Error()); mu.Unlock() },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) emit(t *testing.T, events ...agui.Event) {
	t.Helper()
	for _, ev := range events {
		if err := r.Emit(t.Context(), ev); err != nil {
			t.Fatalf("emit %s: %v", ev.Type, err)
		}
	}
}

// end drains, finishes with a terminal event and closes.
func (r *rig) end(t *testing.T) {
	t.Helper()
	if err := r.Drain(t.Context()); err != nil {
		t.Fatalf("drain: %v", err)
	}
	last := []agui.Event{{Type: agui.RunFinished, Timestamp: time.Now().UnixMilli(), ThreadID: thread, RunID: run}}
	seq, err := r.log.Append(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Finish(t.Context(), seq, last); err != nil {
		t.Fatalf("finish: %v", err)
	}
	r.close(t)
}

func (r *rig) close(t *testing.T) {
	t.Helper()
	if err := r.uc.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
}

func text(delta string) agui.Event {
	return agui.Event{Type: agui.TextMessageContent, MessageID: "m", Delta: delta}
}

func opening() []agui.Event {
	return []agui.Event{{Type: agui.RunStarted, ThreadID: thread, RunID: run}, {Type: agui.TextMessageStart, MessageID: "m", Role: agui.RoleAssistant}}
}

func said(events []agui.Event) string {
	var b strings.Builder
	for _, ev := range events {
		b.WriteString(ev.Delta)
	}
	return b.String()
}

func types(events []agui.Event) string {
	var all []string
	for _, ev := range events {
		all = append(all, string(ev.Type))
	}
	return strings.Join(slices.Compact(all), " ")
}

var errLost = errors.New("the answer was lost")
