package storetest

import (
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/store"
)

// handOver: a worker may hand its run over. The next claim counts no attempt, is allowed after the last attempt, and
// knows that nothing was left open. The worker before can write nothing more. A claim after a death counts again.
func handOver(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Append(h, Started(h))
	for range chat.DefaultLimits().Attempts - 1 { // workers die
		w.Clock.Advance(21 * time.Second)
		h = w.Claim(alice, "r1")
	}
	attempts := h.Run().Attempts
	if h.Continues() {
		t.Error("a claim after a death continues a hand-over")
	}
	for n := 1; h.MayHandOver(); n++ {
		if err := h.HandOver(ctx); err != nil {
			t.Fatal(err)
		}
		r := must[store.Run](t)(alice.Run(ctx, "r1"))
		if due := w.ahead(alice, "r1"); !r.HandedOver || r.HandOvers != n || r.Attempts != attempts ||
			due > 10*time.Second {
			t.Errorf("hand-over %d: %+v, due in %v", n, r, due)
		}
		_, err := h.Append(ctx, Said("late", "late"))
		wantErr(t, "an append after the hand-over", err, chat.ErrLeaseLost)
		wantErr(t, "a renewal after the hand-over", h.Renew(ctx), chat.ErrLeaseLost)
		_, err = w.As("bob").Claim(ctx, "r1")
		wantErr(t, "a claim of another user", err, chat.ErrNotFound)
		next := w.Claim(alice, "r1")
		_, err = alice.Claim(ctx, "r1")
		wantErr(t, "a second claim", err, chat.ErrNotClaimed)
		r = next.Run()
		if due := w.ahead(alice, "r1"); !next.Continues() || r.Attempts != attempts || r.Fence != h.Run().Fence+1 ||
			r.HandedOver || due < 50*time.Second {
			t.Errorf("claimed after hand-over %d: %+v, due in %v", n, r, due)
		}
		wantErr(t, "a hand-over by the worker before", h.HandOver(ctx), chat.ErrLeaseLost)
		h = next
		w.Append(h, Said(string(rune('a'+n)), "more")...)
	}
	if n := h.Run().HandOvers; n != 10 {
		t.Errorf("a run can be handed over %d times", n)
	}
	wantErr(t, "a hand-over beyond the limit", h.HandOver(ctx), chat.ErrLeaseLost)
	w.Clock.Advance(21 * time.Second)
	_, err := alice.Claim(ctx, "r1")
	wantErr(t, "a claim after the last attempt", err, chat.ErrNotClaimed)
	dead := must[*store.Lease](t)(alice.ClaimExpired(ctx, "r1"))
	w.End(dead, Failed())
}

// handOverAndDeath: sweep may examine a run between its hand-over and the next claim, which counts no attempt all the
// same. A claim after the death of the next worker counts one.
func handOverAndDeath(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	if err := h.HandOver(ctx); err != nil {
		t.Fatal(err)
	}
	if err := alice.LookAgain(ctx, must[store.Run](t)(alice.Run(ctx, "r1"))); err != nil {
		t.Fatal(err)
	}
	if next := w.Claim(alice, "r1"); !next.Continues() || next.Run().Attempts != 1 {
		t.Errorf("claimed after an examination: %+v", next.Run())
	}
	w.Clock.Advance(21 * time.Second)
	if again := w.Claim(alice, "r1"); again.Continues() || again.Run().Attempts != 2 {
		t.Errorf("claimed after the death of the next worker: %+v", again.Run())
	}
}
