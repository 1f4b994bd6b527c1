package main

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// ended are the ways in which a connection loses its row for good, and the code that each of its frames is refused
// with.
func ended() map[wire.Code]func(w window) error {
	return map[wire.Code]func(w window) error{
		wire.CodeReplaced: func(w window) error {
			for n := range 10 {
				c := chat.Connection{ID: chat.ConnectionID(fmt.Sprintf("newer%d=", n)), Thread: "t",
					Connected: w.at.Add(time.Second), SignedIn: w.at}
				if _, err := w.store().Connect(w.t.Context(), c); err != nil {
					return err
				}
			}
			return nil
		},
		wire.CodeSignedOut: func(w window) error {
			_, err := w.store().EndSessions(w.t.Context(), store.Ending{})
			return err
		},
	}
}

// Every frame on a connection that was replaced or signed out is refused with the reason, closes the socket, stores
// nothing and invokes nothing.
func TestFrame_ConnectionWithoutRow(t *testing.T) {
	frames := everyFrame(t)
	frames["no frame"] = `{"type":"nothing"}`
	refused := 0
	for code, end := range ended() {
		t.Run(string(code), func(t *testing.T) {
			r := newLongRig(t)
			w := r.window("alice", "w1=")
			w.send(hi)
			if err := end(w); err != nil {
				t.Fatal(err)
			}
			w.edge.Frames(w.id)
			w.edge.Closed()
			w.edge.Invoked()
			before := r.items()
			for typ, body := range frames {
				posted := w.send(body)
				if len(posted) != 1 {
					t.Errorf("%s: posted %d frames, want the refusal alone", typ, len(posted))
					continue
				}
				if e, isError := posted[0].(*wire.Error); !isError || e.Code != code || e.Message == "" ||
					strings.Contains(e.Message, "\"t\"") {
					t.Errorf("%s: posted %+v, want %s", typ, posted[0], code)
				}
				if closed := w.edge.Closed(); len(closed) != 1 || closed[0] != w.id {
					t.Errorf("%s: closed %v, want the socket", typ, closed)
				}
				refused++
			}
			if after := r.items(); !maps.Equal(after, before) || len(w.edge.Invoked()) > 0 {
				t.Errorf("something was stored or invoked")
			}
		})
	}
	t.Attr("figure",
		fmt.Sprintf("%d frames of all %d types on connections that were replaced or signed out: one refusal each, "+
			"nothing stored", refused, len(wire.ClientTypes())))
}

// A connection of an erased user learns that the user is being erased, whatever it sends but a hello or a run.
func TestFrame_ConnectionOfErasedUser(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	if err := w.store().RequestErasure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.store().EraseUser(t.Context(), func([]chat.Connection) error { return nil }); err != nil {
		t.Fatal(err)
	}
	w.answers(`{"type":"ping"}`,
		`{"type":"error","code":"erasing","message":"All that you have here is being erased. Nothing new is taken `+
			`until that is over; come back tomorrow."}`)
	if closed := w.edge.Closed(); len(closed) != 1 {
		t.Errorf("closed %v", closed)
	}
}

// A hello and a run write a missing row again if there is room. Any other frame closes the socket without an answer:
// the connection was not ended, and its client connects again when its socket is lost.
func TestFrame_MissingRowIsWrittenAgain(t *testing.T) {
	for _, typ := range wire.ClientTypes() {
		r := newRig(t)
		w := r.unrecorded("alice", "w1=")
		posted := w.send(strings.Replace(everyFrame(t)[typ], `"seq":1`, `"seq":0`, 1))
		if again, closed := typ == wire.TypeHello || typ == wire.TypeRun, w.edge.Closed(); !again &&
			(len(posted) > 0 || len(closed) != 1) {
			t.Errorf("%s: posted %v and closed %v, want the socket closed alone", typ, posted, closed)
		}
		rows, err := w.store().Connections(t.Context())
		if want := typ == wire.TypeHello || typ == wire.TypeRun; err != nil || (len(rows) == 1) != want {
			t.Errorf("%s: %d rows, %v; written again should be %v", typ, len(rows), err, want)
		}
	}
}

// A hello does not bring back a session that was ended. The answer is a frame, because a browser cannot read a refused
// handshake.
func TestHello_EndedSession(t *testing.T) {
	r := newRig(t)
	w := r.unrecorded("alice", "w1=")
	if _, err := w.store().EndSessions(t.Context(), store.Ending{SignedIn: r.at.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	w.answers(`{"type":"hello","requestId":"q","n":1}`,
		`{"type":"error","requestId":"q","code":"signed_out","message":"You were signed out. Sign in again."}`)
	if closed := w.edge.Closed(); len(closed) != 1 || closed[0] != w.id {
		t.Errorf("closed %v", closed)
	}
	if u, err := w.table.Owner(t.Context(), w.id); err == nil {
		t.Errorf("an owner record was written for %v", u == chattest.User(t, "alice"))
	}
}
