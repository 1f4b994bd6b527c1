package emit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/lasthop"
	"carrel/shared/lasthop/lasthoptest"
	"carrel/shared/wire"
)

// While the records of the user's connections change at random, each post agrees with the record that was listed last:
// its owner, thread, token and age.
func TestEmitter_EachPostIsChecked(t *testing.T) {
	t.Attr("row", "A6: each post checks owner, thread and token")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	posts, changes, oldest, foreign := 0, 0, time.Duration(0), 0
	for range 40 {
		synctest.Test(t, func(t *testing.T) {
			ids := []string{"a", "b", "c", "d"}
			edge := lasthoptest.New(conn("a"), conn("b"), conn("c"))
			edge.Takes["b"] = 150 * time.Millisecond
			r := newRig(t, &fakeLog{}, edge)
			bob := chat.OwnerHash(chattest.User(t, "bob").Hash())
			r.emit(t, opening()...)
			for n := range 60 {
				r.words(t, 1)
				if n%10 == 9 {
					r.Broadcast(&wire.Thread{ThreadInfo: wire.ThreadInfo{ThreadID: thread, Status: "running"}})
				}
				c := conn(ids[random.IntN(len(ids))])
				c.N = int64(n + 2)
				edge.Set(func() { change(edge, c, random.IntN(8), bob) })
				changes++
				time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
			}
			edge.Set(func() { edge.List = nil })
			r.end(t)
			if err := lasthop.Broadcast(t.Context(), recipients(edge),
				&wire.Ended{ThreadID: thread, RunID: run}); err != nil && len(chat.Foreign(err)) > 0 {
				t.Error(err)
			}
			for _, bad := range edge.Bad {
				t.Error(bad)
			}
			slices.Sort(r.violations)
			posts, oldest, foreign = posts+edge.Count(), max(oldest, edge.Oldest),
				foreign+len(slices.Compact(r.violations))
		})
	}
	if posts == 0 || foreign == 0 || oldest > maxAge {
		t.Errorf("%d posts, %d foreign connections, by lists of up to %v", posts, foreign, oldest)
	}
	t.Attr("figure",
		fmt.Sprintf("%d posts while %d times a record lost its owner, thread, token or place: none against the "+
			"record listed last, which was at most %v old; %d foreign connections refused",
			posts, changes, oldest.Round(time.Millisecond), foreign))
}

// change changes one thing of a connection, or of the lists.
func change(e *lasthoptest.Edge, c chat.Connection, what int, other chat.OwnerHash) {
	switch what {
	case 0:
		delete(e.Rows, c.ID)
		return
	case 1:
		c.Thread = "another"
	case 2:
		c.TokenExpires = time.Now().Add(300 * time.Millisecond)
	case 3:
		c.Owner = other
	case 4:
		c.N = 0
	case 5:
		e.List = func(context.Context) error { return errLost }
	default:
		e.List = nil
	}
	e.Rows[c.ID] = c
}
