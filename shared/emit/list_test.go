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
	"carrel/shared/emit"
	"carrel/shared/wire"
)

// tolerance is how old a list may be when a post begins: the second between two, and what the next one may take.
const tolerance = 1250 * time.Millisecond

// Nothing is posted by a list that is too old. While there is no newer one live delivery stands still; what was queued
// goes on by the next list, to those who are still there.
func TestNothingIsPostedByAnOldList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := newEdge(conn("stays"), conn("leaves"), conn("switches"))
		r := newRig(t, &fakeLog{}, edge)
		r.emit(t, opening()...)
		r.words(t, 1)
		time.Sleep(500 * time.Millisecond)
		edge.set(func() { edge.list = func(context.Context) error { return errLost } })
		began := time.Now()
		var paused time.Duration
		for posts := -1; time.Since(began) < 10*time.Second; time.Sleep(50 * time.Millisecond) {
			r.words(t, 1)
			if posts == edge.count() && paused == 0 {
				paused = time.Since(began)
			}
			posts = edge.count()
		}
		stood := edge.count()
		edge.set(func() {
			delete(edge.rows, "leaves")
			other := conn("switches")
			other.Thread, other.N = "another", 2
			edge.rows["switches"] = other
			edge.list = nil
		})
		time.Sleep(300 * time.Millisecond)
		resumed := edge.count() - stood
		r.end(t)
		if paused > tolerance || resumed == 0 || edge.oldest > tolerance {
			t.Errorf("delivery stood still after %v and went on with %d posts; the oldest list that was posted by had %v", paused, resumed, edge.oldest)
		}
		t.Attr("figure", fmt.Sprintf("the list of connections fails for 10 s: live delivery stands still after %v and goes on within 0.3 s of the first list that comes", paused))
		if got := edge.events(t, "stays", 0); types(got[len(got)-1:]) != "RUN_FINISHED" || chat.Seq(len(got)) != chat.Seq(len(r.log.all())) {
			t.Errorf("who stayed got %d events of %d", len(got), len(r.log.all()))
		}
		for _, id := range []chat.ConnectionID{"leaves", "switches"} {
			if n := len(edge.events(t, id, 0)); n == 0 || n >= len(r.log.all())/2 {
				t.Errorf("%s got %d events of %d, want those of before the pause", id, n, len(r.log.all()))
			}
		}
	})
}

// Whatever becomes of the lists, none is posted by that is too old, and who stays sees everything in the end.
func TestListsThatFailOrHang(t *testing.T) {
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
			edge, n := newEdge(conn("a"), conn("b")), 0
			edge.list = func(ctx context.Context) error {
				n++
				switch p := plan[n%len(plan)]; {
				case n == 1: // who is not known from the start gets the last record, and asks for the log
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
			edge.takes["b"] = 300 * time.Millisecond
			r := newRig(t, &fakeLog{}, edge)
			r.emit(t, opening()...)
			for range 100 {
				r.words(t, 1)
				time.Sleep(100 * time.Millisecond)
			}
			edge.set(func() { edge.list = nil })
			r.end(t)
			oldest, posts = max(oldest, edge.oldest), posts+edge.count()
			for _, id := range []chat.ConnectionID{"a", "b"} {
				if got := edge.events(t, id, 0); len(got) != len(r.log.all()) {
					t.Errorf("%s got %d events of %d", id, len(got), len(r.log.all()))
				}
			}
		})
	}
	if oldest > tolerance {
		t.Errorf("a post went by a list of %v before", oldest)
	}
	t.Attr("figure", fmt.Sprintf("%d posts while lists fail and hang at random: the oldest list that one went by was %v old", posts, oldest))
}

// A row that is another's is not posted to, whoever reads it so: it is a violation, told once. The user's own go on, and one
// that does not say whose it is gets nothing and is no violation.
func TestARowOfAnothersIsRefused(t *testing.T) {
	t.Attr("row", "C5: a run posts to no connection of another user")
	synctest.Test(t, func(t *testing.T) {
		edge := newEdge(conn("mine"), conn("theirs"), conn("silent"))
		edge.foreign = []error{&chat.ForeignError{Connection: "copied"}}
		theirs := conn("theirs")
		theirs.Owner = chat.OwnerHash(chattest.User(t, "bob").Hash())
		edge.put(theirs)
		r := newRig(t, &fakeLog{}, edge)
		r.emit(t, opening()...)
		time.Sleep(3 * time.Second)
		r.Broadcast(&wire.Thread{ThreadInfo: wire.ThreadInfo{ThreadID: thread, Status: "running"}})
		r.end(t)
		if slices.Sort(r.violations); !slices.Equal(r.violations, []chat.ConnectionID{"copied", "theirs"}) {
			t.Errorf("violations of %v", r.violations)
		}
		if got := edge.events(t, "mine", 0); types(got) != "RUN_STARTED TEXT_MESSAGE_START RUN_FINISHED" || len(edge.got["theirs"]) > 0 {
			t.Errorf("mine got %s, theirs %d frames", types(got), len(edge.got["theirs"]))
		}
		a := audience(t, edge)
		var told []chat.ConnectionID
		a.Violation = func(id chat.ConnectionID) { told = append(told, id) }
		before := len(edge.got["mine"])
		err := emit.Broadcast(t.Context(), a, &wire.Done{})
		if slices.Sort(told); !slices.Equal(told, []chat.ConnectionID{"copied", "theirs"}) || err != nil {
			t.Errorf("Tell told of %v, %v", told, err)
		}
		if err := emit.Broadcast(t.Context(), audience(t, edge)); !errors.Is(err, chat.ErrForeign) {
			t.Errorf("where nobody is told of them the error is %v", err)
		}
		t.Attr("figure", fmt.Sprintf("2 rows of another's among a user's: %d violations, %d frames posted there", len(r.violations), len(edge.got["theirs"])))
		if len(edge.got["mine"]) != before+1 || len(edge.got["theirs"]) > 0 {
			t.Errorf("Tell posted %d frames to mine and %d to theirs", len(edge.got["mine"])-before, len(edge.got["theirs"]))
		}
	})
}

// What a row without an owner gets: nothing, and nobody is alarmed.
func TestARowThatDoesNotSayWhoseItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := newEdge(conn("old"))
		r := newRig(t, &fakeLog{}, edge)
		edge.set(func() { edge.owner = chat.User{} })
		time.Sleep(1100 * time.Millisecond)
		r.emit(t, opening()...)
		r.end(t)
		if edge.count() != 0 || len(r.violations) > 0 {
			t.Errorf("%d posts, violations of %v", edge.count(), r.violations)
		}
	})
}

// A long frame stops in the middle when its connection has gone to another thread.
func TestALongFrameEndsWithItsThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := newEdge(conn("a"))
		edge.takes["a"] = 300 * time.Millisecond
		r := newRig(t, &fakeLog{}, edge)
		r.emit(t, opening()...)
		long := strings.Repeat("x", 200<<10)
		r.emit(t, agui.Event{Type: agui.ToolCallResult, MessageID: "x", ToolCallID: "c", Content: &long})
		time.Sleep(800 * time.Millisecond)
		other := conn("a")
		other.Thread, other.N = "another", 2
		edge.put(other)
		time.Sleep(500 * time.Millisecond)
		posts := edge.count()
		r.end(t)
		if posts < 2 || edge.count() != posts {
			t.Errorf("%d posts by the time it had gone, and %d in all", posts, edge.count())
		}
	})
}

// What is told to all windows, and waits for one, reaches it on whatever thread it is by then; the events that waited do not.
func TestWhatIsToldReachesWhoHasGoneElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := newEdge(conn("a"))
		edge.takes["a"] = 1500 * time.Millisecond
		r := newRig(t, &fakeLog{}, edge)
		r.emit(t, opening()...)
		synctest.Wait() // its post is under way
		r.words(t, 1)
		r.Broadcast(&wire.Thread{ThreadInfo: wire.ThreadInfo{ThreadID: thread, Status: "running"}})
		r.words(t, 1)
		other := conn("a")
		other.Thread, other.N = "another", 2
		edge.put(other)
		time.Sleep(4 * time.Second)
		var got []string
		edge.set(func() {
			for _, f := range edge.got["a"] {
				got = append(got, fmt.Sprintf("%T", f))
			}
		})
		r.end(t)
		if !slices.Equal(got, []string{"*wire.Events", "*wire.Thread"}) {
			t.Errorf("it got %v, want the events that were on their way and the row", got)
		}
		edge.events(t, "a", 0)
		if f := r.Stats(); f.Cut+f.Gone > 0 {
			t.Errorf("counted %+v", f)
		}
	})
}

// Tell reads its list again where its posts have taken so long that it has become too old, and heeds what it says then.
func TestTellDoesNotGoByAnOldList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := newEdge(conn("stays"), conn("switches"), conn("leaves"))
		for id := range edge.rows {
			edge.takes[id] = 700 * time.Millisecond
		}
		a := audience(t, edge)
		time.AfterFunc(time.Second, func() {
			edge.set(func() {
				delete(edge.rows, "leaves")
				other := conn("switches")
				other.Thread = "another"
				edge.rows["switches"] = other
			})
		})
		frame := &wire.Ended{RunID: run, ThreadID: thread, Status: chat.RunCancelled}
		err := emit.Broadcast(t.Context(), a, frame, frame, frame, frame, &wire.Done{})
		if s, w, l := len(edge.got["stays"]), len(edge.got["switches"]), len(edge.got["leaves"]); err != nil || s != 5 || w != 3 || l != 2 || edge.oldest > tolerance {
			t.Errorf("%d, %d and %d frames by lists of up to %v, %v", s, w, l, edge.oldest, err)
		}
		edge.set(func() { edge.list = func(context.Context) error { return errLost } })
		if err := emit.Broadcast(t.Context(), a, frame); err == nil {
			t.Error("nobody could be told, and nothing was said of it")
		}
		if err := emit.Broadcast(t.Context(), emit.Recipients{Connections: edge, Poster: edge}, frame); err == nil {
			t.Error("it told somebody's connections for nobody")
		}
	})
}
