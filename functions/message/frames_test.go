package main

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/wire"
)

// frameRig is a rig whose frames are limited: a burst of 5 and 2 per second.
func frameRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.frames = newFrameLimits(chat.Limits{FrameBurst: 5, FrameRate: 2})
	return r
}

// A frame over the limit ends before any request, and Lambda reports it as failed: API Gateway then has the client
// repeat what has no answer. Another user is not affected.
func TestFrames_OverLimit(t *testing.T) {
	r := frameRig(t)
	w, other := r.window("alice", "c1"), r.window("bob", "c2")
	for range 5 {
		w.send(`{"type":"ping"}`)
	}
	if err := w.try(`{"type":"ping"}`); !errors.Is(err, chat.ErrRateLimited) {
		t.Fatalf("the sixth frame gives %v, want it to fail", err)
	}
	if got := w.edge.Frames(w.id); len(got) > 0 {
		t.Errorf("a shed frame is answered with %v", got)
	}
	if got := other.send(`{"type":"ping"}`); len(got) != 1 {
		t.Errorf("another user's ping is answered with %v", got)
	}
	r.at = r.at.Add(500 * time.Millisecond)
	if got := w.send(`{"type":"ping"}`); len(got) != 1 {
		t.Errorf("after the pause a ping is answered with %v", got)
	}
}

// A flood closes the socket that it comes on and refuses the user's next connections for a minute.
func TestFrames_Flood(t *testing.T) {
	r := frameRig(t)
	w, second := r.window("alice", "c1"), r.window("alice", "c2")
	for range 5 {
		w.send(`{"type":"ping"}`)
	}
	for n := range shedMost - 1 {
		if err := w.try(`{"type":"ping"}`); !errors.Is(err, chat.ErrRateLimited) {
			t.Fatalf("shed frame %d gives %v", n, err)
		}
	}
	for n, w := range []window{w, second} {
		if n > 0 { // the first frame of the flood ended it too
			if got := r.edge.Frames(w.id); len(got) != 1 || got[0].(*wire.Error).Code != wire.CodeRateLimited {
				t.Errorf("the other window was posted %v", got)
			}
		}
		w.answers(`{"type":"ping","requestId":"q"}`,
			`{"type":"error","code":"rate_limited","message":"Too many requests. Wait a moment and try `+
				`again.","retryAfterMs":60000}`)
		if !slices.Contains(r.edge.Closed(), w.id) {
			t.Errorf("the socket %s stays open", w.id)
		}
	}
	var limited *chat.RateLimitedError
	_, err := w.store().Connect(t.Context(), chat.Connection{ID: "c3", Thread: "t", Connected: r.at, SignedIn: r.at})
	if !errors.As(err, &limited) || limited.After != time.Minute {
		t.Errorf("a connection in the flood gives %v, want it refused for a minute", err)
	}
	r.at = r.at.Add(time.Minute)
	if _, err := w.store().Connect(t.Context(), chat.Connection{ID: "c3", Thread: "t", Connected: r.at,
		SignedIn: r.at}); err != nil {
		t.Errorf("a connection after the flood gives %v", err)
	}
}

// Shed frames that are far apart do not make a flood.
func TestFrames_SlowExcess(t *testing.T) {
	r := frameRig(t)
	w := r.window("alice", "c1")
	over := 0
	for range 20 * shedMost {
		r.at = r.at.Add(350 * time.Millisecond) // almost three a second, where two are allowed
		if err := w.try(`{"type":"ping"}`); errors.Is(err, chat.ErrRateLimited) {
			over++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if over < 5*shedMost || len(r.edge.Closed()) > 0 {
		t.Errorf("%d frames were shed, and %v closed", over, r.edge.Closed())
	}
}

// A process knows the rates of a thousand users at most. A user who floods is not forgotten for others who are idle.
func TestFrames_ManyUsers(t *testing.T) {
	f, now := newFrameLimits(chat.Limits{FrameBurst: 1, FrameRate: 1}), time.Now()
	flooder := chattest.User(t, "mallory")
	for range 2 + shedMost {
		f.take(flooder, now)
	}
	for n := range 2 * maxFrameBuckets {
		now = now.Add(time.Millisecond)
		if v, _ := f.take(chattest.User(t, fmt.Sprint("user-", n)), now); v != served {
			t.Fatalf("the first frame of user %d is not served", n)
		}
		if len(f.buckets) > maxFrameBuckets {
			t.Fatalf("the process knows %d users", len(f.buckets))
		}
	}
	f.take(flooder, now)
	if v, _ := f.take(flooder, now); v != flooding {
		t.Error("the flood was forgotten")
	}
}
