package main

import (
	"testing"

	"carrel/shared/chat/chattest"
	"carrel/shared/gateway/gatewaytest"
)

func TestSample(t *testing.T) {
	h, _ := newHandler(t)
	a, err := h.Handle(t.Context(), gatewaytest.Sample(t, "connect"))
	if err != nil || a.StatusCode != 200 || a.Headers["Sec-WebSocket-Protocol"] != "carrel.v1" {
		t.Errorf("answer %+v, %v", a, err)
	}
	owner, err := h.table.Owner(t.Context(), gatewaytest.SampleConnection)
	if err != nil || owner != chattest.User(t, "alice") {
		t.Errorf("the owner of the connection is %v, %v; want alice", owner, err)
	}
}
