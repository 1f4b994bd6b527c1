package emit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/lasthop/lasthoptest"
	"carrel/shared/wire"
)

const whole = "RUN_STARTED TEXT_MESSAGE_START TEXT_MESSAGE_CONTENT TEXT_MESSAGE_END RUN_FINISHED"

func TestEmitter_WatchersReceiveTheLog(t *testing.T) {
	t.Attr("row", "A6: each watcher receives exactly the events of the log")
	synctest.Test(t, func(t *testing.T) {
		a, b, other, silent := conn("a"), conn("b"), conn("other"), conn("silent")
		other.Thread, silent.N = "another", 0
		expired := conn("expired")
		expired.TokenExpires = time.Now()
		r := newRig(t, &fakeLog{takes: 5 * time.Millisecond}, lasthoptest.New(a, b, other, silent, expired))
		r.emit(t, opening()...)
		for i := range 200 {
			r.emit(t, text(fmt.Sprintf("%d ", i)))
			time.Sleep(20 * time.Millisecond)
		}
		r.emit(t, agui.Event{Type: agui.TextMessageEnd, MessageID: "m"})
		r.end(t)
		for _, id := range []chat.ConnectionID{"a", "b"} {
			got := r.edge.Events(t, id, 0)
			if types(got) != whole || said(got) != said(r.log.all()) || !strings.HasPrefix(said(got), "0 1 2 ") ||
				!strings.HasSuffix(said(got), "199 ") {
				t.Errorf("%s got %s saying %q", id, types(got), said(got))
			}
		}
		for _, id := range []chat.ConnectionID{"other", "silent", "expired"} {
			if n := len(r.edge.Got[id]); n > 0 {
				t.Errorf("%s got %d frames", id, n)
			}
		}
		if n := len(r.log.records); n > 24 {
			t.Errorf("%d records for 4 s of text, want at most 24", n)
		}
		t.Attr("figure", fmt.Sprintf("%d records reached %d of %d connections", len(r.log.records), len(r.edge.Got),
			len(r.edge.Rows)))
	})
}

// The leading delta goes at once; while they keep coming, ever more seldom; after a pause at once again.
func TestEmit_FlushIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fakeLog{}, lasthoptest.New(conn("a")))
		r.emit(t, opening()...)
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := len(r.log.records)
		start := time.Now()
		for range 100 {
			r.emit(t, text("x"))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		resumed := time.Since(start).Milliseconds()
		for range 10 {
			r.emit(t, text("y"))
			time.Sleep(10 * time.Millisecond)
		}
		var at []int64
		for _, rec := range r.log.records[before:] {
			at = append(at, rec.at.Sub(start).Milliseconds())
		}
		if got, want := fmt.Sprint(at), fmt.Sprint([]int64{0, 50, 150, 350, 600, 850, 1100, resumed, resumed +
			50}); got != want {
			t.Errorf("flushes at %s ms, want %s", got, want)
		}
		r.end(t)
	})
}

func TestEmit_OtherEventFlushesDeltas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fakeLog{}, lasthoptest.New())
		r.emit(t, opening()...)
		for range 3 {
			r.emit(t, text("x"))
			synctest.Wait()
		}
		start := time.Now()
		r.emit(t, agui.Event{Type: agui.TextMessageEnd, MessageID: "m"})
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited > 0 {
			t.Errorf("a TEXT_MESSAGE_END waited %v", waited)
		}
		last := r.log.records[len(r.log.records)-1].events
		if types(last) != "TEXT_MESSAGE_CONTENT TEXT_MESSAGE_END" || len(last) != 2 || said(last) != "xx" {
			t.Errorf("the last record is %s saying %q, want the two deltas joined before their end", types(last),
				said(last))
		}
		r.close(t)
	})
}

func TestEmitter_SlowConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := lasthoptest.New(conn("slow"), conn("fast"))
		edge.Takes["slow"] = 700 * time.Millisecond
		r := newRig(t, &fakeLog{}, edge)
		start := time.Now()
		r.emit(t, opening()...)
		for range 10 {
			r.emit(t, text("word "), agui.Event{Type: agui.StepStarted, StepName: "s"},
				agui.Event{Type: agui.StepFinished, StepName: "s"})
			synctest.Wait()
		}
		if waited := time.Since(start); waited > 0 {
			t.Errorf("the run was held up for %v", waited)
		}
		if got := edge.Events(t, "fast", 0); said(got) != strings.Repeat("word ", 10) {
			t.Errorf("the fast connection has %q by now", said(got))
		}
		r.end(t)
		if got := edge.Events(t, "slow", 0); said(got) != strings.Repeat("word ", 10) ||
			types(got[len(got)-1:]) != "RUN_FINISHED" {
			t.Errorf("the slow connection got %q", said(got))
		}
		if n := len(edge.Got["slow"]); n > 3 {
			t.Errorf("the slow connection took %d posts: queued records must be joined", n)
		}
	})
}

// A connection that cannot keep up is cut, and the run continues. A new hello (with a higher n) restores it.
func TestEmitter_FullQueue(t *testing.T) {
	t.Attr("row", "C3: a full queue closes its connection and leaves the run alone")
	synctest.Test(t, func(t *testing.T) {
		edge := lasthoptest.New(conn("a"))
		edge.Takes["a"] = 4 * time.Second
		r := newRig(t, &fakeLog{}, edge)
		r.emit(t, opening()...)
		big := strings.Repeat("x", 200<<10)
		for range 10 {
			r.emit(t, agui.Event{Type: agui.ToolCallResult, MessageID: "m", ToolCallID: "c", Content: &big})
			synctest.Wait()
		}
		if len(r.reported) == 0 {
			t.Error("a queue of 2 MB was not cut")
		}
		time.Sleep(5 * time.Second)
		edge.Set(func() { edge.Takes["a"], edge.Got["a"] = 0, nil })
		r.emit(t, agui.Event{Type: agui.StepStarted, StepName: "unseen"})
		time.Sleep(2 * time.Second)
		if n := len(edge.Got["a"]); n != 0 {
			t.Errorf("a cut connection got %d frames", n)
		}
		again := conn("a")
		again.N = 2
		edge.Put(again)
		time.Sleep(2 * time.Second)
		if got := edge.Events(t, "a", 12); types(got) != "STEP_STARTED" {
			t.Errorf("after its hello it got %q, want the last record", types(got))
		}
		r.end(t)
		t.Attr("figure", fmt.Sprintf("%d cut of %d connections, and %d reported", r.Stats().Cut, len(edge.Rows),
			len(r.reported)))
	})
}

func TestEmitter_LateConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := lasthoptest.New()
		r := newRig(t, &fakeLog{}, edge)
		synctest.Wait() // for the first list
		r.Broadcast(&wire.Thread{ThreadInfo: wire.ThreadInfo{ThreadID: thread, Status: "running"}})
		r.emit(t, opening()...)
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.emit(t, agui.Event{Type: agui.TextMessageEnd, MessageID: "m"})
		edge.Put(conn("late"))
		time.Sleep(1100 * time.Millisecond)
		if got := edge.Events(t, "late", 2); types(got) != "TEXT_MESSAGE_END" {
			t.Errorf("a late connection got %q, want the last record", types(got))
		}
		r.wantFrames(t, "late", "events 1", "row running")
		edge.Put(conn("last")) // fault 41: between the last list and the last append
		r.end(t)
		if got := edge.Events(t, "last", 3); types(got) != "RUN_FINISHED" {
			t.Errorf("the connection that came before the end got %q, want the end", types(got))
		}
	})
}

func TestEmitter_GoneConnection(t *testing.T) {
	t.Attr("row", "A6: a connection that answers 410 is deleted")
	synctest.Test(t, func(t *testing.T) {
		edge := lasthoptest.New(conn("gone"), conn("a"))
		edge.Fails["gone"] = fmt.Errorf("post: %w", chat.ErrGone)
		r := newRig(t, &fakeLog{}, edge)
		r.emit(t, opening()...)
		synctest.Wait()
		if _, there := edge.Rows["gone"]; there {
			t.Error("its row is still there")
		}
		r.end(t)
		if edge.Posts != 3 && edge.Posts != 4 {
			t.Errorf("%d posts, want one to the gone connection", edge.Posts)
		}
		if got := edge.Events(t, "a", 0); types(got) != "RUN_STARTED TEXT_MESSAGE_START RUN_FINISHED" {
			t.Errorf("the other one got %s", types(got))
		}
		t.Attr("figure", fmt.Sprintf("%d connections are left, %d posts in all", len(edge.Rows), edge.Posts))
	})
}

// Whether a failed append wrote or not, the same events are tried again and stand in the log once.
func TestEmit_FailedAppend(t *testing.T) {
	t.Attr("row", "C3: a failed append is retried and stored once")
	for _, wrote := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			log := &fakeLog{fail: func(try int, written bool) error {
				if try <= 2 && written == wrote {
					return errLost
				}
				return nil
			}}
			r := newRig(t, log, lasthoptest.New(conn("a")))
			r.emit(t, append(opening(), text("one "), text("two "),
				agui.Event{Type: agui.TextMessageEnd, MessageID: "m"})...)
			r.end(t)
			if got := r.edge.Events(t, "a", 0); types(got) != whole || said(got) != "one two " {
				t.Errorf("wrote %v: got %s saying %q", wrote, types(got), said(got))
			}
			t.Attr("figure", fmt.Sprintf("written before it failed: %v; %d events stand in the log once", wrote,
				len(log.all())))
		})
	}
}

func TestEmit_LogRefusesAppends(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		tries int
	}{"fenced": {chat.ErrLeaseLost, 1}, "broken": {errLost, 5}} {
		synctest.Test(t, func(t *testing.T) {
			log := &fakeLog{fail: func(int, bool) error { return c.err }}
			r := newRig(t, log, lasthoptest.New(conn("a")))
			r.emit(t, opening()[:1]...) // the next one may come too late
			if err := r.Sync(t.Context()); !errors.Is(err, c.err) {
				t.Errorf("%s: Sync gives %v", name, err)
			}
			if err := r.Emit(t.Context(), text("x")); !errors.Is(err, c.err) {
				t.Errorf("%s: Emit gives %v", name, err)
			}
			if log.tries != c.tries || r.edge.Posts != 0 {
				t.Errorf("%s: %d tries and %d posts, want %d and none", name, log.tries, r.edge.Posts, c.tries)
			}
			r.close(t)
		})
	}
}

func TestEmit_CancelledRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fakeLog{}, lasthoptest.New(conn("a")))
		r.emit(t, append(opening(), text("half"))...)
		r.uc.Cancel(errLost)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Emit(ended, agui.Event{Type: agui.TextMessageEnd, MessageID: "m"}); err != nil {
			t.Fatal(err)
		}
		r.end(t)
		if got := r.edge.Events(t, "a", 0); types(got) != whole {
			t.Errorf("got %s", types(got))
		}
	})
}
