package emit_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/emit"
	"carrel/shared/wire"
)

func audience(t *testing.T, edge *fakeEdge) emit.Recipients {
	t.Helper()
	edge.owner = chattest.User(t, "alice")
	return emit.Recipients{User: edge.owner, Connections: edge, Poster: edge}
}

func TestTellReachesWhomItConcerns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		elsewhere, silent := conn("elsewhere"), conn("silent")
		elsewhere.Thread, silent.N = "another", 0
		edge := newEdge(conn("a"), conn("gone"), conn("broken"), conn("slow"), elsewhere, silent)
		edge.fails["gone"], edge.fails["broken"] = fmt.Errorf("post: %w", chat.ErrGone), errLost
		edge.takes["slow"] = 4 * time.Second
		start := time.Now()
		err := emit.Broadcast(t.Context(), audience(t, edge),
			&wire.Events{ThreadID: thread, RunID: run, Seq: 1, Events: []agui.Event{{Type: agui.RunError}}},
			&wire.Ended{ThreadID: thread, RunID: run},
			&wire.Thread{ThreadInfo: wire.ThreadInfo{ThreadID: thread}},
		)
		if !errors.Is(err, errLost) || errors.Is(err, chat.ErrGone) {
			t.Errorf("error %v, want the broken one's alone", err)
		}
		if waited := time.Since(start); waited != 12*time.Second {
			t.Errorf("it took %v, want the slow one's three posts and no more", waited)
		}
		for id, want := range map[chat.ConnectionID]int{"a": 3, "slow": 3, "elsewhere": 1, "silent": 0, "broken": 0} {
			if got := len(edge.got[id]); got != want {
				t.Errorf("%s got %d frames, want %d", id, got, want)
			}
		}
		if _, there := edge.rows["gone"]; there {
			t.Error("a connection that is gone is still listed")
		}
	})
}

func tellThrice(t *testing.T, edge *fakeEdge, f wire.ServerFrame) error {
	t.Helper()
	return emit.Broadcast(t.Context(), audience(t, edge), f, f, f)
}
