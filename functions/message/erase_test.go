package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/wire"
)

const erasing = `{"type":"error","requestId":"q","code":"erasing","message":"`

// EraseUser is acknowledged once the mark is durable and has turn invoked; a repeat is answered like the first. From
// then on every other frame is refused, and only this user's.
func TestErase(t *testing.T) {
	r := newRig(t)
	w, bob := r.window("alice", "w1="), r.window("bob", "w3=")
	w.send(hi)
	r.edge.Invoked()
	said := sentence("erasing")
	for range 2 {
		w.answers(`{"type":"erase","requestId":"q","confirm":true}`,
			`{"type":"accepted","requestId":"q","state":"erasing"}`)
		if got := r.edge.Invoked(); len(got) != 1 || got[0] != (gatewaytest.Invocation{User: chattest.User(t, "alice"),
			EraseUser: true}) {
			t.Errorf("invoked %+v", got)
		}
	}
	for _, frame := range []string{
		`"type":"hello","n":9,"threadId":"t"`, `"type":"cancel","runId":"r1"`, `"type":"threads"`,
		`"type":"history","threadId":"t"`,
		`"type":"rename","threadId":"t","title":"x"`, `"type":"delete","threadId":"t"`, `"type":"runs"`,
		`"type":"ping"`,
	} {
		w.answers(`{"requestId":"q",`+frame+`}`, erasing+said+`"}`)
	}
	w.answers(`{"type":"run","requestId":"q1","n":10,"runId":"r9","threadId":"t","messages":[{"id":"m","role":"user",`+
		`"content":"hello?"}]}`,
		`{"type":"rejected","requestId":"q1","runId":"r9","code":"erasing","message":"`+said+`"}`)
	// which was accepted before
	w.answers(hi, `{"type":"rejected","requestId":"q1","runId":"r1","code":"erasing","message":"`+said+`"}`)
	if got := r.edge.Invoked(); len(got) > 0 {
		t.Errorf("for the erased user was invoked %+v", got)
	}
	bob.send(hi)
	if got := r.edge.Invoked(); len(got) != 1 || got[0].Run != "r1" {
		t.Errorf("for bob was invoked %+v", got)
	}
}

// When turn cannot be invoked, the mark stands and sweep asks.
func TestErase_WithoutTurn(t *testing.T) {
	r := newRig(t)
	r.edge.Fail(errors.New("throttled"))
	r.window("alice", "w1=").answers(`{"type":"erase","requestId":"q","confirm":true}`,
		`{"type":"accepted","requestId":"q","state":"erasing"}`)
	if live, err := r.table.Live(t.Context()); err != nil || len(live) != 1 || !live[0].EraseUser {
		t.Errorf("live: %+v, %v", live, err)
	}
}

// Erasing everything needs a token whose auth_time is recent. The time of issue proves nothing, because a refresh moves
// it. For tokens without auth_time the operator decides.
func TestErase_NeedsARecentSignIn(t *testing.T) {
	for name, c := range map[string]struct {
		ago    time.Duration
		proven bool
		auth   eraseAuth
		code   string // "": it is accepted
	}{
		"just now":                        {0, true, eraseBySignIn, ""},
		"nearly five minutes ago":         {5*time.Minute - time.Second, true, eraseBySignIn, ""},
		"longer ago":                      {5*time.Minute + time.Second, true, eraseBySignIn, "reauthenticate"},
		"longer ago, confirm":             {5*time.Minute + time.Second, true, eraseByConfirm, "reauthenticate"},
		"a token of just now":             {0, false, eraseBySignIn, "denied"},
		"a token of just now, no setting": {0, false, "", "denied"},
		"an old token, confirm":           {time.Hour, false, eraseByConfirm, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.eraseAuth = c.auth
			w := r.window("alice", "w1=")
			w.signIn = chat.SignIn{At: r.at.Add(-c.ago), Proven: c.proven}
			got := w.send(`{"type":"erase","requestId":"q","confirm":true}`)
			if len(got) != 1 {
				t.Fatalf("answered with %v", got)
			}
			no, refused := got[0].(*wire.Error)
			if c.code == "" {
				if _, ok := got[0].(*wire.Accepted); !ok || len(r.edge.Invoked()) != 1 {
					t.Errorf("answered with %+v", got[0])
				}
				return
			}
			if !refused || string(no.Code) != c.code || no.RequestID != "q" || c.code == "denied" &&
				!strings.Contains(no.Message, "EraseAuth=confirm") {
				t.Errorf("answered with %+v, want %s", got[0], c.code)
			}
			if err := w.store().Open(t.Context()); err != nil || len(r.edge.Invoked()) > 0 {
				t.Errorf("the user is marked: %v", err)
			}
		})
	}
}

// A client that lost the first answer repeats its frame. The erasure has begun, so the repeat needs no new sign-in.
func TestErase_RepeatWithAnOldSignIn(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	const erase, accepted = `{"type":"erase","requestId":"q","confirm":true}`,
		`{"type":"accepted","requestId":"q","state":"erasing"}`
	w.answers(erase, accepted)
	for _, old := range []chat.SignIn{{At: r.at.Add(-time.Hour), Proven: true}, {At: r.at.Add(-time.Hour)}} {
		w.signIn = old
		w.answers(erase, accepted)
	}
}
