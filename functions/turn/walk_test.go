package main

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/emit"
	"carrel/shared/store"
	"carrel/shared/usercontext"
	"carrel/shared/usercontext/walktest"
)

// allowed returns the types that two users' turns may share, with the reason. They hold no user's data, so the walk
// ends there.
func allowed() map[string]string {
	return map[string]string{
		"(*store.Table)": "the table's client and name, made once, which no method changes; on AWS each user " +
			"has one, by credentials of their own",
		"(*gatewaytest.Edge)":   "what posts and invokes; here it also keeps what was posted, for the tests",
		"(*usercontext.Gauge)":  "the process's count of contexts: numbers, under a lock",
		"(*time.Location)":      "the machine's time zone",
		"(*errors.errorString)": "a named error, which nobody can write",
	}
}

// After two users' runs in one warm process, the objects that turn made for them, with the store handle, share nothing
// writable.
func TestTurn_TwoUsersShareNothing(t *testing.T) {
	t.Attr("row", "A1: two users' turns, with their stores, share no writable memory")
	t.Attr("row", "E1: a turn's objects form no cycle")
	r := newFixture(t, fast())
	r.gauge = &usercontext.Gauge{}
	type made struct {
		User    chat.User
		Store   *store.Store
		Held    *store.Lease
		Context *usercontext.Context
		Emitter *emit.Emitter
	}
	var walks []*walktest.Walk
	var closed []string
	for kind := range allowed() {
		closed = append(closed, kind)
	}
	var turns []*turn
	for i := range 2 {
		s := &seat{fixture: r.beside(t, i, chat.ConnectionID(fmt.Sprint("window-", i)))}
		_, err := s.store.Admit(t.Context(), store.Admission{Run: "r1", Thread: "t", Grants: []string{"calculator"},
			Messages: []agui.Message{{ID: "u", Role: agui.RoleUser, Content: "what is 6*7?"}}})
		if err != nil {
			t.Fatal(err)
		}
		lease, err := s.store.Claim(t.Context(), "r1")
		if err != nil {
			t.Fatal(err)
		}
		one := &turn{handler: s.handler, user: s.user, store: s.store, lease: lease, log: r.handler.log}
		if err := one.open(context.Background(), "q"); err != nil {
			t.Fatal(err)
		}
		if err := one.execute(context.Background()); err != nil {
			t.Fatal(err)
		}
		turns = append(turns, one)
	}
	for _, one := range turns {
		one.close(context.Background()) // its goroutines have ended: nothing changes any more
		walks = append(walks, walktest.From(t, made{one.user, one.store, one.lease, one.uc, one.emitter}, closed...))
	}
	found, used := walktest.Shared(walks[0], walks[1], allowed())
	for _, where := range found {
		t.Errorf("both hold %s", where)
	}
	for kind, why := range allowed() {
		if !used[kind] {
			t.Errorf("%s is allowed (%s) and not shared: take it out", kind, why)
		}
	}
	cycles := slices.Concat(walks[0].Cycles, walks[1].Cycles)
	for _, c := range cycles {
		t.Errorf("a circle: %s", c)
	}
	t.Attr("figure",
		fmt.Sprintf("%d and %d things of two users' turns in one process, %d shared that can be written, %d circles",
			len(walks[0].Seen), len(walks[1].Seen), len(found), len(cycles)))
}
