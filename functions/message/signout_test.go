package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// A sign-out ends every connection of the user with the reason, the sender's own as its answer, and no other user's.
func TestSignOut_Everywhere(t *testing.T) {
	r := newRig(t)
	w, other, bob := r.window("alice", "w1="), r.window("alice", "w2="), r.window("bob", "w3=")
	w.send(hi)
	bob.send(`{"type":"hello","n":1}`)
	r.edge.Frames(other.id)
	w.answers(`{"type":"signOut","requestId":"q","everywhere":true}`,
		`{"type":"error","requestId":"q","code":"signed_out","message":"You were signed out. Sign in again."}`)
	if got := r.edge.Frames(other.id); len(got) != 1 || got[0].(*wire.Error).Code != wire.CodeSignedOut ||
		got[0].(*wire.Error).RequestID != "" {
		t.Errorf("the other window was sent %+v", got)
	}
	closed := r.edge.Closed()
	slices.Sort(closed)
	if !slices.Equal(closed, []chat.ConnectionID{w.id, other.id}) || len(r.edge.Frames(bob.id)) > 0 {
		t.Errorf("closed %v, want both of alice's and none of bob's", closed)
	}
	if run, err := w.store().Run(t.Context(), "r1"); err != nil || run.CancelRequested {
		t.Errorf("the run is %+v, %v; a sign-out alone cancels none", run, err)
	}
	w.answers(`{"type":"signOut","requestId":"again","everywhere":true}`,
		`{"type":"error","requestId":"again","code":"signed_out","message":"You were signed out. Sign in again."}`)
	bob.answers(`{"type":"rename","requestId":"q","threadId":"none","title":"x"}`,
		`{"type":"error","requestId":"q","code":"not_found","message":"There is nothing of this id."}`)
}

// With cancelRuns all runs of the user end, queued runs too. Runs of other users go on.
func TestSignOut_CancelsRuns(t *testing.T) {
	r := newRig(t)
	w, bob := r.window("alice", "w1="), r.window("bob", "w3=")
	bob.send(hi)
	for n := range 7 {
		w.send(strings.NewReplacer("r1", fmt.Sprintf("r%d", n), `"threadId":"t"`, fmt.Sprintf(`"threadId":"t%d"`, n),
			`"n":2`, fmt.Sprintf(`"n":%d`, n+2)).Replace(hi))
	}
	h, err := w.store().Claim(t.Context(), "r0")
	if err != nil {
		t.Fatal(err)
	}
	w.send(`{"type":"signOut","requestId":"q","everywhere":true,"cancelRuns":true}`)
	if stop, err := h.CancelRequested(t.Context()); err != nil || !stop {
		t.Errorf("the running run is asked to stop: %v, %v", stop, err)
	}
	for n := range 6 {
		if run, err := w.store().Run(t.Context(), chat.RunID(fmt.Sprintf("r%d", n+1))); err != nil ||
			run.Status != chat.RunCancelled {
			t.Errorf("r%d is %+v, %v", n+1, run, err)
		}
	}
	if run, err := bob.store().Run(t.Context(), "r1"); err != nil || run.Status.Terminal() || run.CancelRequested {
		t.Errorf("bob's run is %+v, %v", run, err)
	}
}

// A later sign-in works again, and only that: the ended session's token does not, however often it is renewed.
func TestSignOut_LaterSignIn(t *testing.T) {
	r := newRig(t)
	w := r.window("alice", "w1=")
	signedIn := r.at
	w.send(`{"type":"signOut","requestId":"q","everywhere":true}`)
	r.at = r.at.Add(time.Minute)
	old, fresh := r.unrecorded("alice", "w2="), r.unrecorded("alice", "w3=")
	if got := old.sendOf(`{"type":"hello","n":1}`, signedIn); len(got) != 1 ||
		got[0].(*wire.Error).Code != wire.CodeSignedOut {
		t.Errorf("a new token of the ended session was answered %+v", got)
	}
	if got := fresh.sendOf(`{"type":"hello","n":1}`, r.at); len(got) != 1 || got[0].(*wire.Ready) == nil {
		t.Errorf("a later sign-in was answered %+v", got)
	}
}
