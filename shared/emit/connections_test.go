package emit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
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

// maxAge is how old a list may be when a post begins: 1 s between two lists, and 0.25 s for the next list.
const maxAge = 1250 * time.Millisecond

// Nothing is posted by a list that is too old. Live delivery pauses until there is a newer list. Then the queued events
// go to the connections that are still listed.
func TestEmitter_OldList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := lasthoptest.New(conn("stays"), conn("leaves"), conn("switches"))
		r := newRig(t, &fakeLog{}, edge)
		r.emit(t, opening()...)
		r.words(t, 1)
		time.Sleep(500 * time.Millisecond)
		edge.Set(func() { edge.List = func(context.Context) error { return errLost } })
		began := time.Now()
		var paused time.Duration
		for posts := -1; time.Since(began) < 10*time.Second; time.Sleep(50 * time.Millisecond) {
			r.words(t, 1)
			if posts == edge.Count() && paused == 0 {
				paused = time.Since(began)
			}
			posts = edge.Count()
		}
		stood := edge.Count()
		edge.Set(func() {
			delete(edge.Rows, "leaves")
			other := conn("switches")
			other.Thread, other.N = "another", 2
			edge.Rows["switches"] = other
			edge.List = nil
		})
		time.Sleep(300 * time.Millisecond)
		resumed := edge.Count() - stood
		r.end(t)
		if paused > maxAge || resumed == 0 || edge.Oldest > maxAge {
			t.Errorf("delivery stood still after %v and went on with %d posts; the oldest list that was posted by "+
				"had %v", paused, resumed, edge.Oldest)
		}
		t.Attr("figure",
			fmt.Sprintf("the list of connections fails for 10 s: live delivery stands still after %v and goes on "+
				"within 0.3 s of the first list that comes", paused))
		if got := edge.Events(t, "stays", 0); types(got[len(got)-1:]) != "RUN_FINISHED" ||
			chat.Seq(len(got)) != chat.Seq(len(r.log.all())) {
			t.Errorf("the listed connection got %d events of %d", len(got), len(r.log.all()))
		}
		for _, id := range []chat.ConnectionID{"leaves", "switches"} {
			if n := len(edge.Events(t, id, 0)); n == 0 || n >= len(r.log.all())/2 {
				t.Errorf("%s got %d events of %d, want those of before the pause", id, n, len(r.log.all()))
			}
		}
	})
}

// While lists fail and hang at random, no post relies on a list that is too old, and listed connections receive all
// events in the end.
func TestEmitter_ListsFailOrHang(t *testing.T) {
	t.Attr("row", "C2: no post relies on a connection list requested over 1.25 s ago (1 s between lists, 0.25 s for "+
		"one)")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var oldest time.Duration
	posts := 0
	for range 50 {
		plan := make([]int, 200)
		for i := range plan {
			plan[i] = random.IntN(10)
		}
		synctest.Test(t, func(t *testing.T) {
			edge, n := lasthoptest.New(conn("a"), conn("b")), 0
			edge.List = func(ctx context.Context) error {
				n++
				switch p := plan[n%len(plan)]; {
				case p < 3:
					return errLost
				case p < 5: // it hangs
					<-ctx.Done()
					return ctx.Err()
				case p < 8:
					time.Sleep(time.Duration(p) * 100 * time.Millisecond)
				}
				return nil
			}
			edge.Takes["b"] = 300 * time.Millisecond
			r := newRig(t, &fakeLog{}, edge)
			r.emit(t, opening()...)
			for range 100 {
				r.words(t, 1)
				time.Sleep(100 * time.Millisecond)
			}
			edge.Set(func() { edge.List = nil })
			r.end(t)
			oldest, posts = max(oldest, edge.Oldest), posts+edge.Count()
			for _, id := range []chat.ConnectionID{"a", "b"} {
				if got := edge.Events(t, id, 0); len(got) != len(r.log.all()) {
					t.Errorf("%s got %d events of %d", id, len(got), len(r.log.all()))
				}
			}
		})
	}
	if oldest > maxAge {
		t.Errorf("a post went by a list of %v before", oldest)
	}
	t.Attr("figure",
		fmt.Sprintf("%d posts while lists fail and hang at random: the oldest list that one went by was %v old", posts,
			oldest))
}

// A listed connection of another user receives nothing and is reported once, by runs and broadcasts. The user's own
// connections receive everything. A record without an owner receives nothing and is no violation.
func TestEmitter_ForeignConnection(t *testing.T) {
	t.Attr("row", "C5: a run posts to no connection of another user")
	synctest.Test(t, func(t *testing.T) {
		edge := lasthoptest.New(conn("own"), conn("theirs"), conn("silent"))
		edge.Foreign = []error{&chat.ForeignError{Connection: "copied"}}
		theirs := conn("theirs")
		theirs.Owner = chat.OwnerHash(chattest.User(t, "bob").Hash())
		edge.Put(theirs)
		r := newRig(t, &fakeLog{}, edge)
		r.emit(t, opening()...)
		time.Sleep(3 * time.Second)
		r.Broadcast(&wire.Thread{ThreadInfo: wire.ThreadInfo{ThreadID: thread, Status: "running"}})
		r.end(t)
		if slices.Sort(r.violations); !slices.Equal(r.violations, []chat.ConnectionID{"copied", "theirs"}) {
			t.Errorf("violations of %v", r.violations)
		}
		if got := edge.Events(t, "own", 0); types(got) != "RUN_STARTED TEXT_MESSAGE_START RUN_FINISHED" ||
			len(edge.Got["theirs"]) > 0 {
			t.Errorf("own got %s, theirs %d frames", types(got), len(edge.Got["theirs"]))
		}
		to := recipients(edge)
		var reported []chat.ConnectionID
		to.Violation = func(id chat.ConnectionID) { reported = append(reported, id) }
		before := len(edge.Got["own"])
		err := lasthop.Broadcast(t.Context(), to, &wire.Done{})
		if slices.Sort(reported); !slices.Equal(reported, []chat.ConnectionID{"copied", "theirs"}) || err != nil {
			t.Errorf("a broadcast reports violations of %v, %v", reported, err)
		}
		if err := lasthop.Broadcast(t.Context(), recipients(edge)); !errors.Is(err, chat.ErrForeign) {
			t.Errorf("without a func for violations, a broadcast returns %v", err)
		}
		t.Attr("figure", fmt.Sprintf("2 rows of another's among a user's: %d violations, %d frames posted there",
			len(r.violations), len(edge.Got["theirs"])))
		if len(edge.Got["own"]) != before+1 || len(edge.Got["theirs"]) > 0 {
			t.Errorf("the broadcast posted %d frames to own and %d to theirs", len(edge.Got["own"])-before,
				len(edge.Got["theirs"]))
		}
	})
}

// A record without an owner receives nothing, and is reported as a violation.
func TestEmitter_RecordWithoutOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := lasthoptest.New(conn("old"))
		r := newRig(t, &fakeLog{}, edge)
		edge.Set(func() { edge.Owner = chat.User{} })
		time.Sleep(1100 * time.Millisecond)
		r.emit(t, opening()...)
		r.end(t)
		if edge.Count() != 0 || len(r.violations) != 1 {
			t.Errorf("%d posts, violations of %v", edge.Count(), r.violations)
		}
	})
}

// A long frame stops in the middle when its connection has gone to another thread.
func TestEmitter_ThreadChangesDuringLongFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := lasthoptest.New(conn("a"))
		edge.Takes["a"] = 300 * time.Millisecond
		r := newRig(t, &fakeLog{}, edge)
		r.emit(t, opening()...)
		long := strings.Repeat("x", 200<<10)
		r.emit(t, agui.Event{Type: agui.ToolCallResult, MessageID: "x", ToolCallID: "c", Content: &long})
		time.Sleep(800 * time.Millisecond)
		other := conn("a")
		other.Thread, other.N = "another", 2
		edge.Put(other)
		time.Sleep(500 * time.Millisecond)
		posts := edge.Count()
		r.end(t)
		if posts < 2 || edge.Count() != posts {
			t.Errorf("%d posts by the time it had gone, and %d in all", posts, edge.Count())
		}
	})
}

// A queued broadcast reaches a connection that has changed to another thread. Queued events do not.
func TestEmitter_BroadcastAfterThreadChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := lasthoptest.New(conn("a"))
		edge.Takes["a"] = 1500 * time.Millisecond
		r := newRig(t, &fakeLog{}, edge)
		r.emit(t, opening()...)
		synctest.Wait() // its post is under way
		r.words(t, 1)
		r.Broadcast(&wire.Thread{ThreadInfo: wire.ThreadInfo{ThreadID: thread, Status: "running"}})
		r.words(t, 1)
		other := conn("a")
		other.Thread, other.N = "another", 2
		edge.Put(other)
		time.Sleep(4 * time.Second)
		var got []string
		edge.Set(func() {
			for _, f := range edge.Got["a"] {
				got = append(got, fmt.Sprintf("%T", f))
			}
		})
		r.end(t)
		if !slices.Equal(got, []string{"*wire.Events", "*wire.Thread"}) {
			t.Errorf("it got %v, want the events that were on their way and the row", got)
		}
		edge.Events(t, "a", 0)
		if f := r.Stats(); f.Cut+f.Gone > 0 {
			t.Errorf("counted %+v", f)
		}
	})
}

// recipients are the owner's connections, for a broadcast.
func recipients(edge *lasthoptest.Edge) lasthop.Recipients {
	return lasthop.Recipients{User: edge.Owner, Connections: edge, Poster: edge}
}
