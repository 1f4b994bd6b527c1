package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/store"
)

// signedIn returns a connection whose user signed in this long ago.
func (w *World) signedIn(n int, ago time.Duration) chat.Connection {
	c := socket(n, "t1")
	c.N, c.SignedIn = 1, w.Clock.Now().Add(-ago).Truncate(time.Second)
	return c
}

// helloNeverEvicts: a hello that finds no row takes a free entry or fails.
func helloNeverEvicts(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	for n := 1; n <= 10; n++ {
		must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(n, 0)))
	}
	wantErr(t, "a connection ends", alice.Disconnect(ctx, socket(4, "").ID), nil)
	must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(11, 0)))
	_, err := alice.Watch(ctx, w.signedIn(4, 0))
	wantErr(t, "a hello after the $disconnect of its connection, while ten connections are open", err, chat.ErrReplaced)
	wantErr(t, "remove a connection after a failed post", alice.RemoveConnection(ctx, socket(11, "").ID), nil)
	must[chat.Connection](t)(alice.Watch(ctx, w.signedIn(4, 0)))
	if rows := must[[]chat.Connection](t)(alice.Connections(ctx)); len(rows) != 10 {
		t.Errorf("%d rows, want 10", len(rows))
	}
	Verified(t, alice)
}

// staleEntries: a new connection replaces expired entries, whose sockets API Gateway closed long ago, before open
// connections.
func staleEntries(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	for n := 1; n <= 10; n++ {
		c := w.signedIn(n, 0)
		c.Connected = w.Clock.Now()
		must[[]chat.ConnectionID](t)(alice.Connect(ctx, c))
		if n == 5 {
			w.Clock.Advance(2 * time.Hour)
		}
	}
	w.Clock.Advance(11 * time.Minute)
	if replaced := must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(11, 0))); len(replaced) > 0 {
		t.Errorf("replaced %v although five entries had expired", replaced)
	}
	if rows := must[[]chat.Connection](t)(alice.Connections(ctx)); len(rows) != 6 {
		t.Errorf("%d rows, want the five open ones and the new one", len(rows))
	}
	Verified(t, alice)
}

// signOut: a sign-out ends every connection and every sign-in up to now. Later requests of the ended session are
// rejected; a new sign-in works.
func signOut(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	must[[]chat.ConnectionID](t)(w.As("bob").Connect(ctx, w.signedIn(20, 0)))
	var want []chat.ConnectionID
	for n := 1; n <= 3; n++ {
		c := w.signedIn(n, time.Minute)
		must[[]chat.ConnectionID](t)(alice.Connect(ctx, c))
		want = append(want, c.ID)
	}
	ended := must[[]chat.ConnectionID](t)(alice.EndSessions(ctx, store.Ending{}))
	if !slices.Equal(ended, want) {
		t.Errorf("ended %v, want %v", ended, want)
	}
	if rows := must[[]chat.Connection](t)(alice.Connections(ctx)); len(rows) > 0 {
		t.Errorf("left open: %v", rows)
	}
	wantErr(t, "the reason of an ended connection", alice.Lost(ctx, want[0]), chat.ErrSignedOut)
	_, err := alice.Watch(ctx, w.signedIn(1, time.Minute))
	wantErr(t, "a hello of the ended session", err, chat.ErrSignedOut)
	_, err = alice.Connect(ctx, w.signedIn(4, time.Minute))
	wantErr(t, "a new connection of the ended session", err, chat.ErrSignedOut)
	_, err = alice.Connect(ctx, socket(5, "t1"))
	wantErr(t, "a connection without a sign-in time", err, chat.ErrSignedOut)
	w.Clock.Advance(2 * time.Second)
	again := must[[]chat.ConnectionID](t)(alice.EndSessions(ctx,
		store.Ending{SignedIn: w.Clock.Now().Add(time.Minute)}))
	if len(again) > 0 {
		t.Errorf("a second sign-out ended %v", again)
	}
	_, err = alice.Connect(ctx, w.signedIn(6, -time.Minute))
	wantErr(t, "the session that signed out, of an issuer whose clock is ahead", err, chat.ErrSignedOut)
	w.Clock.Advance(2 * time.Minute)
	must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(7, 0)))
	if rows := must[[]chat.Connection](t)(w.As("bob").Connections(ctx)); len(rows) != 1 {
		t.Errorf("bob has %d connections, want his one", len(rows))
	}
	Verified(t, alice)
}

// bar: a barred user cannot connect until an operator unbars the user. Sign-ins from before the bar stay ended after
// that.
func bar(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	wantErr(t, "unbar a user who is not barred", alice.Unbar(ctx), nil)
	must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(1, time.Minute)))
	must[[]chat.ConnectionID](t)(alice.EndSessions(ctx, store.Ending{Bar: true}))
	w.Clock.Advance(time.Minute)
	_, err := alice.Connect(ctx, w.signedIn(2, 0))
	wantErr(t, "a new sign-in of a barred user", err, chat.ErrSignedOut)
	must[[]chat.ConnectionID](t)(alice.EndSessions(ctx, store.Ending{}))
	_, err = alice.Watch(ctx, w.signedIn(3, 0))
	wantErr(t, "a hello of a barred user", err, chat.ErrSignedOut)
	wantErr(t, "unbar", alice.Unbar(ctx), nil)
	_, err = alice.Connect(ctx, w.signedIn(4, 10*time.Second))
	wantErr(t, "an ended sign-in of a user who was barred", err, chat.ErrSignedOut)
	w.Clock.Advance(2 * time.Second)
	must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(5, 0)))
}

// refusedFor: no new connection is stored before the time SESSIONS.until, and the error contains the remaining time.
func refusedFor(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(1, 0)))
	wantErr(t, "refuse connections", alice.RefuseConnections(ctx, w.Clock.Now().Add(time.Minute)), nil)
	wantErr(t, "refuse connections for less", alice.RefuseConnections(ctx, w.Clock.Now().Add(time.Second)), nil)
	_, err := alice.Connect(ctx, w.signedIn(2, 0))
	limited := (*chat.RateLimitedError)(nil)
	if !errors.As(err, &limited) || limited.After <= 50*time.Second || limited.After > time.Minute {
		t.Errorf("a connection before the time gives %v", err)
	}
	c := w.signedIn(1, 0)
	c.N = 2
	must[chat.Connection](t)(alice.Watch(ctx, c)) // an open connection is not affected
	must[[]chat.ConnectionID](t)(w.As("bob").Connect(ctx, w.signedIn(3, 0)))
	w.Clock.Advance(time.Minute + time.Second)
	must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(2, 0)))
	carol := w.As("carol") // a user without any connection so far
	wantErr(t, "refuse the first connection", carol.RefuseConnections(ctx, w.Clock.Now().Add(time.Minute)), nil)
	_, err = carol.Connect(ctx, w.signedIn(4, 0))
	wantErr(t, "the first connection before the time", err, chat.ErrRateLimited)
	w.Clock.Advance(time.Minute + time.Second)
	must[[]chat.ConnectionID](t)(carol.Connect(ctx, w.signedIn(4, 0)))
	Verified(t, carol)
}

// erasedSessions: the erasure of a user keeps only the time before which sign-ins are ended: for 31 days, or until the
// user is unbarred.
func erasedSessions(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(1, time.Minute)))
	must[[]chat.ConnectionID](t)(alice.EndSessions(ctx, store.Ending{}))
	w.Clock.Advance(2 * time.Second)
	must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(2, 0)))
	wantErr(t, "request the erasure", alice.RequestErasure(ctx), nil)
	if notified := w.pass(alice); len(notified) != 1 {
		t.Errorf("notified %v, want only the open connection", notified)
	}
	holds := func(when string, want ...string) {
		t.Helper()
		if got := w.sessions("alice"); !slices.Equal(got, want) {
			t.Errorf("%s SESSIONS holds %q, want %q", when, got, want)
		}
	}
	holds("of an erased user", "before", "expires")
	_, err := alice.Connect(ctx, w.signedIn(3, time.Minute))
	wantErr(t, "an ended sign-in of an erased user", err, chat.ErrSignedOut)
	must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(4, 0)))
	holds("after a new connection", "before", "open")
	must[[]chat.ConnectionID](t)(alice.EndSessions(ctx, store.Ending{Bar: true}))
	w.pass(alice)
	holds("of an erased user who is barred", "barred", "before")
	wantErr(t, "unbar", alice.Unbar(ctx), nil)
	holds("of an erased user who was barred", "before", "expires")
}

// sessions returns the names of the attributes of a user's SESSIONS item, without its key.
func (w *World) sessions(subject string) (names []string) {
	w.T.Helper()
	for _, item := range w.items() {
		if stringOf(item["pk"]) != "U#"+chattest.User(w.T, subject).Key() || stringOf(item["sk"]) != "SESSIONS" {
			continue
		}
		for name := range item {
			if name != "pk" && name != "sk" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// foreignOwner: if the owner record of one of a user's entries names another user, the record is not changed and the
// connection is not returned as ended. The other connections are ended as usual.
func foreignOwner(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	for n := 1; n <= 10; n++ {
		must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(n, time.Minute)))
	}
	for _, n := range []int{1, 2} {
		w.plant(map[string]string{"pk": "C#" + string(socket(n, "").ID), "sk": "OWNER", "user": "bob"})
	}
	if replaced := must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(11, time.Minute))); len(replaced) > 0 {
		t.Errorf("replaced %v, which bob owns", replaced)
	}
	if rows := must[[]chat.Connection](t)(alice.Connections(ctx)); len(rows) != 10 {
		t.Errorf("%d rows, want 10", len(rows))
	}
	ended := must[[]chat.ConnectionID](t)(alice.EndSessions(ctx, store.Ending{}))
	if len(ended) != 9 || slices.Contains(ended, socket(2, "").ID) {
		t.Errorf("ended %v, want the nine connections of alice", ended)
	}
	for _, item := range w.items() {
		if _, out := item["out"].(*types.AttributeValueMemberS); out && stringOf(item["user"]) != "alice" {
			t.Errorf("another user's record was changed: %v", item)
		}
	}
}

// Verified checks that Verify has no findings for a user.
func Verified(t *testing.T, s *store.Store) {
	t.Helper()
	if found := must[[]store.Finding](t)(s.Verify(t.Context())); len(found) > 0 {
		t.Errorf("Verify returned %+v", found)
	}
}

// sessionProbes returns the cases of the methods for sessions.
func sessionProbes() map[string]probe {
	return map[string]probe{
		"Store.EndSessions": {other: skipped, call: func(c caller) (any, error) {
			ended, err := c.store.EndSessions(c.T.Context(), store.Ending{Bar: true})
			if err == nil && c.lease != nil && !c.single && !slices.Contains(ended, c.socket) {
				err = fmt.Errorf("the connection of the caller was not ended: %v", ended)
			}
			return nil, err
		}},
		"Store.Sessions": {other: skipped, call: func(c caller) (any, error) {
			return c.store.Sessions(c.T.Context())
		}},
		"Store.RefuseConnections": {other: skipped, call: func(c caller) (any, error) {
			return nil, c.store.RefuseConnections(c.T.Context(), c.Clock.Now().Add(time.Minute))
		}},
		"Store.Unbar": {other: succeeds, call: func(c caller) (any, error) {
			return nil, c.store.Unbar(c.T.Context())
		}},
		"Store.Lost": {other: notFound, unsafe: true, creates: true, call: func(c caller) (any, error) {
			err := c.store.Lost(c.T.Context(), c.socket)
			unknown := errors.Is(err, chat.ErrNotFound) && !errors.Is(err, chat.ErrForeign)
			if unknown || errors.Is(err, chat.ErrReplaced) || errors.Is(err, chat.ErrErasing) {
				return nil, nil // the expected results for a connection of the caller
			}
			return nil, err
		}},
	}
}
