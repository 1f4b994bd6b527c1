package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/engine"
	"carrel/shared/gateway"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

const schedule = `{"version":"0","source":"aws.events","detail-type":"Scheduled Event","detail":{}}`

type fixture struct {
	*handler
	t     *testing.T
	table *store.Table
	edge  *gatewaytest.Edge
	slot  func(chat.User, chat.RunID, chat.ThreadID) // writes a slot directly into the table
	log   lines
	mu    sync.Mutex
	clock time.Time
}

// lines is a log that is safe for concurrent writes.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	return newFixtureWith(t, chat.DefaultLimits())
}

func newFixtureWith(t *testing.T, limits chat.Limits) *fixture {
	t.Helper()
	r := &fixture{t: t, edge: gatewaytest.NewEdge(t), clock: time.Now()}
	now := func() time.Time {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.clock
	}
	log := slog.New(slog.NewJSONHandler(&r.log, nil))
	r.table, r.slot = gatewaytest.TableAndSlot(t, store.Config{Limits: limits, Now: now, Worker: gateway.RequestID})
	r.handler = &handler{
		live: r.table, tables: r.table, limits: limits,
		poster: r.edge, invoker: r.edge, monitor: monitor.New(&r.log, "sweep", log), log: log, now: now,
	}
	return r
}

// corruptibleFixture returns a fixture that gives each run one attempt, and a function that corrupts items of its table
// directly.
func corruptibleFixture(t *testing.T) (r *fixture, corrupt func(u chat.User, prefix, attribute string)) {
	t.Helper()
	r = newFixture(t)
	r.limits.Attempts = 1
	r.table, corrupt = gatewaytest.TableAndSpoiler(t, store.Config{Limits: r.limits, Now: r.now,
		Worker: gateway.RequestID})
	r.live, r.tables = r.table, r.table
	return r, corrupt
}

func (r *fixture) advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock = r.clock.Add(d)
}

// counted returns the sum of each metric.
func (r *fixture) counted() map[string]int {
	r.t.Helper()
	sums := map[string]int{}
	for line := range strings.Lines(r.log.String()) {
		var l struct {
			AWS struct {
				CloudWatchMetrics []struct{ Metrics []struct{ Name string } }
			} `json:"_aws"`
		}
		values := map[string]json.RawMessage{}
		if err := errors.Join(json.Unmarshal([]byte(line), &l), json.Unmarshal([]byte(line), &values)); err != nil {
			r.t.Fatal(err)
		}
		for _, d := range l.AWS.CloudWatchMetrics {
			for _, m := range d.Metrics {
				n, err := strconv.Atoi(string(values[m.Name]))
				if err != nil {
					r.t.Fatal(err)
				}
				sums[m.Name] += n
			}
		}
	}
	return sums
}

func (r *fixture) sweep(event string) {
	r.t.Helper()
	ctx := lambdacontext.NewContext(r.t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "request"})
	if err := r.Handle(ctx, json.RawMessage(event)); err != nil {
		r.t.Fatalf("sweep: %v", err)
	}
}

// person is a user with one connection that watches thread t.
type person struct {
	*fixture
	user   chat.User
	store  *store.Store
	window chat.ConnectionID
}

func (r *fixture) person(name string) person {
	r.t.Helper()
	p := person{fixture: r, user: chattest.User(r.t, name), window: chat.ConnectionID(name + "=")}
	var err error
	if p.store, err = r.tables.For(p.user); err != nil {
		r.t.Fatal(err)
	}
	_, err = p.store.Watch(r.t.Context(), chat.Connection{ID: p.window, Thread: "t", N: 1,
		TokenExpires: r.clock.Add(10 * time.Hour)})
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

func (p person) admit(run chat.RunID) {
	p.t.Helper()
	_, err := p.store.Admit(p.t.Context(), store.Admission{
		Run: run, Thread: "t", Title: "a title", Messages: []agui.Message{{ID: string(run) + ".1", Role: agui.RoleUser,
			Content: "hi"}},
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// worker is the request id of the invocation that claims runs.
const worker = "the worker's invocation"

// failed returns the failure record of an invocation of turn for run r1 of the person.
func (p person) failed(request string) string {
	return `{"version":"1.0","requestContext":{"requestId":"` + request + `","condition":"RetriesExhausted"},
		"requestPayload":{"ownerHash":"` + p.user.Hash() + `","run":"r1","reason":"run"},
		"responseContext":{"statusCode":200,"functionError":"Unhandled"}}`
}

// neverRan returns the record of an event for run r1 of the person that Lambda dropped without an invocation.
func (p person) neverRan() string {
	return `{"version":"1.0","requestContext":{"requestId":"never ran","condition":"EventAgeExceeded"},
		"requestPayload":{"ownerHash":"` + p.user.Hash() + `","run":"r1","reason":"run"}}`
}

// claims claims the run like a turn with this request id.
func (p person) claims(run chat.RunID, request string) *store.Lease {
	p.t.Helper()
	h, err := p.store.Claim(lambdacontext.NewContext(p.t.Context(),
		&lambdacontext.LambdaContext{AwsRequestID: request}), run)
	if err != nil {
		p.t.Fatal(err)
	}
	return h
}

// lives advances the clock by d, while the worker renews its lease.
func (p person) lives(h *store.Lease, d time.Duration) {
	p.t.Helper()
	for ; d > 0; d -= 6 * time.Second {
		p.advance(min(d, 6*time.Second))
		if err := h.Renew(p.t.Context()); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p person) turn(run chat.RunID) gatewaytest.Invocation {
	return gatewaytest.Invocation{User: p.user, Run: run}
}

// dies claims the run and appends an answer with an open tool call, like a worker that then dies.
func (p person) dies(run chat.RunID) *store.Lease {
	p.t.Helper()
	h := p.claims(run, worker)
	_, err := h.Append(p.t.Context(), []agui.Event{
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

// ended checks that the run's log is complete and ends with worker_died, and that the connection got the end.
func (p person) ended(run chat.RunID, then chat.ThreadStatus) {
	p.t.Helper()
	p.endedWith(engine.CodeDied, run, then)
}

func (p person) endedWith(code string, run chat.RunID, then chat.ThreadStatus) {
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
	if last.Type != agui.RunError || last.Code != code || last.Message == "" || p.status(run) != chat.RunFailed {
		p.t.Errorf("the log ends with %+v, and the status is %s", last, p.status(run))
	}
	var got []string
	for _, f := range p.edge.Frames(p.window) {
		switch f := f.(type) {
		case *wire.Events:
			got = append(got, string(f.Events[len(f.Events)-1].Type))
		case *wire.Thread:
			got = append(got, string(f.Status))
		}
	}
	if !slices.Equal(got, []string{"RUN_ERROR", string(then)}) {
		p.t.Errorf("the connection got %q", got)
	}
	d, err := p.store.RunQueue(p.t.Context())
	if _, holdsSlot := d.Slots[run]; holdsSlot || err != nil {
		p.t.Errorf("the run still has a slot: %+v, error %v", d, err)
	}
}
