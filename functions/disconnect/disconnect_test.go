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

func TestADisconnectForgetsItsOwnConnectionOnly(t *testing.T) {
	t.Attr("row", "E2: a disconnect of another user's connection is recorded")
	var metrics bytes.Buffer
	log := slog.New(slog.DiscardHandler)
	h := &handler{table: gatewaytest.Table(t, store.Config{Limits: chat.DefaultLimits()}), monitor: monitor.New(&metrics, "disconnect", log), log: log}
	alice, bob := chattest.User(t, "alice"), chattest.User(t, "bob")
	mine, err := h.table.For(alice)
	if err != nil {
		t.Fatal(err)
	}
	connect := func(id chat.ConnectionID) {
		t.Helper()
		c := chat.Connection{ID: id, Thread: "t", Connected: time.Now(), TokenExpires: time.Now().Add(time.Hour)}
		if _, err := mine.Connect(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	gone := func(id chat.ConnectionID) bool {
		t.Helper()
		_, err := mine.Connection(t.Context(), id)
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

	connect("c1=")
	connect("c2=")
	handle(event(bob, "c1=")) // somebody else's name on alice's connection
	if gone("c1=") || strings.Count(metrics.String(), `"IsolationViolation":1`) != 1 || !strings.Contains(metrics.String(), `"Guard":"connection_owner"`) ||
		strings.Contains(metrics.String(), "bob") || strings.Contains(metrics.String(), "c1=") {
		t.Errorf("a forged disconnect removed the connection (%v) or was not recorded: %q", gone("c1="), metrics.String())
	}
	handle(event(alice, "c1="))
	if !gone("c1=") || gone("c2=") {
		t.Errorf("gone: c1 %v, c2 %v; want c1 alone", gone("c1="), gone("c2="))
	}
	handle(json.RawMessage(`{"requestContext":{"connectionId":"c2="}}`)) // without the authorizer's context
	if !gone("c2=") {
		t.Error("a disconnect without the authorizer's context forgot nothing")
	}
	handle(event(alice, "c2=")) // twice
	handle(event(bob, "c9="))   // one that nobody has, or whose time is over
	if strings.Count(metrics.String(), monitor.IsolationViolation+`":`) != 1 {
		t.Errorf("a late disconnect was counted: %s", metrics.String())
	}
	t.Attr("figure", fmt.Sprintf("%d violation of a forged disconnect, none of late ones", strings.Count(metrics.String(), `"IsolationViolation":1`)))
	if _, err := h.table.Owner(t.Context(), "c1="); !errors.Is(err, chat.ErrNotFound) {
		t.Errorf("the owner record is still there: %v", err)
	}
}

func TestBuild_MissingVariables(t *testing.T) {
	gatewaytest.Configured(t, map[string]string{"TABLE": "t", "AWS_REGION": "r", "AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s"}, build)
}
