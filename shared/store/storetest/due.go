package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/store"
)

// ahead returns the time until a run is due, rounded to seconds.
func (w *World) ahead(s *store.Store, run chat.RunID) time.Duration {
	w.T.Helper()
	return must[store.Run](w.T)(s.Run(w.T.Context(), run)).Due.Sub(w.Clock.Now()).Round(time.Second)
}

// dueTimes checks each row of the table of due times in docs/data.md.
func dueTimes(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	due := func(state string, run chat.RunID, want time.Duration) {
		t.Helper()
		if got := w.ahead(alice, run); (got - want).Abs() > time.Second { // the requests of a slow engine take time
			t.Errorf("%s: due in %s, want %s", state, got, want)
		}
	}
	look := func(run chat.RunID) {
		t.Helper()
		if err := alice.LookAgain(ctx, must[store.Run](t)(alice.Run(ctx, run))); err != nil {
			t.Error(err)
		}
	}
	w.Admit(alice, "r1", "t1")
	w.Admit(alice, "r2", "t1")
	due("an admitted run", "r1", time.Minute)
	due("a queued run", "r2", time.Minute)
	w.Clock.Advance(time.Minute)
	look("r1")
	look("r2")
	due("an admitted run after a look", "r1", 140*time.Second)
	due("a queued run after a look", "r2", time.Minute)
	h := w.Claim(alice, "r1")
	due("a claimed run", "r1", time.Minute)
	for n := range 20 {
		w.Clock.Advance(6 * time.Second)
		if err := h.Renew(ctx); err != nil {
			t.Fatal(err)
		}
		if got := w.ahead(alice, "r1"); got < 20*time.Second || got > time.Minute {
			t.Fatalf("after heartbeat %d the run is due in %s", n+1, got)
		}
	}
	w.Clock.Advance(3 * time.Minute)
	look("r2")
	due("a run that has been queued for five minutes", "r2", 5*time.Minute)
	w.Clock.Advance(53 * time.Minute)
	look("r2")
	due("a queued run near its deadline", "r2", time.Minute)
	w.End(must[*store.Lease](t)(alice.ClaimExpired(ctx, "r1")), Started(h), Failed())
	if started := must[[]store.Run](t)(alice.StartQueued(ctx)); len(started) != 1 {
		t.Fatalf("started %+v", started)
	}
	due("a run that was started from the queue", "r2", time.Minute)
	if got := must[store.Run](t)(alice.Run(ctx, "r2")); got.Unclaimed(w.Clock.Now()).Round(time.Second) != 0 {
		t.Errorf("Unclaimed returns %s, want 0", got.Unclaimed(w.Clock.Now()))
	}
}

// due: sweep reads only the due entries, oldest first. An unreadable entry does not hide the others.
func due(t *testing.T, w *World) {
	ctx := t.Context()
	var want []string
	for _, user := range []string{"alice", "bob", "carol"} {
		w.Admit(w.As(user), "r1", "t1")
		want = append(want, fmt.Sprint(chattest.User(t, user), " r1"))
		w.Clock.Advance(10 * time.Second)
	}
	if none, err := w.Table.Due(ctx); err != nil || len(none) > 0 {
		t.Errorf("no entry is due yet, got %+v, %v", none, err)
	}
	w.Clock.Advance(35 * time.Second) // 65, 55 and 45 s after their admissions
	first := must[[]store.LiveEntry](t)(w.Table.Due(ctx))
	if len(first) != 1 || first[0].User != chattest.User(t, "alice") {
		t.Errorf("due are %+v, want only the oldest entry", first)
	}
	w.Clock.Advance(time.Minute)
	w.Claim(w.As("bob"), "r1")
	want = slices.Delete(want, 1, 2)
	for _, item := range w.items() {
		// in the same shard as the entry of the run, and before it
		if stringOf(item["pk"]) == "U#alice" && stringOf(item["sk"]) == "RUN#r1" {
			w.plant(map[string]string{"pk": "U#alice", "sk": "UNKNOWN KIND", "live": stringOf(item["live"])})
		}
	}
	w.change("U#alice", "UNKNOWN KIND", "SET #due = :t", map[string]string{"#due": "due"}, "1")
	all, err := w.Table.Due(ctx)
	var got []string
	for _, e := range all {
		got = append(got, fmt.Sprint(e.User, " ", e.Run))
	}
	if err == nil || !slices.Equal(got, want) {
		t.Errorf("due are %v, error %v; want %v and an error", got, err, want)
	}
}

// sameShard returns two users whose entries are in one shard of the live index.
func sameShard(t *testing.T, w *World) (first, second string) {
	t.Helper()
	shards := map[string]string{}
	for n := range 100 {
		name := fmt.Sprint("user", n)
		w.Admit(w.As(name), "r1", "t1")
		for _, item := range w.items() {
			if stringOf(item["pk"]) != "U#"+name || stringOf(item["sk"]) != "RUN#r1" {
				continue
			}
			shard := stringOf(item["live"])
			if other := shards[shard]; other != "" {
				return other, name
			}
			shards[shard] = name
		}
	}
	t.Fatal("no two of 100 users are in one shard")
	return "", ""
}

// liveOf: LiveOf finds all entries of the user with this hash, and no entry of another user.
func liveOf(t *testing.T, w *World) {
	ctx := t.Context()
	first, second := sameShard(t, w)
	w.Admit(w.As(first), "r2", "t1")
	w.Admit(w.As(first), "r3", "t3")
	w.Complete(w.As(first), "r4", "t4", "yes")
	w.DeleteThread(w.As(first), "t4")
	for user, want := range map[string][]string{first: {"r1", "r2", "r3", "t4"}, second: {"r1"}, "nobody": nil} {
		u := chattest.User(t, user)
		var got []string
		for _, e := range must[[]store.LiveEntry](t)(w.Table.LiveOf(ctx, chat.OwnerHash(u.Hash()))) {
			got = append(got, string(e.Run)+string(e.Erasure.Thread))
			if e.User != u {
				t.Errorf("LiveOf %s returned an entry of another user: %+v", u, e)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("LiveOf %s returned %v, want %v", u, got, want)
		}
	}
	if none := must[[]store.LiveEntry](t)(w.Table.LiveOf(ctx, "")); len(none) > 0 {
		t.Errorf("LiveOf the empty hash returned %+v", none)
	}
}

// release: Release ends the lease of a worker that has died, so that the run can be claimed at once. The failure record
// of another invocation changes nothing.
func release(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	_, err := alice.Release(ctx, "r1", "worker")
	wantErr(t, "an unknown run", err, chat.ErrNotFound)
	w.Admit(alice, "r1", "t1")
	_, err = alice.Release(ctx, "r1", "worker")
	wantErr(t, "an unclaimed run", err, chat.ErrNotClaimed)
	dead := w.Claim(alice, "r1")
	for _, other := range []string{"another", "worke", ""} {
		_, err = alice.Release(ctx, "r1", other)
		wantErr(t, fmt.Sprintf("by the failure record of %q", other), err, chat.ErrNotClaimed)
	}
	_, err = alice.Claim(ctx, "r1")
	wantErr(t, "a claim while the worker holds its lease", err, chat.ErrNotClaimed)
	r := must[store.Run](t)(alice.Release(ctx, "r1", "worker"))
	if r.Status != chat.RunRunning || r.Attempts != 1 || w.ahead(alice, "r1") != time.Minute {
		t.Errorf("the released run: %+v", r)
	}
	must[store.Run](t)(alice.Release(ctx, "r1", "worker")) // the failure record arrives twice
	w.Worker = "second"
	second := w.Claim(alice, "r1")
	wantErr(t, "a heartbeat of the first worker", dead.Renew(ctx), chat.ErrLeaseLost)
	_, err = alice.Release(ctx, "r1", "worker")
	wantErr(t, "by the failure record of the first worker after the second claim", err, chat.ErrNotClaimed)
	must[store.Run](t)(alice.Release(ctx, "r1", "second"))
	last := must[*store.Lease](t)(alice.ClaimExpired(ctx, "r1")) // sweep claims the run to end it
	_, err = alice.Release(ctx, "r1", "second")
	wantErr(t, "while sweep ends it", err, chat.ErrNotClaimed)
	wantErr(t, "a heartbeat of the second worker", second.Renew(ctx), chat.ErrLeaseLost)
	w.End(last, Started(last), Failed())
	h := w.Begin(alice, "r2", "t1") // its own worker ends this run
	w.End(h, Started(h), Finished(h))
	for run, worker := range map[chat.RunID]string{"r1": "second", "r2": w.Worker} {
		_, err = alice.Release(ctx, run, worker)
		wantErr(t, "a run that has ended", err, chat.ErrNotClaimed)
		if r := must[store.Run](t)(alice.Run(ctx, run)); !r.Due.IsZero() {
			t.Errorf("%s has ended and is due: %+v", run, r)
		}
	}
}

// claimUnclaimed: sweep may end an admitted run before its deadline, and no other run.
func claimUnclaimed(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	_, err := alice.ClaimUnclaimed(ctx, "r1")
	wantErr(t, "an unknown run", err, chat.ErrNotFound)
	w.Admit(alice, "r1", "t1")
	w.Admit(alice, "r2", "t1")
	_, err = alice.ClaimUnclaimed(ctx, "r2")
	wantErr(t, "a queued run", err, chat.ErrNotClaimed)
	h := must[*store.Lease](t)(alice.ClaimUnclaimed(ctx, "r1"))
	if h.Run().Attempts != 0 {
		t.Errorf("ClaimUnclaimed counted an attempt: %+v", h.Run())
	}
	w.Clock.Advance(time.Minute)
	_, err = alice.ClaimUnclaimed(ctx, "r1")
	wantErr(t, "a run whose worker has died", err, chat.ErrNotClaimed)
	w.End(must[*store.Lease](t)(alice.ClaimExpired(ctx, "r1")), Started(h), Failed())
	_, err = alice.ClaimUnclaimed(ctx, "r1")
	wantErr(t, "a run that has ended", err, chat.ErrNotClaimed)
}
