package main

import (
	"errors"
	"testing"

	"carrel/shared/chat/chattest"
	"carrel/shared/gateway/gatewaytest"
)

const closing = `{"type":"error","requestId":"q","code":"closing","message":"`

// Forget is acknowledged once the mark is durable and has turn invoked; a repeat is answered like the first. From then
// on every other frame is refused, and only this user's.
func TestForget(t *testing.T) {
	r := newRig(t)
	w, bob := r.window("alice", "w1="), r.window("bob", "w3=")
	w.send(hi)
	r.edge.Invoked()
	said := sentence("closing")
	for range 2 {
		w.answers(`{"type":"forget","requestId":"q","confirm":true}`, `{"type":"accepted","requestId":"q","state":"closing"}`)
		if got := r.edge.Invoked(); len(got) != 1 || got[0] != (gatewaytest.Invocation{User: chattest.User(t, "alice"), Forget: true}) {
			t.Errorf("invoked %+v", got)
		}
	}
	for _, frame := range []string{
		`"type":"hello","n":9,"threadId":"t"`, `"type":"cancel","runId":"r1"`, `"type":"threads"`, `"type":"history","threadId":"t"`,
		`"type":"rename","threadId":"t","title":"x"`, `"type":"delete","threadId":"t"`, `"type":"runs"`, `"type":"ping"`,
	} {
		w.answers(`{"requestId":"q",`+frame+`}`, closing+said+`"}`)
	}
	w.answers(`{"type":"run","requestId":"q1","n":10,"runId":"r9","threadId":"t","messages":[{"id":"m","role":"user","content":"hello?"}]}`,
		`{"type":"rejected","requestId":"q1","runId":"r9","code":"closing","message":"`+said+`"}`)
	w.answers(hi, `{"type":"rejected","requestId":"q1","runId":"r1","code":"closing","message":"`+said+`"}`) // which was accepted before
	if got := r.edge.Invoked(); len(got) > 0 {
		t.Errorf("for who is erased was invoked %+v", got)
	}
	bob.send(hi)
	if got := r.edge.Invoked(); len(got) != 1 || got[0].Run != "r1" {
		t.Errorf("for bob, who stays, was invoked %+v", got)
	}
}

// When turn cannot be invoked, the mark stands and sweep asks.
func TestForgetWithoutTurn(t *testing.T) {
	r := newRig(t)
	r.edge.Fail(errors.New("throttled"))
	r.window("alice", "w1=").answers(`{"type":"forget","requestId":"q","confirm":true}`,
		`{"type":"accepted","requestId":"q","state":"closing"}`)
	if live, err := r.table.Live(t.Context()); err != nil || len(live) != 1 || !live[0].Forget {
		t.Errorf("live: %+v, %v", live, err)
	}
}
