package storetest

import (
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/store"
)

// attempts: each claim by a turn counts as an attempt, however it ends, and no attempt extends the deadline of the run.
func attempts(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	w.Admit(alice, "r1", "t1")
	if r := must[store.Run](t)(alice.Run(ctx, "r1")); r.Attempts != 0 || !r.Started.IsZero() || r.Deadline.IsZero() {
		t.Errorf("the run before its claim: %+v", r)
	}
	limits := chat.DefaultLimits()
	w.Clock.Advance(time.Second)
	first := w.Claim(alice, "r1").Run()
	if d := first.Deadline.Sub(first.Started); d != limits.RunTime+time.Minute || !first.Started.After(first.Created) {
		t.Errorf("claimed %+v, with a deadline %v ahead", first, d)
	}
	for n := 2; n <= limits.Attempts; n++ {
		w.Clock.Advance(21 * time.Second)
		r := w.Claim(alice, "r1").Run()
		if r.Attempts != n || r.Fence != int64(n) || !r.Started.Equal(first.Started) ||
			!r.Deadline.Equal(first.Deadline) {
			t.Errorf("claim %d: %+v after %+v", n, r, first)
		}
	}
	w.Clock.Advance(21 * time.Second)
	_, err := alice.Claim(ctx, "r1")
	wantErr(t, "a claim after the last attempt", err, chat.ErrNotClaimed)
	h := must[*store.Lease](t)(alice.ClaimExpired(ctx, "r1"))
	if r := h.Run(); r.Attempts != limits.Attempts || r.Fence != int64(limits.Attempts)+1 {
		t.Errorf("claimed by sweep: %+v", r)
	}
	stats := chat.RunStats{ModelCalls: 1, ToolCalls: 2, Events: 3, OutputBytes: 4 << 32}
	h.SetStats(stats)
	w.End(h, Started(h), Failed())
	r := must[store.Run](t)(alice.Run(ctx, "r1"))
	if r.Stats != stats || r.Attempts != limits.Attempts || !r.Started.Equal(first.Started) {
		t.Errorf("the ended run: %+v", r)
	}
}

// deadline: a lease cannot be renewed beyond the deadline of its run, and after the deadline no worker can claim the
// run again.
func deadline(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Append(h, Started(h))
	for h.Run().Deadline.Sub(w.Clock.Now()) > 10*time.Second {
		w.Clock.Advance(6 * time.Second)
		if err := h.Renew(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if !h.Expires().Equal(h.Run().Deadline) {
		t.Errorf("the lease expires at %v, the deadline is %v", h.Expires(), h.Run().Deadline)
	}
	_, err := alice.ClaimExpired(ctx, "r1")
	wantErr(t, "a run before its deadline", err, chat.ErrNotClaimed)
	w.Clock.Advance(10 * time.Second)
	_, err = alice.Claim(ctx, "r1")
	wantErr(t, "another attempt after the deadline", err, chat.ErrNotClaimed)
	wantErr(t, "renew a lease after the deadline", h.Renew(ctx), chat.ErrLeaseLost)
	last := must[*store.Lease](t)(alice.ClaimExpired(ctx, "r1"))
	w.End(last, Failed())
	fenced(t, h)
}
