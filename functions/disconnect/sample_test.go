package main

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/monitor"
	"carrel/shared/store"
)

func TestSample(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	var metrics bytes.Buffer
	h := &handler{table: gatewaytest.Table(t, store.Config{Limits: chat.DefaultLimits()}),
		monitor: monitor.New(&metrics, "disconnect", log), log: log}
	own, err := h.table.For(chattest.User(t, "alice"))
	if err != nil {
		t.Fatal(err)
	}
	c := chat.Connection{ID: gatewaytest.SampleConnection, Thread: "t", Connected: time.Now(),
		TokenExpires: time.Now().Add(time.Hour)}
	if _, err := own.Connect(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if a, err := h.Handle(t.Context(), gatewaytest.Sample(t, "disconnect")); err != nil || a.StatusCode != 200 {
		t.Errorf("answer %+v, %v", a, err)
	}
	if _, err := own.Connection(t.Context(), c.ID); !errors.Is(err, chat.ErrNotFound) || metrics.Len() > 0 {
		t.Errorf("the connection still exists (%v), or the event was recorded as a violation: %s", err, &metrics)
	}
}
