package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/gateway"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// edge is a fake of the management API that also records closes.
type edge struct {
	*gatewaytest.Edge
	closed []chat.ConnectionID
}

// Close implements emit.Closer. It records the connection.
func (e *edge) Close(_ context.Context, id chat.ConnectionID) error {
	e.closed = append(e.closed, id)
	return nil
}

func newHandler(t *testing.T) (*handler, *edge) {
	t.Helper()
	h, e, _ := newLoggedHandler(t)
	return h, e
}

// newLoggedHandler also returns the log lines and metrics of the handler.
func newLoggedHandler(t *testing.T) (*handler, *edge, *bytes.Buffer) {
	t.Helper()
	e := &edge{Edge: gatewaytest.NewEdge(t)}
	table := gatewaytest.Table(t, store.Config{Limits: chat.DefaultLimits()})
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	return &handler{table: table, sender: e, monitor: monitor.New(&out, "connect", log), now: time.Now, log: log}, e,
		&out
}

func connect(t *testing.T, h *handler, u chat.User, id chat.ConnectionID, subprotocols string) gateway.Answer {
	t.Helper()
	event := gatewaytest.Message(t, gateway.Inbound{
		User: u, Connection: id, ConnectedAt: time.Now(), TokenExpires: time.Now().Add(time.Hour),
		Grants: []string{"calculator"},
	})
	var with map[string]any
	if err := json.Unmarshal(event, &with); err != nil {
		t.Fatal(err)
	}
	with["headers"] = map[string]string{"sec-websocket-protocol": subprotocols}
	event, err := json.Marshal(with)
	if err != nil {
		t.Fatal(err)
	}
	a, err := h.Handle(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestConnect_NewThreadAndNoPostsBeforeHello(t *testing.T) {
	t.Attr("row", "C2: a connection has a thread from the start, and receives nothing before its hello")
	h, _ := newHandler(t)
	alice := chattest.User(t, "alice")
	a := connect(t, h, alice, "c1=", "carrel.v1, bearer.x")
	if a.StatusCode != 200 || a.Headers["Sec-WebSocket-Protocol"] != "carrel.v1" {
		t.Errorf("answer %+v, want status 200 and the subprotocol, without which a browser closes the socket", a)
	}
	ofAlice, err := h.table.For(alice)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ofAlice.Connection(t.Context(), "c1=")
	if err != nil || c.N != 0 || chat.CheckID(string(c.Thread)) != nil || c.TokenExpires.Before(time.Now()) {
		t.Errorf("connection %+v, %v", c, err)
	}
	if a := connect(t, h, alice, "c2=", "other.v1"); a.StatusCode != 200 || len(a.Headers) > 0 {
		t.Errorf("answer %+v to a client of another protocol; want no subprotocol", a)
	}
	t.Attr("figure", fmt.Sprintf("n %d before its hello, on a thread of %d characters", c.N, len(c.Thread)))
}

func TestConnect_EleventhReplacesOldest(t *testing.T) {
	h, e := newHandler(t)
	alice, bob := chattest.User(t, "alice"), chattest.User(t, "bob")
	connect(t, h, bob, "bob=", "carrel.v1")
	for i := range 11 {
		connect(t, h, alice, chat.ConnectionID(fmt.Sprintf("c%02d=", i)), "carrel.v1")
	}
	if !slices.Equal(e.closed, []chat.ConnectionID{"c00="}) {
		t.Errorf("closed %v, want only alice's oldest connection", e.closed)
	}
	frames := e.Frames("c00=")
	if len(frames) != 1 || frames[0].(*wire.Error).Code != wire.CodeReplaced {
		t.Errorf("the oldest connection got %+v, want one error frame with the code replaced", frames)
	}
	ofAlice, err := h.table.For(alice)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := ofAlice.Connections(t.Context()); err != nil || len(left) != 10 {
		t.Errorf("alice has %d connections, %v; want 10", len(left), err)
	}
}

func TestConnect_EventWithoutUser(t *testing.T) {
	h, _ := newHandler(t)
	a, err := h.Handle(t.Context(), json.RawMessage(`{"requestContext":{"connectionId":"c="}}`))
	if err != nil || a.StatusCode != 403 {
		t.Errorf("answer %+v, %v; want 403", a, err)
	}
}

// A connect on a connection that is recorded for another user is refused, changes nothing, and is recorded as a
// violation. A repeated connect of the same user is not.
func TestConnect_ConnectionOfAnotherUser(t *testing.T) {
	t.Attr("row", "E2: a connect on another user's connection is recorded")
	h, e, out := newLoggedHandler(t)
	alice, bob := chattest.User(t, "alice"), chattest.User(t, "bob")
	connect(t, h, alice, "c1=", "carrel.v1")
	connect(t, h, alice, "c1=", "carrel.v1") // API Gateway may send an event twice
	if strings.Contains(out.String(), monitor.IsolationViolation) {
		t.Errorf("a repeated connect was recorded as a violation: %s", out)
	}
	if a := connect(t, h, bob, "c1=", "carrel.v1"); a.StatusCode != 403 || len(a.Headers) > 0 {
		t.Errorf("answer %+v, want 403", a)
	}
	if n := strings.Count(out.String(), `"IsolationViolation":1`); n != 1 ||
		!strings.Contains(out.String(), `"Guard":"connection_owner"`) ||
		!strings.Contains(out.String(), `"UserHash":"`+bob.Hash()+`"`) || strings.Contains(out.String(), "c1=") ||
		strings.Contains(out.String(), "bob") {
		t.Errorf("%d violations: %s", n, out)
	}
	t.Attr("figure", fmt.Sprintf("%d violation recorded for a connect on another user's connection",
		strings.Count(out.String(), `"IsolationViolation":1`)))
	if owner, err := h.table.Owner(t.Context(), "c1="); err != nil || owner != alice || len(e.closed) > 0 ||
		len(e.Frames("c1=")) > 0 {
		t.Errorf("the owner of the connection is %v, %v, want alice; closed %v", owner, err, e.closed)
	}
	ofBob, err := h.table.For(bob)
	if err != nil {
		t.Fatal(err)
	}
	if cs, err := ofBob.Connections(t.Context()); err != nil || len(cs) > 0 {
		t.Errorf("bob has the connections %v, %v; want none", cs, err)
	}
}

func TestBuild_MissingVariables(t *testing.T) {
	gatewaytest.Configured(t, map[string]string{"TABLE": "t", "ENDPOINT": "https://e/v1", "AWS_REGION": "r",
		"AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s"}, build)
}
