package emit_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/emit"
	"carrel/shared/lasthop/lasthoptest"
	"carrel/shared/usercontext"
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

func conn(id string) chat.Connection {
	return chat.Connection{ID: chat.ConnectionID(id), Thread: thread, N: 1, TokenExpires: time.Now().Add(time.Hour)}
}

type rig struct {
	*emit.Emitter
	log      *fakeLog
	edge     *lasthoptest.Edge
	uc       *usercontext.Context
	reported []string

	violations []chat.ConnectionID
}

func newRig(t *testing.T, log *fakeLog, edge *lasthoptest.Edge) *rig {
	t.Helper()
	uc, err := usercontext.New(t.Context(), usercontext.Config{
		User: chattest.User(t, "alice"), Thread: thread, Run: run, Request: "q", Limits: chat.DefaultLimits(),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{log: log, edge: edge, uc: uc}
	edge.Owner = uc.User()
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
	r.Deliver(seq, last, nil)
	if err := r.Finish(t.Context()); err != nil {
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
	return []agui.Event{{Type: agui.RunStarted, ThreadID: thread, RunID: run},
		{Type: agui.TextMessageStart, MessageID: "m", Role: agui.RoleAssistant}}
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
