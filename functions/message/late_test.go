package main

import (
	"fmt"
	"testing"
	"time"
)

// Whenever its token ends, also while it is answered, a frame has one answer: its own, or that the token is past.
func TestATokenEndsWhileItsFrameIsAnswered(t *testing.T) {
	r := newRig(t)
	looks := 0
	r.handler.now = func() time.Time {
		looks++
		return r.at.Add(time.Duration(looks) * time.Second) // which tokens end at
	}
	answers := map[string]int{}
	for life := range 20 {
		w := r.window("alice", fmt.Sprintf("w%d=", life))
		w.life, looks = time.Duration(life)*time.Second, 0
		got := w.send(`{"type":"ping"}`)
		if len(got) != 1 {
			t.Errorf("a token that ends after %d looks at the clock: %d answers", life, len(got))
			continue
		}
		answers[fmt.Sprintf("%T", got[0])]++
	}
	if answers["*wire.Pong"] == 0 || answers["*wire.Error"] < 3 {
		t.Errorf("answers %v: that proves nothing", answers)
	}
}
