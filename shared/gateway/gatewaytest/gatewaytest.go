// Package gatewaytest replaces API Gateway and Lambda in the tests of functions: it makes the events that API Gateway
// and Lambda send, takes the posts and invocations that come out, and opens a real table on the local stack's engine.
package gatewaytest

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"carrel/shared/chat"
	"carrel/shared/gateway"
	"carrel/shared/lasthop"
	"carrel/shared/wire"
)

// Message is the event of a message on a connection. A sign-in that is not set is an hour before the token expires, by
// iat.
func Message(tb testing.TB, in gateway.Inbound) json.RawMessage {
	tb.Helper()
	signedIn, by := in.SignIn.At, "iat"
	if signedIn.IsZero() {
		signedIn = in.TokenExpires.Add(-time.Hour)
	}
	if in.SignIn.Proven {
		by = "auth_time"
	}
	event, err := json.Marshal(map[string]any{
		"body": string(in.Body),
		"requestContext": map[string]any{
			"eventType": "MESSAGE", "connectionId": in.Connection, "connectedAt": in.ConnectedAt.UnixMilli(),
			"requestId": in.RequestID,
			"authorizer": map[string]any{
				"principalId": in.User.Key(), "user": in.User.Key(),
				"expires": strconv.FormatInt(in.TokenExpires.Unix(), 10), "grants": strings.Join(in.Grants, " "),
				"signedIn": strconv.FormatInt(signedIn.Unix(), 10), "signedInBy": by,
			},
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return event
}

// Turn is the invocation of turn for a run of this user.
func Turn(tb testing.TB, u chat.User, run chat.RunID) (context.Context, json.RawMessage) {
	tb.Helper()
	return invocation(tb, u, gateway.TurnEvent{Run: run, Reason: gateway.ReasonRun})
}

// Erase is the invocation of turn for a deleted thread of this user.
func Erase(tb testing.TB, u chat.User, thread chat.ThreadID, epoch chat.Epoch) (context.Context, json.RawMessage) {
	tb.Helper()
	return invocation(tb, u, gateway.TurnEvent{Thread: thread, Epoch: epoch, Reason: gateway.ReasonEraseThread})
}

// EraseUser is the invocation of turn for a user who is to be erased.
func EraseUser(tb testing.TB, u chat.User) (context.Context, json.RawMessage) {
	tb.Helper()
	return invocation(tb, u, gateway.TurnEvent{Reason: gateway.ReasonEraseUser})
}

func invocation(tb testing.TB, u chat.User, e gateway.TurnEvent) (context.Context, json.RawMessage) {
	tb.Helper()
	event, err := json.Marshal(e)
	if err != nil {
		tb.Fatal(err)
	}
	lc := &lambdacontext.LambdaContext{AwsRequestID: "request", TenantID: u.Key()}
	return lambdacontext.NewContext(tb.Context(), lc), event
}

// Edge takes what functions post and invoke. It is safe for concurrent use.
type Edge struct {
	tb testing.TB

	mu      sync.Mutex
	frames  map[chat.ConnectionID][]wire.ServerFrame
	joiners map[chat.ConnectionID]*wire.Joiner
	invoked []Invocation
	closed  []chat.ConnectionID
	changed chan struct{}
	fail    error
}

// Invocation is one of turn.
type Invocation struct {
	User      chat.User
	Run       chat.RunID
	Thread    chat.ThreadID // to be erased
	Epoch     chat.Epoch
	EraseUser bool
}

// NewEdge makes an edge that takes everything.
func NewEdge(tb testing.TB) *Edge {
	return &Edge{
		tb: tb, frames: map[chat.ConnectionID][]wire.ServerFrame{}, joiners: map[chat.ConnectionID]*wire.Joiner{},
		changed: make(chan struct{}),
	}
}

// Fail makes every invocation from now on fail with err.
func (e *Edge) Fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fail = err
}

// Post is post.Poster's.
func (e *Edge) Post(_ context.Context, m lasthop.Message) error {
	id, message := m.Connection(), m.Body()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(message) > wire.MaxFrame {
		e.tb.Errorf("%s was posted a message of %d bytes", id, len(message))
	}
	f, err := wire.DecodeServer(message)
	if err != nil {
		e.tb.Errorf("%s was posted %q: %v", id, message, err)
		return nil
	}
	if p, ok := f.(*wire.Part); ok {
		if e.joiners[id] == nil {
			e.joiners[id] = &wire.Joiner{}
		}
		whole, err := e.joiners[id].Add(p)
		if err != nil {
			e.tb.Errorf("%s: %v", id, err)
		}
		if whole == nil {
			return nil
		}
		if f, err = wire.DecodeServer(whole); err != nil {
			e.tb.Errorf("%s: %v", id, err)
			return nil
		}
	}
	e.frames[id] = append(e.frames[id], f)
	close(e.changed)
	e.changed = make(chan struct{})
	return nil
}

// Turn is invoke.Invoker's.
func (e *Edge) Turn(_ context.Context, u chat.User, run chat.RunID) error {
	return e.invoke(Invocation{User: u, Run: run})
}

// EraseThread is invoke.Invoker's.
func (e *Edge) EraseThread(_ context.Context, u chat.User, thread chat.ThreadID, epoch chat.Epoch) error {
	return e.invoke(Invocation{User: u, Thread: thread, Epoch: epoch})
}

// EraseUser is invoke.Invoker's.
func (e *Edge) EraseUser(_ context.Context, u chat.User) error {
	return e.invoke(Invocation{User: u, EraseUser: true})
}

// Close is post.Poster's.
func (e *Edge) Close(_ context.Context, id chat.ConnectionID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = append(e.closed, id)
	return nil
}

// Closed takes the connections that were closed so far.
func (e *Edge) Closed() []chat.ConnectionID {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.closed
	e.closed = nil
	return c
}

func (e *Edge) invoke(i Invocation) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail != nil {
		return e.fail
	}
	e.invoked = append(e.invoked, i)
	return nil
}

// Frames takes the frames that a connection was posted so far.
func (e *Edge) Frames(id chat.ConnectionID) []wire.ServerFrame {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.frames[id]
	delete(e.frames, id)
	return f
}

// Invoked takes the invocations so far.
func (e *Edge) Invoked() []Invocation {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := e.invoked
	e.invoked = nil
	return i
}

// Await waits until the frames of a connection, which it leaves in place, are as they should be.
func (e *Edge) Await(id chat.ConnectionID, enough func([]wire.ServerFrame) bool) {
	e.tb.Helper()
	for {
		e.mu.Lock()
		done, changed, have := enough(e.frames[id]), e.changed, len(e.frames[id])
		e.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-e.tb.Context().Done():
			e.tb.Fatalf("%s was posted %d frames, not the expected ones", id, have)
		}
	}
}
