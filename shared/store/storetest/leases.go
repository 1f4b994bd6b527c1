package storetest

import (
	"reflect"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/runqueue"
	"carrel/shared/store"
)

// fenced checks that every call with a lost lease fails.
func fenced(t *testing.T, h *store.Lease) {
	t.Helper()
	_, err := h.Append(t.Context(), Said("late", "late"))
	wantErr(t, "append", err, chat.ErrLeaseLost)
	wantErr(t, "renew", h.Renew(t.Context()), chat.ErrLeaseLost)
	_, err = h.CancelRequested(t.Context())
	wantErr(t, "cancel requested", err, chat.ErrLeaseLost)
	_, err = h.End(t.Context(), []agui.Event{Failed()})
	wantErr(t, "end", err, chat.ErrLeaseLost)
}

// statusAfterEnd: after PrepareEnd, End returns the status that the thread has after the write. It returns none if the
// thread has changed since the claim, because then the run queue may have changed after PrepareEnd.
func statusAfterEnd(t *testing.T, w *World) {
	for _, c := range []struct {
		name      string
		queued    bool // the next run is queued before the claim
		other     bool // on another thread
		late      bool // after PrepareEnd instead
		cancelled bool // and is cancelled after PrepareEnd
		want      chat.ThreadStatus
	}{
		{name: "idle", want: chat.ThreadIdle},
		{name: "queued", queued: true, want: chat.ThreadQueued},
		{name: "another-thread", queued: true, other: true, want: chat.ThreadIdle},
		{name: "queued-late", queued: true, late: true, want: ""},
		{name: "cancelled-late", queued: true, cancelled: true, want: ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, user := t.Context(), w.As(c.name)
			thread := map[bool]chat.ThreadID{false: "t1", true: "t2"}[c.other]
			w.Admit(user, "r1", "t1")
			if c.queued && !c.late {
				w.Admit(user, "r2", thread)
			}
			h := w.Claim(user, "r1")
			if err := h.PrepareEnd(ctx); err != nil {
				t.Fatal(err)
			}
			w.Clock.Advance(time.Second)
			if c.late {
				w.Admit(user, "r2", thread)
			}
			if c.cancelled {
				must[store.Cancelled](t)(user.Cancel(ctx, "r2"))
			}
			w.Clock.Advance(time.Second)
			ended := must[store.Ended](t)(h.End(ctx, []agui.Event{Started(h), Finished(h)}))
			after := must[runqueue.Queue](t)(user.RunQueue(ctx)).Status("t1")
			if ended.Status != c.want || c.want != "" && after != c.want {
				t.Errorf("End returned the status %q, and the thread is %s; want %q", ended.Status, after, c.want)
			}
		})
	}
}

// lostLease: after another worker has claimed the run, every method of the old lease fails, whichever is called first.
func lostLease(t *testing.T, w *World) {
	alice := w.As("alice")
	for _, first := range []struct {
		name string
		do   func(h *store.Lease) error
	}{
		{"append", func(h *store.Lease) error { _, err := h.Append(t.Context(), Said("late", "late")); return err }},
		{"renew", func(h *store.Lease) error { return h.Renew(t.Context()) }},
		{"cancel", func(h *store.Lease) error { _, err := h.CancelRequested(t.Context()); return err }},
		{"end", func(h *store.Lease) error { _, err := h.End(t.Context(), []agui.Event{Failed()}); return err }},
	} {
		t.Run(first.name, func(t *testing.T) {
			run, thread := chat.RunID("r-"+first.name), chat.ThreadID("t-"+first.name)
			old := w.Begin(alice, run, thread)
			w.Append(old, Started(old))
			w.Clock.Advance(time.Minute)
			h := w.Claim(alice, run)
			w.Append(h, Said("new", "new")...)
			wantErr(t, "the first call", first.do(old), chat.ErrLeaseLost)
			fenced(t, old)
			if thread := w.End(h, Finished(h)); thread.Head != 5 {
				t.Errorf("the thread ends at %d", thread.Head)
			}
			fenced(t, h)
		})
	}
}

// staleEndBeforeTheFirstRecord: the fencing token of the run rejects the end of an old lease, even if the new worker
// has not yet stored a record at that place in the log.
func staleEndBeforeTheFirstRecord(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	old := w.Begin(alice, "r1", "t1")
	w.Append(old, Started(old))
	w.Clock.Advance(time.Minute)
	h := w.Claim(alice, "r1")
	_, err := old.End(ctx, []agui.Event{Finished(old)})
	wantErr(t, "the old worker's end", err, chat.ErrLeaseLost)
	if r := must[store.Run](t)(alice.Run(ctx, "r1")); r.Status != chat.RunRunning {
		t.Errorf("the run is %s", r.Status)
	}
	w.End(h, Failed())
}

// staleEnd: a worker that was frozen before its end cannot end the run, and the transcript of the new worker stays.
func staleEnd(t *testing.T, w *World) {
	alice := w.As("alice")
	old := w.Begin(alice, "r1", "t1")
	w.Append(old, Started(old))
	w.Clock.Advance(time.Minute)
	h := w.Claim(alice, "r1")
	want := w.End(h, append(Said("new", "new"), Finished(h))...)
	_, err := old.End(t.Context(), append(Said("old", "old"), Finished(old)))
	wantErr(t, "the old worker's end", err, chat.ErrLeaseLost)
	thread := must[store.Thread](t)(alice.Thread(t.Context(), "t1"))
	ts, _, err := alice.Transcripts(t.Context(), thread, 0, 9)
	if err != nil || !reflect.DeepEqual(thread, want) || len(ts) != 1 || ts[0].Messages[1].Content != "new" {
		t.Errorf("thread %+v, transcripts %+v, %v", thread, ts, err)
	}
}

// lateAppend: the previous worker appends between the claim of the new worker and the first record of the new worker.
func lateAppend(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	old := w.Begin(alice, "r1", "t1")
	w.Clock.Advance(time.Minute)
	h := w.Claim(alice, "r1")
	w.Append(old, Started(old))
	_, err := h.Append(ctx, []agui.Event{Started(h)})
	wantErr(t, "the first record", err, store.ErrStaleAttempt)
	if e := h.PreviousEvents(); len(e) != 1 || e[0].Type != agui.RunStarted {
		t.Errorf("previous events: %+v", e)
	}
	if seq := w.Append(h, agui.Event{Type: agui.Custom, Name: "carrel.attempt"}); seq != 2 {
		t.Errorf("the first record has number %d, want 2", seq)
	}
	fenced(t, old)
}

// endAfterRejectedEnd: the events of an end that was rejected are not in the transcript.
func endAfterRejectedEnd(t *testing.T, w *World) {
	alice := w.As("alice")
	old := w.Begin(alice, "r1", "t1")
	w.Clock.Advance(time.Minute)
	h := w.Claim(alice, "r1")
	w.Append(old, Started(old))
	_, err := h.End(t.Context(), append([]agui.Event{Started(h)}, append(Said("a", "one"), Failed())...))
	wantErr(t, "the first end", err, store.ErrStaleAttempt)
	thread := w.End(h, append(Said("b", "two"), Failed())...)
	ts, _, err := alice.Transcripts(t.Context(), thread, 0, 9)
	if err != nil || len(ts) != 1 || len(ts[0].Messages) != 2 || ts[0].Messages[1].Content != "two" {
		t.Errorf("transcripts %+v, %v", ts, err)
	}
}

// endedBySweep: after sweep has ended a run, every method of the lease of its worker fails.
func endedBySweep(t *testing.T, w *World) {
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

// secondAttempt: a second attempt reads the events of the first, and the transcript contains both attempts.
func secondAttempt(t *testing.T, w *World) {
	alice := w.As("alice")
	w.Complete(alice, "r0", "t1", "before")
	old := w.Begin(alice, "r1", "t1")
	events := append([]agui.Event{Started(old)}, Said("a", "half")...)
	w.Append(old, events[:1]...)
	w.Append(old, events[1:]...)
	w.Clock.Advance(time.Minute)
	h := w.Claim(alice, "r1")
	if !reflect.DeepEqual(h.PreviousEvents(), events) {
		t.Errorf("previous events: %+v", h.PreviousEvents())
	}
	thread := w.End(h, Failed())
	ts, _, err := alice.Transcripts(t.Context(), thread, 0, 1)
	if err != nil || len(ts) != 1 || len(ts[0].Messages) != 2 || ts[0].First != 6 || ts[0].Last != 10 {
		t.Errorf("the transcript of both attempts: %+v, %v", ts, err)
	}
}

// transcriptHeaders: the header of a transcript contains the start time, the agent, the model and the usage from the
// events of the run, also if a second attempt ended the run. It contains nothing of a rejected end of the first
// attempt.
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
		t.Errorf("the header after two attempts: %+v, want %+v", ts[0].Header, want)
	}
	usage := []agui.Usage{{Model: "none", InputTokens: 3, OutputTokens: 5}}
	got := ts[1].Header
	if want := (agui.Header{At: got.At, Agent: "echo", Model: "none", Usage: usage}); got.At == 0 ||
		!reflect.DeepEqual(got, want) {
		t.Errorf("the header after one attempt: %+v, want %+v", got, want)
	}
	bob := w.As("bob")
	w.Complete(bob, "r1", "t1", "bob's")
	if ts, _, err := bob.Transcripts(t.Context(), thread, 0, 9); err != nil || len(ts) != 0 {
		t.Errorf("bob reads with alice's epoch: %+v, %v", ts, err)
	}
}
