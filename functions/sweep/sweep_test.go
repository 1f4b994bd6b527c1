package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/engine"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

const (
	schedule = `{"version":"0","source":"aws.events","detail-type":"Scheduled Event","detail":{}}`
	failure  = `{"version":"1.0","requestContext":{"condition":"RetriesExhausted"},"requestPayload":{"run":"r1","reason":"run"}}`
)

type rig struct {
	*handler
	t    *testing.T
	edge *gatewaytest.Edge
	log  bytes.Buffer
	mu   sync.Mutex
	at   time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, edge: gatewaytest.NewEdge(t), at: time.Now()}
	now := func() time.Time {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.at
	}
	log := slog.New(slog.NewJSONHandler(&r.log, nil))
	r.handler = &handler{
		table:  gatewaytest.Table(t, store.Config{Limits: chat.DefaultLimits(), Now: now}),
		poster: r.edge, invoker: r.edge, monitor: monitor.New(&r.log, "sweep", log), log: log, now: now,
		after: func(time.Duration) <-chan time.Time { // no time passes: as if the lease had been renewed meanwhile
			over := make(chan time.Time)
			close(over)
			return over
		},
	}
	return r
}

func (r *rig) advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = r.at.Add(d)
}

func (r *rig) sweep(event string) {
	r.t.Helper()
	if err := r.Handle(r.t.Context(), json.RawMessage(event)); err != nil {
		r.t.Fatalf("sweep: %v", err)
	}
}

// A failed turn's run ends as soon as its lease is past: nobody waits for the next minute.
func TestAFailedTurnsLeaseIsWaitedOut(t *testing.T) {
	r := newRig(t)
	alice := r.person("alice")
	alice.admit("r1")
	alice.dies("r1")
	at := r.after
	var waited time.Duration
	r.after = func(d time.Duration) <-chan time.Time {
		waited += d
		r.advance(d)
		return at(d)
	}
	r.sweep(`{"requestPayload":{"run":"r1","reason":"run"}}`)
	alice.ended("r1", chat.ThreadIdle)
	if waited <= 0 || waited > 21*time.Second {
		t.Errorf("it waited %v for a lease of 20 s", waited)
	}
}

// person is a user with one window on thread t.
type person struct {
	*rig
	user   chat.User
	store  *store.Store
	window chat.ConnectionID
}

func (r *rig) person(name string) person {
	r.t.Helper()
	p := person{rig: r, user: chattest.User(r.t, name), window: chat.ConnectionID(name + "=")}
	var err error
	if p.store, err = r.table.For(p.user); err != nil {
		r.t.Fatal(err)
	}
	_, err = p.store.Watch(r.t.Context(), chat.Connection{ID: p.window, Thread: "t", N: 1, TokenExpires: r.at.Add(10 * time.Hour)})
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

func (p person) admit(run chat.RunID) {
	p.t.Helper()
	_, err := p.store.Admit(p.t.Context(), store.Admission{
		Run: run, Thread: "t", Title: "a title", Messages: []agui.Message{{ID: "u", Role: agui.RoleUser, Content: "hi"}},
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// dies plays a worker that dies in the middle of an answer, with a tool call open.
func (p person) dies(run chat.RunID) *store.Holder {
	p.t.Helper()
	h, err := p.store.Claim(p.t.Context(), run)
	if err != nil {
		p.t.Fatal(err)
	}
	_, err = h.Append(p.t.Context(), []agui.Event{
		{Type: agui.RunStarted, ThreadID: "t", RunID: run},
		{Type: agui.TextMessageStart, MessageID: "m", Role: agui.RoleAssistant},
		{Type: agui.ToolCallStart, ToolCallID: "c", ToolCallName: "calculator", ParentMessageID: "m"},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return h
}

func (p person) status(run chat.RunID) chat.RunStatus {
	p.t.Helper()
	got, err := p.store.Run(p.t.Context(), run)
	if err != nil {
		p.t.Fatal(err)
	}
	return got.Status
}

// ended checks that the run's log is whole and ends as sweep ends one, and that the window was told.
func (p person) ended(run chat.RunID, then chat.ThreadStatus) {
	p.t.Helper()
	th, err := p.store.Thread(p.t.Context(), "t")
	if err != nil {
		p.t.Fatal(err)
	}
	records, err := p.store.Log(p.t.Context(), "t", th.Epoch, 0, 100)
	if err != nil {
		p.t.Fatal(err)
	}
	var order agui.Order
	var last agui.Event
	for _, rec := range records {
		for _, e := range rec.Events {
			if err := order.Check(e); err != nil {
				p.t.Error(err)
			}
			last = e
		}
	}
	if last.Type != agui.RunError || last.Code != engine.CodeDied || last.Message == "" || p.status(run) != chat.RunFailed {
		p.t.Errorf("the log ends with %+v, the status is %s", last, p.status(run))
	}
	var told []string
	for _, f := range p.edge.Frames(p.window) {
		switch f := f.(type) {
		case *wire.Events:
			told = append(told, string(f.Events[len(f.Events)-1].Type))
		case *wire.Thread:
			told = append(told, string(f.Status))
		}
	}
	if !slices.Equal(told, []string{"RUN_ERROR", string(then)}) {
		p.t.Errorf("the window was told %q", told)
	}
	d, err := p.store.Desk(p.t.Context())
	if _, sits := d.Seats[run]; sits || err != nil {
		p.t.Errorf("the run still has a seat: %+v, error %v", d, err)
	}
}

func TestARunWhoseWorkerDiedIsEnded(t *testing.T) {
	r := newRig(t)
	alice, bob := r.person("alice"), r.person("bob")
	alice.admit("r1")
	alice.admit("r2")
	bob.admit("r1")
	frozen := alice.dies("r1")
	bob.dies("r1")
	r.sweep(schedule)
	r.sweep(failure)
	if alice.status("r1") != chat.RunRunning || bob.status("r1") != chat.RunRunning {
		t.Fatal("a run was ended within its lease")
	}
	r.advance(21 * time.Second)
	if h, err := bob.store.Run(t.Context(), "r1"); err != nil || h.Lease.After(r.now()) {
		t.Fatalf("bob's run %+v, error %v", h, err)
	}
	r.sweep(schedule)
	alice.ended("r1", chat.ThreadRunning) // by the next
	bob.ended("r1", chat.ThreadIdle)
	if got := r.edge.Invoked(); !slices.Contains(got, gatewaytest.Invocation{User: alice.user, Run: "r2"}) || len(got) != 1 {
		t.Errorf("invoked %v, want what waited", got)
	}
	if _, err := frozen.Append(t.Context(), []agui.Event{{Type: agui.TextMessageEnd, MessageID: "m"}}); !errors.Is(err, chat.ErrFenced) {
		t.Errorf("the dead worker wrote again: %v", err)
	}
	r.sweep(schedule)
	if got := r.edge.Frames(bob.window); len(got) != 0 {
		t.Errorf("the next sweep told of it again: %v", got)
	}
	if !strings.Contains(r.log.String(), "RunsDied") {
		t.Error("it was not counted")
	}
}

func TestARunThatNobodyClaimedIsEnded(t *testing.T) {
	r := newRig(t)
	alice := r.person("alice")
	alice.admit("r1")
	r.sweep(schedule)
	if alice.status("r1") != chat.RunAdmitted {
		t.Fatal("it was ended before its deadline")
	}
	r.advance(31 * time.Second)
	r.sweep(schedule)
	alice.ended("r1", chat.ThreadIdle)
}

// A failure record comes at once: the run that it is about need not wait for its deadline, unless it could be another
// user's of the same id.
func TestAFailedTurnEndsItsRunAtOnce(t *testing.T) {
	r := newRig(t)
	alice := r.person("alice")
	alice.admit("r1")
	r.sweep(failure)
	alice.ended("r1", chat.ThreadIdle)

	bob, carol := r.person("bob"), r.person("carol")
	bob.admit("r1")
	carol.admit("r1")
	r.sweep(failure)
	if bob.status("r1") != chat.RunAdmitted || carol.status("r1") != chat.RunAdmitted {
		t.Error("a run was ended that may be none of the failure's")
	}
}

func TestAWaitingRunExpires(t *testing.T) {
	r := newRig(t)
	alice := r.person("alice")
	alice.admit("r1")
	alice.admit("r2")
	h := alice.dies("r1")
	for range 240 { // its worker is alive all the time
		r.advance(15 * time.Second)
		if err := h.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r.advance(2 * time.Second)
	r.sweep(schedule)
	if alice.status("r1") != chat.RunRunning || alice.status("r2") != chat.RunCancelled {
		t.Errorf("the runs are %s and %s", alice.status("r1"), alice.status("r2"))
	}
	got := r.edge.Frames(alice.window)
	if e, ok := got[0].(*wire.Ended); !ok || e.RunID != "r2" || e.Status != chat.RunCancelled {
		t.Errorf("the window was told %+v", got)
	}
}

// Whoever ended a run may have died before it started the next.
func TestWhatWasLeftWaitingIsStarted(t *testing.T) {
	r := newRig(t)
	alice := r.person("alice")
	alice.admit("r1")
	alice.admit("r2")
	h := alice.dies("r1")
	if _, _, err := h.End(t.Context(), []agui.Event{{Type: agui.RunError, Message: "x"}}); err != nil {
		t.Fatal(err)
	}
	r.sweep(schedule)
	if got := r.edge.Invoked(); len(got) != 1 || got[0].Run != "r2" || alice.status("r2") != chat.RunAdmitted {
		t.Errorf("invoked %v, the run is %s", got, alice.status("r2"))
	}
}

func TestOneUsersFailureStopsNoOther(t *testing.T) {
	r := newRig(t)
	names := []string{"alice", "bob", "carol"}
	var people []person
	for _, name := range names {
		p := r.person(name)
		p.admit("r1")
		p.admit("r2")
		p.dies("r1")
		people = append(people, p)
	}
	r.advance(21 * time.Second)
	r.edge.Fail(errors.New("throttled"))
	if err := r.Handle(t.Context(), json.RawMessage(schedule)); err == nil || strings.Count(err.Error(), "throttled") != 3 {
		t.Errorf("error %v, want each user's", err)
	}
	for _, p := range people {
		p.ended("r1", chat.ThreadRunning)
	}
}

// A deleted thread is erased by turn, which is asked until nothing is left: at once, and again after 20 minutes.
func TestADeletedThreadIsErased(t *testing.T) {
	r := newRig(t)
	alice := r.person("alice")
	alice.admit("r1")
	h := alice.dies("r1")
	if _, err := alice.store.Delete(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	e := store.Erasure{Thread: "t", Epoch: h.Thread().Epoch}
	want := gatewaytest.Invocation{User: alice.user, Thread: e.Thread, Epoch: e.Epoch}
	for _, c := range []struct {
		what  string
		after time.Duration
		pass  bool // made by turn
		asked int
	}{
		{"at once", 0, false, 1}, {"until a pass is made", time.Minute, true, 1}, {"not for a while", 18 * time.Minute, false, 0},
		{"again", 2 * time.Minute, true, 1}, {"never more", time.Hour, false, 0},
	} {
		r.advance(c.after)
		r.sweep(schedule)
		if got := r.edge.Invoked(); len(got) != c.asked || c.asked > 0 && got[0] != want {
			t.Errorf("%s: asked for %v", c.what, got)
		}
		if c.pass {
			if err := alice.store.Erase(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if alice.status("r1") != chat.RunFailed || len(r.edge.Frames(alice.window)) > 0 {
		t.Errorf("the deleted thread's run is %s", alice.status("r1"))
	}
	r.sweep(`{"version":"1.0","requestPayload":{"reason":"erase","thread":"t","epoch":"e"}}`)
	if live, err := r.table.Live(t.Context()); err != nil || len(live) > 0 {
		t.Errorf("still live: %+v, %v", live, err)
	}
}
