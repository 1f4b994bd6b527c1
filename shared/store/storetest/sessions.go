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

// signedIn is a connection of a sign-in of some seconds ago.
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
	wantErr(t, "a hello behind its $disconnect, while ten are open", err, chat.ErrReplaced)
	wantErr(t, "a post finds a connection gone", alice.RemoveConnection(ctx, socket(11, "").ID), nil)
	must[chat.Connection](t)(alice.Watch(ctx, w.signedIn(4, 0)))
	if rows := must[[]chat.Connection](t)(alice.Connections(ctx)); len(rows) != 10 {
		t.Errorf("%d rows, want 10", len(rows))
	}
	Verified(t, alice)
}

// staleEntries: entries of sockets that API Gateway has ended long ago go before any open connection.
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

// signOut: it ends every connection and every sign-in up to now, whatever the session tries next; a new sign-in works.
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
	wantErr(t, "why a connection has no row", alice.Lost(ctx, want[0]), chat.ErrSignedOut)
	_, err := alice.Watch(ctx, w.signedIn(1, time.Minute))
	wantErr(t, "a hello of the ended session", err, chat.ErrSignedOut)
	_, err = alice.Connect(ctx, w.signedIn(4, time.Minute))
	wantErr(t, "a new connection of the ended session", err, chat.ErrSignedOut)
	_, err = alice.Connect(ctx, socket(5, "t1"))
	wantErr(t, "a connection that does not say when its user signed in", err, chat.ErrSignedOut)
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

// bar: a barred user cannot come back until an operator says so, and the sign-ins of before stay ended then.
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
	_, err = alice.Connect(ctx, w.signedIn(4, 0))
	wantErr(t, "an ended sign-in of a user who was barred", err, chat.ErrSignedOut)
	w.Clock.Advance(2 * time.Second)
	must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(5, 0)))
}

// refusedFor: nothing is recorded before SESSIONS.until, and the refusal says how long.
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
	carol := w.As("carol") // who has had no connection
	wantErr(t, "refuse the first connection", carol.RefuseConnections(ctx, w.Clock.Now().Add(time.Minute)), nil)
	_, err = carol.Connect(ctx, w.signedIn(4, 0))
	wantErr(t, "the first connection before the time", err, chat.ErrRateLimited)
	w.Clock.Advance(time.Minute + time.Second)
	must[[]chat.ConnectionID](t)(carol.Connect(ctx, w.signedIn(4, 0)))
	Verified(t, carol)
}

// erasedSessions: of a user who is erased only the ended sign-ins are remembered, for 31 days unless the user is
// barred.
func erasedSessions(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(1, time.Minute)))
	must[[]chat.ConnectionID](t)(alice.EndSessions(ctx, store.Ending{}))
	w.Clock.Advance(2 * time.Second)
	must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(2, 0)))
	wantErr(t, "forget", alice.RequestErasure(ctx), nil)
	if told := w.pass(alice); len(told) != 1 {
		t.Errorf("farewell was said to %v, want the open one", told)
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

// sessions are the attributes of a user's SESSIONS but its key.
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

// foreignOwner: where the owner record of one of a user's entries is another user's, that record stays as it is, nobody
// notifies or closes the connection, and the rest is done.
func foreignOwner(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	for n := 1; n <= 10; n++ {
		must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(n, time.Minute)))
	}
	for _, n := range []int{1, 2} {
		w.plant(map[string]string{"pk": "C#" + string(socket(n, "").ID), "sk": "OWNER", "user": "bob"})
	}
	if replaced := must[[]chat.ConnectionID](t)(alice.Connect(ctx, w.signedIn(11, time.Minute))); len(replaced) > 0 {
		t.Errorf("replaced %v, which is bob's", replaced)
	}
	if rows := must[[]chat.Connection](t)(alice.Connections(ctx)); len(rows) != 10 {
		t.Errorf("%d rows, want 10", len(rows))
	}
	ended := must[[]chat.ConnectionID](t)(alice.EndSessions(ctx, store.Ending{}))
	if len(ended) != 9 || slices.Contains(ended, socket(2, "").ID) {
		t.Errorf("ended %v, want the nine that are alice's", ended)
	}
	for _, item := range w.items() {
		if _, out := item["out"].(*types.AttributeValueMemberS); out && stringOf(item["user"]) != "alice" {
			t.Errorf("another user's record was changed: %v", item)
		}
	}
}

// Verified has everything of a user verified.
func Verified(t *testing.T, s *store.Store) {
	t.Helper()
	if found := must[[]store.Finding](t)(s.Verify(t.Context())); len(found) > 0 {
		t.Errorf("verify finds %+v", found)
	}
}

func sessionProbes() map[string]probe {
	return map[string]probe{
		"Store.EndSessions": {theirs: anything, call: func(c caller) (any, error) {
			ended, err := c.mine.EndSessions(c.T.Context(), store.Ending{Bar: true})
			if err == nil && c.holder != nil && !c.met && !slices.Contains(ended, c.socket) {
				err = fmt.Errorf("mine was not ended: %v", ended)
			}
			return nil, err
		}},
		"Store.Sessions": {theirs: anything, call: func(c caller) (any,
			error) {
			return c.mine.Sessions(c.T.Context())
		}},
		"Store.RefuseConnections": {theirs: anything, call: func(c caller) (any, error) {
			return nil, c.mine.RefuseConnections(c.T.Context(), c.Clock.Now().Add(time.Minute))
		}},
		"Store.Unbar": {theirs: fresh, call: func(c caller) (any, error) { return nil, c.mine.Unbar(c.T.Context()) }},
		"Store.Lost": {theirs: notFound, unsafe: true, makes: true, call: func(c caller) (any, error) {
			err := c.mine.Lost(c.T.Context(), c.socket)
			nobody := errors.Is(err, chat.ErrNotFound) && !errors.Is(err, chat.ErrForeign)
			if nobody || errors.Is(err, chat.ErrReplaced) || errors.Is(err, chat.ErrClosed) {
				return nil, nil // the answers about the caller's own connection
			}
			return nil, err
		}},
	}
}
