package lasthop_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/lasthop"
	"carrel/shared/lasthop/lasthoptest"
	"carrel/shared/wire"
)

// interval and maxAge are the ages of a record that docs/locks.md states.
const (
	interval = time.Second
	maxAge   = 1250 * time.Millisecond
)

const thread, run = chat.ThreadID("t"), chat.RunID("r")

var errLost = errors.New("the answer was lost")

// conn returns a connection that watches the thread and has said hello.
func conn(id string) chat.Connection {
	return chat.Connection{ID: chat.ConnectionID(id), Thread: thread, N: 1, TokenExpires: time.Now().Add(time.Hour)}
}

func recipients(t *testing.T, edge *lasthoptest.Edge) lasthop.Recipients {
	t.Helper()
	edge.Owner = chattest.User(t, "alice")
	return lasthop.Recipients{User: edge.Owner, Connections: edge, Poster: edge}
}

func noBad(t *testing.T, edge *lasthoptest.Edge) {
	t.Helper()
	for _, bad := range edge.Bad {
		t.Error(bad)
	}
}

// Each connection receives the frames that concern it. A connection that no longer exists, fails or is slow affects no
// other.
func TestBroadcast_Recipients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		elsewhere, silent := conn("elsewhere"), conn("silent")
		elsewhere.Thread, silent.N = "another", 0
		edge := lasthoptest.New(conn("a"), conn("gone"), conn("broken"), conn("slow"), elsewhere, silent)
		edge.Fails["gone"], edge.Fails["broken"] = fmt.Errorf("post: %w", chat.ErrGone), errLost
		edge.Takes["slow"] = 4 * time.Second
		start := time.Now()
		err := lasthop.Broadcast(t.Context(), recipients(t, edge),
			&wire.Events{ThreadID: thread, RunID: run, Seq: 1, Events: []agui.Event{{Type: agui.RunError}}},
			&wire.Ended{ThreadID: thread, RunID: run},
			&wire.Thread{ThreadInfo: wire.ThreadInfo{ThreadID: thread}},
		)
		if !errors.Is(err, errLost) || errors.Is(err, chat.ErrGone) {
			t.Errorf("error %v, want the broken connection's alone", err)
		}
		if took := time.Since(start); took != 12*time.Second {
			t.Errorf("it took %v, want the slow connection's three posts and no more", took)
		}
		for id, want := range map[chat.ConnectionID]int{"a": 3, "slow": 3, "elsewhere": 1, "silent": 0, "broken": 0} {
			if got := len(edge.Got[id]); got != want {
				t.Errorf("%s got %d frames, want %d", id, got, want)
			}
		}
		if _, listed := edge.Rows["gone"]; listed {
			t.Error("a connection that no longer exists is still listed")
		}
		noBad(t, edge)
	})
}

// A broadcast ends at the expiry of a token, and repeats posts that were throttled.
func TestBroadcast_ExpiredTokenAndThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expires, slow := conn("a"), conn("slow")
		expires.TokenExpires = time.Now().Add(time.Second)
		edge := lasthoptest.New(expires, slow)
		edge.Takes["a"] = 700 * time.Millisecond
		edge.Fails["slow"] = chat.ErrSlow
		time.AfterFunc(500*time.Millisecond, func() { edge.Set(func() { delete(edge.Fails, "slow") }) })
		f := &wire.Ended{RunID: run, ThreadID: thread, Status: chat.RunCancelled}
		if err := lasthop.Broadcast(t.Context(), recipients(t, edge), f, f, f); err != nil {
			t.Error(err)
		}
		if a, s := len(edge.Got["a"]), len(edge.Got["slow"]); a != 2 || s != 3 {
			t.Errorf("%d frames by a token of one second at 0.7 s each, and %d on the throttled connection", a, s)
		}
		noBad(t, edge)
	})
}

// A broadcast lists the connections again when its posts have taken so long that the list is too old, and obeys the new
// list.
func TestBroadcast_OldList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := lasthoptest.New(conn("stays"), conn("switches"), conn("leaves"))
		for id := range edge.Rows {
			edge.Takes[id] = 700 * time.Millisecond
		}
		to := recipients(t, edge)
		time.AfterFunc(time.Second, func() {
			edge.Set(func() {
				delete(edge.Rows, "leaves")
				other := conn("switches")
				other.Thread = "another"
				edge.Rows["switches"] = other
			})
		})
		f := &wire.Ended{RunID: run, ThreadID: thread, Status: chat.RunCancelled}
		err := lasthop.Broadcast(t.Context(), to, f, f, f, f, &wire.Done{})
		stays, switches, leaves := len(edge.Got["stays"]), len(edge.Got["switches"]), len(edge.Got["leaves"])
		if err != nil || stays != 5 || switches != 3 || leaves != 2 || edge.Oldest > maxAge {
			t.Errorf("%d, %d and %d frames by lists of up to %v, %v", stays, switches, leaves, edge.Oldest, err)
		}
		noBad(t, edge)
		edge.Set(func() { edge.List = func(context.Context) error { return errLost } })
		if err := lasthop.Broadcast(t.Context(), to, f); err == nil {
			t.Error("no connection could be listed, and there is no error")
		}
		if err := lasthop.Broadcast(t.Context(), lasthop.Recipients{Connections: edge, Poster: edge}, f); err == nil {
			t.Error("it posted for the zero User")
		}
	})
}

// A listed connection of another user receives nothing and is reported once.
func TestBroadcast_ForeignConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		theirs := conn("theirs")
		theirs.Owner = chat.OwnerHash(chattest.User(t, "bob").Hash())
		edge := lasthoptest.New(conn("own"), theirs)
		to := recipients(t, edge)
		var reported []chat.ConnectionID
		to.Violation = func(id chat.ConnectionID) { reported = append(reported, id) }
		edge.Takes["own"] = 1100 * time.Millisecond // each frame needs another list
		err := lasthop.Broadcast(t.Context(), to, &wire.Done{}, &wire.Done{}, &wire.Done{})
		if err != nil || len(reported) != 1 || reported[0] != "theirs" {
			t.Errorf("reported %v, %v", reported, err)
		}
		if own, theirs := len(edge.Got["own"]), len(edge.Got["theirs"]); own != 3 || theirs != 0 {
			t.Errorf("%d frames to the user's own connection and %d to the other user's", own, theirs)
		}
		noBad(t, edge)
	})
}
