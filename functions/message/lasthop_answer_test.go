package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/monitor"
)

// A long answer is checked by a record that was read within the last second. It ends when the record belongs to another
// user, which is a violation, is deleted, or watches another thread.
func TestAnswer_RecordChangesDuringReplay(t *testing.T) {
	t.Attr("row", "C2: a long answer follows its connection's record")
	r := newLongRig(t)
	w := r.window("alice", "w1=")
	w.send(hi)
	w.does("r1", "one", true)
	head := r.lengthen(t, w, 2000) // one page of the log, which is read before the first post
	n := 100
	after := func(do func()) (posts int) {
		t.Helper()
		n++
		e := &turning{rig: r.rig, left: 3, do: func() {
			do()
			r.at = r.at.Add(1100 * time.Millisecond)
		}}
		r.poster = e
		w.send(strings.Replace(cursor(w, head-2000), `"n":9`, fmt.Sprintf(`"n":%d`, n), 1))
		return e.posts
	}
	remove := func() {
		if err := w.store().RemoveConnection(t.Context(), w.id); err != nil {
			t.Error(err)
		}
	}
	all := after(func() {})
	if all < 6 {
		t.Fatalf("%d posts are not a long answer", all)
	}
	if posts := after(remove); posts != 3 {
		t.Errorf("%d posts, 3 of them before it had gone", posts)
	}
	if posts := after(func() {
		another := chat.Connection{ID: w.id, Thread: "another", N: int64(n) + 1}
		if _, err := w.store().Watch(t.Context(), another); err != nil {
			t.Error(err)
		}
	}); posts != 3 {
		t.Errorf("%d posts, 3 of them before it watched another thread", posts)
	}
	n++
	if got := r.violations(monitor.ConnectionRecord, w.user); got != 0 {
		t.Errorf("%d violations in ordinary life", got)
	}
	bob := r.window("bob", "w1=")
	if posts := after(func() {
		if err := w.store().Disconnect(t.Context(), w.id); err != nil {
			t.Error(err)
		}
		if _, err := bob.store().Watch(t.Context(), chat.Connection{ID: w.id, Thread: "t", N: 1}); err != nil {
			t.Error(err)
		}
	}); posts != 3 {
		t.Errorf("%d posts, 3 of them before it was another user's", posts)
	}
	if got := r.violations(monitor.ConnectionOwner, w.user); got != 1 {
		t.Errorf("%d violations", got)
	}
	t.Attr("figure", fmt.Sprintf("of %d posts of one replay 3 went out before its connection had gone, watched "+
		"another thread or was another user's, and none after", all))
}

// A broadcast leaves out a listed connection of another user, and records the violation.
func TestBroadcast_ConnectionOfAnotherUser(t *testing.T) {
	r := newLongRig(t)
	alice, bob := r.window("alice", "w1="), r.window("bob", "w2=")
	alice.send(hi)
	alice.does("r1", "one", true)
	bob.hello(`{"type":"hello","n":1,"threadId":"t"}`)
	r.plant(bob, alice.user, false)
	r.log.Reset()
	alice.send(`{"type":"rename","threadId":"t","title":"for alice only"}`)
	if got := r.edge.Frames("w2="); len(got) > 0 {
		t.Errorf("bob received %+v", got)
	}
	if got := r.violations(monitor.ConnectionRecord, alice.user); got != 1 {
		t.Errorf("%d violations", got)
	}
}

// A frame may be handled after the $disconnect of its connection. It writes the records of the connection again, and
// deletes them when the answer cannot be posted.
func TestAnswer_GoneConnectionLeavesNoRecords(t *testing.T) {
	r := newRig(t)
	r.poster = &turning{rig: r, fails: chat.ErrGone}
	w, other := r.window("alice", "w1="), r.window("alice", "w2=")
	if _, err := w.store().Connect(t.Context(), chat.Connection{ID: other.id, Thread: "t",
		TokenExpires: r.at.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for _, frame := range []string{`{"type":"hello","n":1,"threadId":"t"}`, hi, `{"type":"erase","requestId":"q"}`,
		`{"type":"hello","n":2,"threadId":"t"}`} {
		w.send(frame)
		if u, err := r.table.Owner(t.Context(), w.id); !errors.Is(err, chat.ErrNotFound) {
			t.Errorf("%s: its owner record says %v, %v", frame, u, err)
		}
		if left, err := w.store().Connections(t.Context()); err != nil || len(left) != 1 || left[0].ID != other.id {
			t.Errorf("%s: the connections are %+v, %v", frame, left, err)
		}
	}
	if u, err := r.table.Owner(t.Context(), other.id); err != nil || u != w.user {
		t.Errorf("the other window's owner record says %v, %v", u, err)
	}
}
