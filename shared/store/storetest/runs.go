package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/runqueue"
	"carrel/shared/store"
)

// claim: a run has at most one lease. Another worker can claim the run after the lease has expired.
func claim(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	_, err := alice.Claim(ctx, "r1")
	wantErr(t, "claim of an unknown run", err, chat.ErrNotFound)
	w.Admit(alice, "r1", "t1")
	w.Admit(alice, "r2", "t1")
	_, err = alice.Claim(ctx, "r2")
	wantErr(t, "claim of a queued run", err, chat.ErrNotClaimed)
	h := w.Claim(alice, "r1")
	if r := h.Run(); r.Fence != 1 || r.Status != chat.RunRunning || !r.LeaseExpires.Equal(h.Expires()) {
		t.Errorf("claimed %+v", r)
	}
	if !reflect.DeepEqual(h.Input(), inputOf(Asked("r1", "t1"))) ||
		h.Thread().ID != "t1" || len(h.PreviousEvents()) > 0 {
		t.Errorf("input %+v, thread %+v, previous events %v", h.Input(), h.Thread(), h.PreviousEvents())
	}
	_, err = alice.Claim(ctx, "r1")
	wantErr(t, "claim of a claimed run", err, chat.ErrNotClaimed)
	w.Clock.Advance(15 * time.Second)
	if err := h.Renew(ctx); err != nil {
		t.Errorf("renew: %v", err)
	}
	w.Clock.Advance(15 * time.Second)
	_, err = alice.Claim(ctx, "r1")
	wantErr(t, "claim of a renewed run", err, chat.ErrNotClaimed)
	w.Clock.Advance(10 * time.Second)
	if again := w.Claim(alice, "r1"); again.Run().Fence != 2 {
		t.Errorf("claimed after the lease expired: %+v", again.Run())
	}
}

// owner: a run whose user attribute differs from the user of its key cannot be claimed and is not changed.
func owner(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	w.Admit(alice, "r1", "t1")
	w.change("U#alice", "RUN#r1", "SET #user = :t", map[string]string{"#user": "user"}, "bob")
	_, err := alice.Claim(ctx, "r1")
	wantErr(t, "claim of a run that names bob", err, chat.ErrForeign)
	_, err = alice.ClaimUnclaimed(ctx, "r1")
	wantErr(t, "claim of an unclaimed run that names bob", err, chat.ErrForeign)
	w.Clock.Advance(4 * time.Minute)
	_, err = alice.ClaimExpired(ctx, "r1")
	wantErr(t, "claim of an expired run that names bob", err, chat.ErrForeign)
	if r := must[store.Run](t)(alice.Run(ctx, "r1")); r.Status != chat.RunAdmitted || r.Fence != 0 {
		t.Errorf("the run was changed: %+v", r)
	}
}

// jsonSize returns the size of events as JSON without the escapes for HTML.
func jsonSize(t *testing.T, events []agui.Event) int {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	wantErr(t, "encode events", e.Encode(events), nil)
	return b.Len() - len("\n")
}

// log: records are returned in order, from the record that contains the next event.
func log(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	first := []agui.Event{Started(h)}
	records := [][]agui.Event{first, Said("a", "<b>&\u2028 \"ünï\" 🎈"), Said("b", "two")}
	want, next := []store.Record{}, chat.Seq(1)
	for _, events := range records {
		if seq := w.Append(h, events...); seq != next {
			t.Errorf("appended at %d, want %d", seq, next)
		}
		want = append(want, store.Record{
			Seq: next, Last: next + chat.Seq(len(events)) - 1, Run: "r1", Events: events, Size: jsonSize(t, events),
		})
		next += chat.Seq(len(events))
	}
	epoch := h.Thread().Epoch
	for _, c := range []struct {
		after chat.Seq
		limit int
		want  []store.Record
	}{{0, 99, want}, {0, 2, want[:2]}, {1, 99, want[1:]}, {2, 99, want[1:]}, {3, 1, want[1:2]}, {4, 99, want[2:]},
		{6, 9, want[2:]}, {7, 99, nil}, {99, 9, nil}} {
		got := must[[]store.Record](t)(alice.Log(ctx, "t1", epoch, c.after, c.limit))
		if len(got) != len(c.want) || len(got) > 0 && !reflect.DeepEqual(got, c.want) {
			t.Errorf("after %d, at most %d: %+v, want %+v", c.after, c.limit, got, c.want)
		}
	}
	if last := must[store.Record](t)(alice.Last(ctx, "t1", epoch)); !reflect.DeepEqual(last, want[2]) ||
		last.Last != 7 {
		t.Errorf("the last record is %+v", last)
	}
	if last := must[store.Record](t)(alice.Last(ctx, "t1", "another")); last.Last != 0 {
		t.Errorf("the last record of another epoch is %+v", last)
	}
	_, err := alice.Log(ctx, "t1", "a#b", 0, 9)
	wantErr(t, "an epoch that no thread has", err, chat.ErrBadID)
}

// end: the end of a run updates the thread, the run, the run queue and the live index, and stores a transcript.
func end(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Append(h, Started(h))
	if _, err := h.End(ctx, Said("a", "no end")); err == nil {
		t.Error("End succeeded without a terminal event")
	}
	ended, err := h.End(ctx, append(Said("a", "answer"), Finished(h)))
	thread := ended.Thread
	if err != nil || ended.Seq != 2 || thread.Head != 5 {
		t.Fatalf("ended: %+v, %v", ended, err)
	}
	if got := must[store.Thread](t)(alice.Thread(ctx, "t1")); !reflect.DeepEqual(got, thread) {
		t.Errorf("Thread returned %+v, End returned %+v", got, thread)
	}
	run := must[store.Run](t)(alice.Run(ctx, "r1"))
	if run.Status != chat.RunFinished || run.Ended.IsZero() || len(run.Usage) != 1 || run.Usage[0].OutputTokens != 5 {
		t.Errorf("the run: %+v", run)
	}
	if q := must[runqueue.Queue](t)(alice.RunQueue(ctx)); len(q.Slots) > 0 {
		t.Errorf("the run queue: %+v", q)
	}
	ts, more, err := alice.Transcripts(ctx, thread, 0, 50)
	if err != nil || more || len(ts) != 1 || ts[0].First != 1 || ts[0].Last != 5 || ts[0].Run != "r1" {
		t.Fatalf("transcripts: %+v, %v, %v", ts, more, err)
	}
	if m := ts[0].Messages; len(m) != 2 || m[0].Content != "question of r1" || m[1].Content != "answer" {
		t.Errorf("messages: %+v", m)
	}
	if live := must[[]store.LiveEntry](t)(w.Table.Live(ctx)); len(live) > 0 {
		t.Errorf("the live index has %+v, want no entry", live)
	}
	if next := w.Begin(alice, "r2", "t1"); w.Append(next, Started(next)) != 6 {
		t.Error("the log of the next run does not continue at 6")
	}
}

// endStatus: the last event of a run determines its state.
func endStatus(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	for i, c := range []struct {
		last agui.Event
		want chat.RunStatus
	}{
		{agui.Event{Type: agui.RunFinished}, chat.RunFinished},
		{agui.Event{Type: agui.RunFinished, Outcome: &agui.Outcome{Type: agui.OutcomeCancelled}}, chat.RunCancelled},
		{Failed(), chat.RunFailed},
	} {
		run := chat.RunID(fmt.Sprint("r", i))
		h := w.Begin(alice, run, "t1")
		w.End(h, Started(h), c.last)
		if got := must[store.Run](t)(alice.Run(ctx, run)); got.Status != c.want {
			t.Errorf("%s: %s, want %s", c.last.Type, got.Status, c.want)
		}
	}
}

// expired: ClaimExpired claims only runs that no turn claimed in time and runs whose worker has died.
func expired(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	w.Admit(alice, "never", "t1")
	w.Admit(alice, "queued", "t1")
	dead := w.Begin(alice, "dead", "t2")
	for _, run := range []chat.RunID{"never", "queued", "dead"} {
		_, err := alice.ClaimExpired(ctx, run)
		wantErr(t, string(run)+", too early", err, chat.ErrNotClaimed)
	}
	_, err := alice.ClaimExpired(ctx, "bad'id")
	wantErr(t, "a bad id", err, chat.ErrBadID)
	_, err = alice.ClaimExpired(ctx, "unknown")
	wantErr(t, "an unknown run", err, chat.ErrNotFound)
	w.Clock.Advance(201 * time.Second)
	for _, run := range []chat.RunID{"never", "dead"} {
		h := must[*store.Lease](t)(alice.ClaimExpired(ctx, run))
		w.End(h, Started(h), Failed())
		if r := must[store.Run](t)(alice.Run(ctx, run)); r.Status != chat.RunFailed {
			t.Errorf("%s is %s", run, r.Status)
		}
	}
	fenced(t, dead)
	_, err = alice.ClaimExpired(ctx, "dead")
	wantErr(t, "a run that has ended", err, chat.ErrNotClaimed)
	if got := must[[]store.Run](t)(alice.StartQueued(ctx)); len(got) != 1 || got[0].ID != "queued" {
		t.Errorf("started %v", got)
	}
}

// expireQueued: ExpireQueued cancels only a queued run that has reached its deadline.
func expireQueued(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Admit(alice, "r2", "t1")
	_, err := alice.ExpireQueued(ctx, "r2")
	wantErr(t, "a queued run before its deadline", err, chat.ErrNotClaimed)
	_, err = alice.ExpireQueued(ctx, "r9")
	wantErr(t, "an unknown run", err, chat.ErrNotFound)
	w.Clock.Advance(61 * time.Minute)
	_, err = alice.ExpireQueued(ctx, "r1")
	wantErr(t, "a running run", err, chat.ErrNotClaimed)
	if r := must[store.Run](t)(alice.ExpireQueued(ctx, "r2")); r.Status != chat.RunCancelled || r.Thread != "t1" {
		t.Errorf("expired: %+v", r)
	}
	if q := must[runqueue.Queue](t)(alice.RunQueue(ctx)); len(q.Queued) > 0 || len(q.Slots) != 1 {
		t.Errorf("the run queue: %+v", q)
	}
	w.End(h, Started(h), Failed())
}

// live: the live index has an entry for each run of each user that has not ended.
func live(t *testing.T, w *World) {
	ctx, want := t.Context(), []string{}
	for _, user := range []string{"alice", "auth0|bob", strings.Repeat("c", 300)} {
		s := w.As(user)
		for i := range 3 {
			w.Admit(s, chat.RunID(fmt.Sprint("r", i)), "t1")
			want = append(want, fmt.Sprint(chattest.User(t, user), " r", i))
		}
		w.Claim(s, "r0")
	}
	got := []string{}
	for _, l := range must[[]store.LiveEntry](t)(w.Table.Live(ctx)) {
		got = append(got, fmt.Sprint(l.User, " ", l.Run))
		if ahead := l.Due.Sub(w.Clock.Now()); ahead < 50*time.Second || ahead > time.Minute {
			t.Errorf("%s is due in %s", l.Run, ahead)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the live index has %v, want %v", got, want)
	}
}
