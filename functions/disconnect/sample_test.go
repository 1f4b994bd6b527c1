package main

import (
	"errors"
	"testing"

	"carrel/shared/chat"
	"carrel/shared/gateway/gatewaytest"
)

func TestSample(t *testing.T) {
	h, own, metrics := newHandler(t)
	connect(t, own, gatewaytest.SampleConnection)
	if a, err := h.Handle(t.Context(), gatewaytest.Sample(t, "disconnect")); err != nil || a.StatusCode != 200 {
		t.Errorf("answer %+v, %v", a, err)
	}
	_, err := own.Connection(t.Context(), gatewaytest.SampleConnection)
	if !errors.Is(err, chat.ErrNotFound) || metrics.Len() > 0 {
		t.Errorf("the connection still exists (%v), or the event was recorded as a violation: %s", err, metrics)
	}
}
