package storetest

import (
	"reflect"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
)

// fenced checks that a holder whose claim is past can do nothing more.
func fenced(t *testing.T, h *store.Lease) {
	t.Helper()
	_, err := h.Append(t.Context(), Said("late", "late"))
	wantErr(t, "append", err, chat.ErrLeaseLost)
	wantErr(t, "renew", h.Renew(t.Context()), chat.ErrLeaseLost)
	_, err = h.CancelRequested(t.Context())
	wantErr(t, "cancel requested", err, chat.ErrLeaseLost)
	_, _, err = h.End(t.Context(), []agui.Event{Failed()})
	wantErr(t, "end", err, chat.ErrLeaseLost)
}

func staleHolder(t *testing.T, w *World) {
	alice := w.As("alice")
	for _, first := range []struct {
		name string
		do   func(h *store.Lease) error
	}{
		{"append", func(h *store.Lease) error { _, err := h.Append(t.Context(), Said("late", "late")); return err }},
		{"renew", func(h *store.Lease) error { return h.Renew(t.Context()) }},
		{"cancel", func(h *store.Lease) error { _, err := h.CancelRequested(t.Context()); return err }},
		{"end", func(h *store.Lease) error { _, _, err := h.End(t.Context(), []agui.Event{Failed()}); return err }},
	} {
		t.Run(first.name, func(t *testing.T) {
			run, thread := chat.RunID("r-"+first.name), chat.ThreadID("t-"+first.name)
			old := w.Begin(alice, run, thread)
			w.Append(old, Started(old))
			w.Clock.Advance(time.Minute)
			h := w.Claim(alice, run)
			w.Append(h, Said("new", "new")...)
			wantErr(t, "first of all", first.do(old), chat.ErrLeaseLost)
			fenced(t, old)
			if thread := w.End(h, Finished(h)); thread.Head != 5 {
				t.Errorf("the thread ends at %d", thread.Head)
			}
			fenced(t, h)
		})
	}
}

// staleEndBeforeTheFirstRecord: the run's fence refuses an end whose place in the log is still free.
func staleEndBeforeTheFirstRecord(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	old := w.Begin(alice, "r1", "t1")
	w.Append(old, Started(old))
	w.Clock.Advance(time.Minute)
	h := w.Claim(alice, "r1")
	_, _, err := old.End(ctx, []agui.Event{Finished(old)})
	wantErr(t, "the old worker's end", err, chat.ErrLeaseLost)
	if r := must[store.Run](t)(alice.Run(ctx, "r1")); r.Status != chat.RunRunning {
		t.Errorf("the run is %s", r.Status)
	}
	w.End(h, Failed())
}

// staleEnd: a worker that was frozen before its end ends nothing, and the transcript stays the one that was ended with.
func staleEnd(t *testing.T, w *World) {
	alice := w.As("alice")
	old := w.Begin(alice, "r1", "t1")
	w.Append(old, Started(old))
	w.Clock.Advance(time.Minute)
	h := w.Claim(alice, "r1")
	want := w.End(h, append(Said("new", "new"), Finished(h))...)
	_, _, err := old.End(t.Context(), append(Said("old", "old"), Finished(old)))
	wantErr(t, "the old worker's end", err, chat.ErrLeaseLost)
	thread := must[store.Thread](t)(alice.Thread(t.Context(), "t1"))
	ts, _, err := alice.Transcripts(t.Context(), thread, 0, 9)
	if err != nil || !reflect.DeepEqual(thread, want) || len(ts) != 1 || ts[0].Messages[1].Content != "new" {
		t.Errorf("thread %+v, transcripts %+v, %v", thread, ts, err)
	}
}

// oldOwnerWakesUp: the old owner's append lands between the new one's claim and its first record.
func oldOwnerWakesUp(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	old := w.Begin(alice, "r1", "t1")
	w.Clock.Advance(time.Minute)
	h := w.Claim(alice, "r1")
	w.Append(old, Started(old))
	_, err := h.Append(ctx, []agui.Event{Started(h)})
	wantErr(t, "the first record", err, store.ErrStaleAttempt)
	if e := h.PreviousEvents(); len(e) != 1 || e[0].Type != agui.RunStarted {
		t.Errorf("earlier: %+v", e)
	}
	if seq := w.Append(h, agui.Event{Type: agui.Custom, Name: "carrel.attempt"}); seq != 2 {
		t.Errorf("the first record stands at %d", seq)
	}
	fenced(t, old)
}

// endAfterARefusal: what an end said that was not written is not in the transcript.
func endAfterARefusal(t *testing.T, w *World) {
	alice := w.As("alice")
	old := w.Begin(alice, "r1", "t1")
	w.Clock.Advance(time.Minute)
	h := w.Claim(alice, "r1")
	w.Append(old, Started(old))
	_, _, err := h.End(t.Context(), append([]agui.Event{Started(h)}, append(Said("a", "one"), Failed())...))
	wantErr(t, "the first end", err, store.ErrStaleAttempt)
	thread := w.End(h, append(Said("b", "two"), Failed())...)
	ts, _, err := alice.Transcripts(t.Context(), thread, 0, 9)
	if err != nil || len(ts) != 1 || len(ts[0].Messages) != 2 || ts[0].Messages[1].Content != "two" {
		t.Errorf("transcripts %+v, %v", ts, err)
	}
}

func oldOwnerIsTold(t *testing.T, w *World) {
	alice := w.As("alice")
	old := w.Begin(alice, "r1", "t1")
	w.Append(old, Started(old))
	w.Clock.Advance(time.Minute)
	h := must[*store.Lease](t)(alice.ClaimExpired(t.Context(), "r1"))
	w.End(h, Failed())
	next := w.Begin(alice, "r2", "t1")
	w.Append(next, Started(next))
	fenced(t, old)
}

func secondAttempt(t *testing.T, w *World) {
	alice := w.As("alice")
	w.Complete(alice, "r0", "t1", "before")
	old := w.Begin(alice, "r1", "t1")
	said := append([]agui.Event{Started(old)}, Said("a", "half")...)
	w.Append(old, said[:1]...)
	w.Append(old, said[1:]...)
	w.Clock.Advance(time.Minute)
	h := w.Claim(alice, "r1")
	if !reflect.DeepEqual(h.PreviousEvents(), said) {
		t.Errorf("earlier: %+v", h.PreviousEvents())
	}
	thread := w.End(h, Failed())
	ts, _, err := alice.Transcripts(t.Context(), thread, 0, 1)
	if err != nil || len(ts) != 1 || len(ts[0].Messages) != 2 || ts[0].First != 6 || ts[0].Last != 10 {
		t.Errorf("the transcript of both attempts: %+v, %v", ts, err)
	}
}

// transcriptHeaders: a transcript says what its run's events said: when it began, who answered and what that used. It
// says so too if a second attempt ended the run, and nothing of a first attempt's end that was refused.
func transcriptHeaders(t *testing.T, w *World) {
	alice := w.As("alice")
	w.Complete(alice, "r1", "t1", "one")
	first := w.Begin(alice, "r2", "t1")
	started := Started(first)
	w.Append(first, started)
	w.Clock.Advance(time.Minute)
	thread := w.End(w.Claim(alice, "r2"), Failed())
	ts, _, err := alice.Transcripts(t.Context(), thread, 0, 9)
	if err != nil || len(ts) != 2 {
		t.Fatalf("transcripts %+v, %v", ts, err)
	}
	if want := (agui.Header{At: started.Timestamp, Agent: "echo"}); !reflect.DeepEqual(ts[0].Header, want) {
		t.Errorf("of two attempts: %+v, want %+v", ts[0].Header, want)
	}
	usage := []agui.Usage{{Model: "none", InputTokens: 3, OutputTokens: 5}}
	got := ts[1].Header
	if want := (agui.Header{At: got.At, Agent: "echo", Model: "none", Usage: usage}); got.At == 0 ||
		!reflect.DeepEqual(got, want) {
		t.Errorf("of one: %+v, want %+v", got, want)
	}
	bob := w.As("bob")
	w.Complete(bob, "r1", "t1", "bob's")
	if ts, _, err := bob.Transcripts(t.Context(), thread, 0, 9); err != nil || len(ts) != 0 {
		t.Errorf("bob reads with alice's epoch: %+v, %v", ts, err)
	}
}
