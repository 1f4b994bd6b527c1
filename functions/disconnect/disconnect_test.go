package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/gateway"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/monitor"
	"carrel/shared/store"
)

// newHandler returns a handler whose metrics are written to a buffer, and alice's part of its table.
func newHandler(t *testing.T) (*handler, *store.Store, *bytes.Buffer) {
	t.Helper()
	var metrics bytes.Buffer
	log := slog.New(slog.DiscardHandler)
	h := &handler{table: gatewaytest.Table(t, store.Config{Limits: chat.DefaultLimits()}),
		monitor: monitor.New(&metrics, "disconnect", log), log: log}
	own, err := h.table.For(chattest.User(t, "alice"))
	if err != nil {
		t.Fatal(err)
	}
	return h, own, &metrics
}

func connect(t *testing.T, own *store.Store, id chat.ConnectionID) {
	t.Helper()
	c := chat.Connection{ID: id, Thread: "t", Connected: time.Now(), TokenExpires: time.Now().Add(time.Hour)}
	if _, err := own.Connect(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func TestDisconnect_OwnConnectionOnly(t *testing.T) {
	t.Attr("row", "E2: a disconnect of another user's connection is recorded")
	h, own, metrics := newHandler(t)
	alice, bob := chattest.User(t, "alice"), chattest.User(t, "bob")
	deleted := func(id chat.ConnectionID) bool {
		t.Helper()
		_, err := own.Connection(t.Context(), id)
		if err != nil && !errors.Is(err, chat.ErrNotFound) {
			t.Fatal(err)
		}
		return err != nil
	}
	handle := func(event json.RawMessage) {
		t.Helper()
		if a, err := h.Handle(t.Context(), event); err != nil || a.StatusCode != 200 {
			t.Fatalf("answer %+v, %v", a, err)
		}
	}
	event := func(u chat.User, id chat.ConnectionID) json.RawMessage {
		return gatewaytest.Message(t, gateway.Inbound{User: u, Connection: id, TokenExpires: time.Now()})
	}

	connect(t, own, "c1=")
	connect(t, own, "c2=")
	handle(event(bob, "c1=")) // forged: bob's name on alice's connection
	if deleted("c1=") || strings.Count(metrics.String(), `"IsolationViolation":1`) != 1 ||
		!strings.Contains(metrics.String(), `"Guard":"connection_owner"`) ||
		strings.Contains(metrics.String(), "bob") || strings.Contains(metrics.String(), "c1=") {
		t.Errorf("a forged disconnect deleted the connection (%v) or was not recorded: %q", deleted("c1="),
			metrics.String())
	}
	handle(event(alice, "c1="))
	if !deleted("c1=") || deleted("c2=") {
		t.Errorf("deleted: c1 %v, c2 %v; want only c1", deleted("c1="), deleted("c2="))
	}
	handle(json.RawMessage(`{"requestContext":{"connectionId":"c2="}}`)) // without the authorizer's context
	if !deleted("c2=") {
		t.Error("a disconnect without the authorizer's context deleted nothing")
	}
	handle(event(alice, "c2=")) // a repeated event
	handle(event(bob, "c9="))   // a connection that never existed, or has expired
	if strings.Count(metrics.String(), monitor.IsolationViolation+`":`) != 1 {
		t.Errorf("a disconnect of a missing connection was recorded as a violation: %s", metrics.String())
	}
	t.Attr("figure", fmt.Sprintf("%d violation of a forged disconnect, none for missing connections",
		strings.Count(metrics.String(), `"IsolationViolation":1`)))
	if _, err := h.table.Owner(t.Context(), "c1="); !errors.Is(err, chat.ErrNotFound) {
		t.Errorf("the owner record still exists: %v", err)
	}
}

func TestBuild_MissingVariables(t *testing.T) {
	gatewaytest.Configured(t, map[string]string{"TABLE": "t", "AWS_REGION": "r", "AWS_ACCESS_KEY_ID": "i",
		"AWS_SECRET_ACCESS_KEY": "s"}, build)
}
