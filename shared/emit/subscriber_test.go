package emit_test

import (
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

// words emits a word and a step n times, each of which is flushed immediately, and returns how long that took.
func (r *rig) words(t *testing.T, n int) time.Duration {
	t.Helper()
	start := time.Now()
	for range n {
		r.emit(t, text("word "), agui.Event{Type: agui.StepStarted, StepName: "s"},
			agui.Event{Type: agui.StepFinished, StepName: "s"})
		synctest.Wait()
	}
	return time.Since(start)
}

// A window that is throttled for a while misses nothing and is not cut; the others and the run do not wait for it.
func TestEmitter_ThrottledConnection(t *testing.T) {
	t.Attr("row", "C3: posts, retries, throttles and delays are counted, and no other connection waits")
	synctest.Test(t, func(t *testing.T) {
		edge := lasthoptest.New(conn("slow"), conn("fast"))
		edge.Fails["slow"] = fmt.Errorf("post: %w", chat.ErrSlow)
		r := newRig(t, &fakeLog{}, edge)
		r.emit(t, opening()...)
		if took := r.words(t, 10); took > 0 {
			t.Errorf("the run was held up for %v", took)
		}
		if got := edge.Events(t, "fast", 0); said(got) != strings.Repeat("word ", 10) {
			t.Errorf("the fast connection has %q by now", said(got))
		}
		time.Sleep(time.Second)
		edge.Set(func() { delete(edge.Fails, "slow") })
		time.Sleep(time.Second)
		r.end(t)
		if got := edge.Events(t, "slow", 0); said(got) != strings.Repeat("word ", 10) ||
			types(got[len(got)-1:]) != "RUN_FINISHED" {
			t.Errorf("the throttled connection got %q", said(got))
		}
		f := r.Stats()
		if len(r.reported) > 0 || f.Throttled < 3 || f.Retried != f.Throttled || f.Cut+f.Gone != 0 ||
			f.Posted != len(edge.Got["slow"])+len(edge.Got["fast"]) {
			t.Errorf("reported %q; counted %+v", r.reported, f)
		}
		// The pauses are random: the last event may have come before the first try that succeeded, or not.
		if f.Lag < time.Second || f.Lag > 3*time.Second || f.Behind < 32 || f.Behind > 33 {
			t.Errorf("the slowest was %v and %d events behind, want 1 to 3 s and 32 or 33", f.Lag, f.Behind)
		}
		t.Attr("figure",
			fmt.Sprintf("%d frames posted on 2 connections, %d posts throttled and %d tried again; the slowest was "+
				"%v and %d events behind", f.Posted,
				f.Throttled, f.Retried, f.Lag.Round(time.Millisecond), f.Behind))
	})
}

// One that is throttled for good is cut after 3 s, is not posted to any more, and comes back with its next hello.
func TestEmitter_ConnectionStaysThrottled(t *testing.T) {
	t.Attr("row", "C4: a connection that stays throttled is closed")
	synctest.Test(t, func(t *testing.T) {
		edge := lasthoptest.New(conn("slow"))
		edge.Fails["slow"] = fmt.Errorf("post: %w", chat.ErrSlow)
		r := newRig(t, &fakeLog{}, edge)
		r.emit(t, opening()...)
		time.Sleep(4 * time.Second)
		posts := edge.Count()
		r.words(t, 3)
		time.Sleep(4 * time.Second)
		if f := r.Stats(); posts != 6 || edge.Count() != posts || f.Cut != 1 || f.Throttled != 6 || f.Retried != 5 ||
			len(r.reported) != 1 {
			t.Errorf("%d posts and then %d; counted %+v, reported %q", posts, edge.Count(), f, r.reported)
		}
		again := conn("slow")
		again.N = 2
		edge.Set(func() { edge.Rows["slow"] = again; delete(edge.Fails, "slow") })
		time.Sleep(2 * time.Second)
		r.end(t)
		first := edge.Got["slow"][0].(*wire.Events)
		if got := edge.Events(t, "slow", first.Seq-1); first.Seq < 9 ||
			types(got[len(got)-2:]) != "STEP_FINISHED RUN_FINISHED" {
			t.Errorf("after its hello it got %s from %d", types(got), first.Seq)
		}
		t.Attr("figure", fmt.Sprintf("%d posts tried, then %d cut", posts, r.Stats().Cut))
	})
}

// A half-open socket takes a post and never answers. It delays no other connection, and the end of the run by the time
// of one post at most.
func TestEmitter_HalfOpenConnection(t *testing.T) {
	t.Attr("row", "C4: a half-open connection delays no other")
	synctest.Test(t, func(t *testing.T) {
		edge := lasthoptest.New(conn("hangs"), conn("fast"))
		edge.Takes["hangs"] = time.Hour
		r := newRig(t, &fakeLog{}, edge)
		r.emit(t, opening()...)
		if took := r.words(t, 10); took > 0 {
			t.Errorf("the run was held up for %v", took)
		}
		start := time.Now()
		r.end(t)
		ended := time.Since(start)
		if took := ended; took > 5*time.Second {
			t.Errorf("the run's end took %v", took)
		}
		if got := edge.Events(t, "fast", 0); said(got) != strings.Repeat("word ", 10) ||
			types(got[len(got)-1:]) != "RUN_FINISHED" {
			t.Errorf("the other connection got %q", said(got))
		}
		if f := r.Stats(); f.Cut != 1 || f.Retried != 0 {
			t.Errorf("counted %+v", f)
		}
		t.Attr("figure", fmt.Sprintf("a post of an hour: the run ended in %v", ended))
	})
}

// An emitter that is closed waits for no post, and repeats none.
func TestClose_PostInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := lasthoptest.New(conn("slow"), conn("hangs"))
		edge.Fails["slow"] = fmt.Errorf("post: %w", chat.ErrSlow)
		edge.Takes["hangs"] = time.Hour
		r := newRig(t, &fakeLog{}, edge)
		r.emit(t, opening()...)
		time.Sleep(250 * time.Millisecond)
		posts, start := edge.Count(), time.Now()
		r.close(t)
		took := time.Since(start)
		time.Sleep(10 * time.Second)
		if posts < 2 || took > 0 || edge.Count() != posts {
			t.Errorf("it took %v; %d posts before and %d in all", took, posts, edge.Count())
		}
	})
}

// Nothing is posted after a token has expired: no new event, no queued event, no later part of a long frame, and no
// retry.
func TestEmitter_ExpiredToken(t *testing.T) {
	t.Attr("row", "A6: nothing is posted after a token has expired")
	long := strings.Repeat("x", 200<<10)
	for name, slow := range map[string]bool{"in the middle of a long frame": false, "while it is throttled": true} {
		synctest.Test(t, func(t *testing.T) {
			expires := conn("a")
			expires.TokenExpires = time.Now().Add(2300 * time.Millisecond) // between two lists
			edge := lasthoptest.New(expires)
			edge.Takes["a"] = 300 * time.Millisecond
			if slow {
				edge.Fails["a"] = chat.ErrSlow
			}
			r := newRig(t, &fakeLog{}, edge)
			r.emit(t, opening()...)
			r.emit(t, agui.Event{Type: agui.ToolCallResult, MessageID: "x", ToolCallID: "c", Content: &long})
			time.Sleep(2500 * time.Millisecond)
			posts := edge.Count()
			edge.Set(func() { delete(edge.Fails, "a") })
			r.emit(t, agui.Event{Type: agui.StepStarted, StepName: "s"})
			r.Broadcast(&wire.Thread{ThreadInfo: wire.ThreadInfo{ThreadID: thread, Status: "running"}})
			time.Sleep(3 * time.Second)
			r.end(t)
			if posts < 2 || posts > 8 || edge.Count() != posts {
				t.Errorf("%s: %d posts by the time it expired, and %d in all", name, posts, edge.Count())
			}
			t.Attr("figure", fmt.Sprintf("%s: %d posts before the token ended, %d after", name, posts,
				edge.Count()-posts))
		})
	}
}
