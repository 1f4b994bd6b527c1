package storetest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
)

// socket returns a connection with an id of the form that API Gateway uses.
func socket(n int, thread chat.ThreadID) chat.Connection {
	return chat.Connection{
		ID: chat.ConnectionID(fmt.Sprintf("L0SM9c%02dFiAHGg=", n)), Thread: thread,
		Connected: time.UnixMilli(1_800_000_000_000 + int64(n)), TokenExpires: time.UnixMilli(1_900_000_000_000),
	}
}

// owned returns c as the store returns it, with the hash of its owner.
func owned(t *testing.T, subject string, c chat.Connection) chat.Connection {
	c.Owner = chat.OwnerHash(chattest.User(t, subject).Hash())
	return c
}

// wantErr checks that the error of an action is want.
func wantErr(t *testing.T, action string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", action, got, want)
	}
}

// must returns a function that passes v on, and ends the test if there is an error.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// connections: a user stores, lists and removes a connection. Another user can neither take it over nor end it.
func connections(t *testing.T, w *World) {
	ctx, alice, c := t.Context(), w.As("alice"), socket(1, "t1")
	_, err := w.Table.For(chat.User{})
	wantErr(t, "the zero user", err, chat.ErrNoUser)
	if replaced := must[[]chat.ConnectionID](t)(alice.Connect(ctx, c)); len(replaced) > 0 {
		t.Errorf("the first connection replaced %v", replaced)
	}
	if got := must[chat.Connection](t)(alice.Connection(ctx, c.ID)); got != owned(t, "alice", c) {
		t.Errorf("read %+v, stored %+v", got, c)
	}
	if got := must[[]chat.Connection](t)(alice.Connections(ctx)); len(got) != 1 || got[0] != owned(t, "alice", c) {
		t.Errorf("Connections returned %+v", got)
	}
	if u := must[chat.User](t)(w.Table.Owner(ctx, c.ID)); u != chattest.User(t, "alice") {
		t.Errorf("the owner is %v", u)
	}
	_, err = w.As("bob").Connect(ctx, c)
	wantErr(t, "bob connects with the id of alice's connection", err, chat.ErrForeign)
	for range 2 {
		if err := alice.RemoveConnection(ctx, c.ID); err != nil {
			t.Errorf("remove: %v", err)
		}
	}
	_, err = alice.Connection(ctx, c.ID)
	wantErr(t, "a removed connection", err, chat.ErrNotFound)
	if u := must[chat.User](t)(w.Table.Owner(ctx, c.ID)); u != chattest.User(t, "alice") {
		t.Errorf("the owner of a removed connection is %v: only Disconnect may delete the owner record", u)
	}
	wantErr(t, "bob disconnects alice's connection", w.As("bob").Disconnect(ctx, c.ID), nil)
	must[chat.User](t)(w.Table.Owner(ctx, c.ID))
	for range 2 {
		wantErr(t, "alice disconnects", alice.Disconnect(ctx, c.ID), nil)
	}
	_, err = w.Table.Owner(ctx, c.ID)
	wantErr(t, "an ended connection's owner", err, chat.ErrNotFound)
}

// connectionLimit: the eleventh connection replaces the oldest. A replaced connection cannot return.
func connectionLimit(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	for n := 1; n <= 12; n++ {
		replaced := must[[]chat.ConnectionID](t)(alice.Connect(ctx, socket(n, "t1")))
		if n <= 10 && len(replaced) > 0 || n > 10 && (len(replaced) != 1 || replaced[0] != socket(n-10, "").ID) {
			t.Errorf("connection %d replaced %v", n, replaced)
		}
	}
	if got := must[[]chat.Connection](t)(alice.Connections(ctx)); len(got) != 10 {
		t.Errorf("%d connections are left, want 10", len(got))
	}
	replaced := socket(1, "t1")
	replaced.N = 1
	_, err := alice.Watch(ctx, replaced)
	wantErr(t, "a replaced connection says hello", err, chat.ErrReplaced)
	wantErr(t, "the reason of a replaced connection", alice.Lost(ctx, replaced.ID), chat.ErrReplaced)
	fresh := socket(13, "t1")
	fresh.N = 1
	_, err = alice.Watch(ctx, fresh)
	wantErr(t, "an unknown connection says hello while ten are open", err, chat.ErrReplaced)
	wantErr(t, "one of ten connections disconnects", alice.Disconnect(ctx, socket(12, "").ID), nil)
	_, err = alice.Watch(ctx, replaced)
	wantErr(t, "a replaced connection says hello while an entry is free", err, chat.ErrReplaced)
	_, err = alice.Connect(ctx, replaced)
	wantErr(t, "a repeated $connect of a replaced connection", err, chat.ErrReplaced)
	must[chat.Connection](t)(alice.Watch(ctx, fresh))
}

// watch: a hello sets the watched thread if its number is higher than the stored number, and creates a missing row.
func watch(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	must[[]chat.ConnectionID](t)(alice.Connect(ctx, socket(1, "t1")))
	for _, c := range []struct {
		name   string
		n      int64
		thread chat.ThreadID
		wantN  int64
		want   chat.ThreadID
	}{
		{"the first hello", 1, "t1", 1, "t1"},
		{"another thread", 3, "t2", 3, "t2"},
		{"an older hello changes nothing", 2, "t3", 3, "t2"},
		{"a repeat", 3, "t2", 3, "t2"},
		{"the same n for another thread", 3, "t4", 3, "t2"},
	} {
		row := socket(1, c.thread)
		row.N = c.n
		got := must[chat.Connection](t)(alice.Watch(ctx, row))
		if got.N != c.wantN || got.Thread != c.want {
			t.Errorf("%s: thread %s at n %d, want %s at %d", c.name, got.Thread, got.N, c.want, c.wantN)
		}
	}
	fresh := socket(2, "t1")
	fresh.N = 1
	if got := must[chat.Connection](t)(alice.Watch(ctx, fresh)); got != owned(t, "alice", fresh) {
		t.Errorf("a hello created the missing row %+v, want %+v", got, fresh)
	}
	if u := must[chat.User](t)(w.Table.Owner(ctx, fresh.ID)); u != chattest.User(t, "alice") {
		t.Errorf("the owner is %v", u)
	}
	acked(t, w, fresh)
	fresh.N = 9
	_, err := w.As("bob").Watch(ctx, fresh)
	wantErr(t, "bob says hello with the id of alice's connection", err, chat.ErrForeign)
}

// acked: a connection stores the cursor that its client acknowledged. Within an epoch the cursor only moves forward.
func acked(t *testing.T, w *World, c chat.Connection) {
	ctx, alice := t.Context(), w.As("alice")
	for _, step := range []struct{ give, want chat.Cursor }{
		{chat.Cursor{Epoch: "e1", Seq: 5}, chat.Cursor{Epoch: "e1", Seq: 5}},
		{chat.Cursor{Epoch: "e1", Seq: 3}, chat.Cursor{Epoch: "e1", Seq: 5}}, // an older ping
		{chat.Cursor{Epoch: "e1", Seq: 9}, chat.Cursor{Epoch: "e1", Seq: 9}},
		{chat.Cursor{Epoch: "e2", Seq: 1}, chat.Cursor{Epoch: "e2", Seq: 1}}, // of another thread
	} {
		if err := alice.Acknowledge(ctx, c.ID, step.give); err != nil {
			t.Fatal(err)
		}
		if got := must[chat.Connection](t)(alice.Connection(ctx, c.ID)); got.Acked != step.want {
			t.Errorf("after Acknowledge %+v the connection has %+v, want %+v", step.give, got.Acked, step.want)
		}
	}
	c.N, c.Acked = 2, chat.Cursor{Epoch: "e2", Seq: 4}
	if got := must[chat.Connection](t)(alice.Watch(ctx, c)); got != owned(t, "alice", c) {
		t.Errorf("after a hello with a cursor: %+v, want %+v", got, c)
	}
	c.N, c.Acked = 3, chat.Cursor{}
	if got := must[chat.Connection](t)(alice.Watch(ctx, c)); got.Acked.Seq != 4 || got.N != 3 {
		t.Errorf("after a hello without a cursor: %+v", got)
	}
	if err := alice.Acknowledge(ctx, "unknown=", chat.Cursor{Epoch: "e", Seq: 1}); err != nil {
		t.Error(err)
	}
	_, err := alice.Connection(ctx, "unknown=")
	wantErr(t, "an unknown connection after its Acknowledge", err, chat.ErrNotFound)
}

// expiry: an expired item that TTL has not deleted yet is treated as missing, by reads and by conditions that require
// that no item exists.
func expiry(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	c := socket(1, "t1")
	must[[]chat.ConnectionID](t)(alice.Connect(ctx, c))
	missing := 0
	wantMissing := func(action string, err error) {
		wantErr(t, action, err, chat.ErrNotFound)
		if errors.Is(err, chat.ErrNotFound) {
			missing++
		}
	}
	w.Clock.Advance(3 * time.Hour)
	_, err := alice.Connection(ctx, c.ID)
	wantMissing("an expired connection", err)
	_, err = w.Table.Owner(ctx, c.ID)
	wantMissing("the owner of an expired connection", err)
	if got := must[[]chat.Connection](t)(alice.Connections(ctx)); len(got) > 0 {
		t.Errorf("expired connections are listed: %v", got)
	}
	c.N = 1
	if got := must[chat.Connection](t)(alice.Watch(ctx, c)); got != owned(t, "alice", c) {
		t.Errorf("a hello replaced the expired row by %+v, want %+v", got, c)
	}
	if _, err := w.As("bob").Connect(ctx, socket(2, "t1")); err != nil {
		t.Errorf("connect: %v", err)
	}
	w.Admit(alice, "r1", "t1")
	w.Clock.Advance(91 * 24 * time.Hour)
	_, err = alice.Run(ctx, "r1")
	wantMissing("an expired run", err)
	t.Attr("figure",
		fmt.Sprintf("%d of 3 expired records are treated as missing: an abandoned connection, its owner record, a run",
			missing))
}

// fill opens connections until the caller's oldest connection is replaced.
func (c caller) fill() error {
	for range 11 {
		row := socket(1, c.thread)
		row.ID = chat.ConnectionID("new-" + rand.Text())
		replaced, err := c.store.Connect(c.T.Context(), row)
		if err != nil || len(replaced) > 0 {
			return err
		}
	}
	return errors.New("eleven new connections replaced no connection")
}

// connectionProbes returns the cases of the methods for connections.
func connectionProbes() map[string]probe {
	named := func(c caller) chat.Connection {
		row := socket(1, c.thread)
		row.ID, row.N = c.socket, 7
		// ignored: the store sets the owner itself
		row.Owner = chat.OwnerHash(chattest.User(c.T, "another user").Hash())
		return row
	}
	written := func(c caller, row chat.Connection, err error) (chat.Connection, error) {
		if err == nil && row.Owner != chat.OwnerHash(chattest.User(c.T, c.as).Hash()) {
			err = fmt.Errorf("the stored owner is %v", row.Owner)
		}
		return row, err
	}
	return map[string]probe{
		"Store.Connect": {other: notFound, unsafe: true, creates: true, call: func(c caller) (any, error) {
			if c.single {
				return nil, c.fill()
			}
			if _, err := c.store.Connect(c.T.Context(), named(c)); err != nil {
				return nil, err
			}
			row, err := c.store.Connection(c.T.Context(), c.socket)
			return written(c, row, err)
		}},
		"Store.Connection": {other: notFound, unsafe: true, call: func(c caller) (any, error) {
			return c.store.Connection(c.T.Context(), c.socket)
		}},
		"Store.Watch": {other: notFound, unsafe: true, creates: true, call: func(c caller) (any, error) {
			row, err := c.store.Watch(c.T.Context(), named(c))
			return written(c, row, err)
		}},
		"Store.Connections": {other: empty, call: func(c caller) (any, error) {
			return c.store.Connections(c.T.Context())
		}},
		"Store.Disconnect": {other: empty, unsafe: true, call: func(c caller) (any, error) {
			return nil, c.store.Disconnect(c.T.Context(), c.socket)
		}},
		"Store.Acknowledge": {other: empty, unsafe: true, call: func(c caller) (any, error) {
			return nil, c.store.Acknowledge(c.T.Context(), c.socket, chat.Cursor{Epoch: "e", Seq: 7})
		}},
		"Store.RemoveConnection": {other: empty, unsafe: true, call: func(c caller) (any, error) {
			return nil, c.store.RemoveConnection(c.T.Context(), c.socket)
		}},
	}
}
