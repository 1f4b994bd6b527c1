package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/store"
)

// erasureProbes returns the cases of the methods that erase or verify a user.
func erasureProbes() map[string]probe {
	notify := func([]chat.Connection) error { return nil }
	return map[string]probe{
		"Store.RequestErasure": {other: skipped, call: func(c caller) (any, error) {
			return nil, c.store.RequestErasure(c.T.Context())
		}},
		"Store.Open": {other: succeeds, call: func(c caller) (any, error) {
			return nil, c.store.Open(c.T.Context())
		}},
		"Store.StopAll": {other: notFound, call: func(c caller) (any, error) {
			if c.lease != nil {
				if err := c.store.RequestErasure(c.T.Context()); err != nil {
					return nil, err
				}
			}
			return c.store.StopAll(c.T.Context())
		}},
		"Store.EraseUser": {other: notFound, call: func(c caller) (any, error) {
			if c.lease == nil {
				return nil, c.store.EraseUser(c.T.Context(), notify)
			}
			if err := c.store.RequestErasure(c.T.Context()); err != nil {
				return nil, err
			}
			for range 2 {
				if err := c.store.EraseUser(c.T.Context(), notify); err != nil {
					return nil, err
				}
				c.Clock.Advance(21 * time.Minute)
			}
			if c.single {
				return nil, nil
			}
			if left := c.keys(c.as); !slices.Equal(left, []string{"QUEUE"}) {
				return nil, fmt.Errorf("items of the caller that are left: %q", left)
			}
			return nil, nil
		}},
		"Store.Verify":  {other: empty, call: func(c caller) (any, error) { return c.store.Verify(c.T.Context()) }},
		"Store.Orphans": {other: empty, call: func(c caller) (any, error) { return c.store.Orphans(c.T.Context()) }},
	}
}

// keys returns the sort keys of a user's items. In partitions other than the main one, the partition key precedes the
// sort key. Owner records are left out: the credentials of one user do not reach them, and $disconnect or TTL deletes
// them.
func (w *World) keys(subject string) []string {
	w.T.Helper()
	own, _ := w.divide(subject)
	main := "U#" + chattest.User(w.T, subject).Key()
	var all []string
	for _, i := range own {
		if strings.HasPrefix(stringOf(i["pk"]), "C#") {
			continue
		}
		all = append(all, strings.TrimPrefix(strings.TrimPrefix(stringOf(i["pk"])+" "+stringOf(i["sk"]), main), " "))
	}
	slices.Sort(all)
	return all
}

// everything stores every kind of item for a user: existing, deleted and recreated threads, runs in each state, notes
// and connections, one of them expired. The numbers of connections must differ between users.
func (w *World) everything(s *store.Store, connection int) (running *store.Lease) {
	w.T.Helper()
	w.Complete(s, "old", "again", "of the first thread")
	w.DeleteThread(s, "again")
	must[[]chat.ConnectionID](w.T)(s.Connect(w.T.Context(), socket(connection+100, "t")))
	w.Clock.Advance(25 * time.Hour)
	w.Complete(s, "new", "again", "of the second thread")
	w.Complete(s, "r0", "deleted", "words")
	w.DeleteThread(s, "deleted")
	own := names{thread: "t1", done: "done", run: "run", queued: "queued", socket: socket(connection, "").ID}
	running = w.populate(s, own, "words")
	w.Admit(s, "unclaimed", "t2")
	return running
}

// eraseUser: two passes remove every item of a user but the run queue, and no item of another user. The user is refused
// for 24 hours.
func eraseUser(t *testing.T, w *World) {
	alice := w.As("alice")
	w.everything(w.As("bob"), 2)
	running := w.everything(alice, 1)
	before := caller{World: w, as: "alice"}.foreign()
	wantErr(t, "request the erasure", alice.RequestErasure(t.Context()), nil)
	ended := w.stopped(alice, running)
	notified := w.pass(alice)
	if len(notified) != 1 || notified[0].ID != socket(1, "").ID {
		t.Errorf("notified %+v, want only the open connection", notified)
	}
	left := w.keys("alice")
	if slices.ContainsFunc(left, func(k string) bool {
		return k != "QUEUE" && k != "ERASURE" && !strings.HasPrefix(k, "ERASE#")
	}) {
		t.Errorf("after the first pass these items are left: %q", left)
	}
	// A worker that was frozen during the first pass resumes and stores a transcript.
	w.plant(map[string]string{"pk": "U#alice#T#t1#" + string(ended.Epoch), "sk": "M#000000000001"})
	wantErr(t, "request the erasure a second time", alice.RequestErasure(t.Context()), nil)
	w.Clock.Advance(21 * time.Minute)
	entries := must[[]store.LiveEntry](t)(w.Table.Live(t.Context()))
	if !slices.ContainsFunc(entries, func(e store.LiveEntry) bool {
		return e.EraseUser && e.User == chattest.User(t, "alice") && e.Run == "" && e.Due.Before(w.Clock.Now())
	}) {
		t.Errorf("the second pass is not due: %+v", entries)
	}
	w.pass(alice)
	if left := w.keys("alice"); !slices.Equal(left, []string{"QUEUE"}) {
		t.Errorf("after the second pass these items are left: %q", left)
	}
	if after := (caller{World: w, as: "alice"}).foreign(); !reflect.DeepEqual(after, before) {
		t.Errorf("bob's items changed: %v, were %v", after, before)
	}
	wantErr(t, "Open within 24 hours", alice.Open(t.Context()), chat.ErrErasing)
	w.Clock.Advance(25 * time.Hour)
	wantErr(t, "Open a day later", alice.Open(t.Context()), nil)
	w.Complete(alice, "r1", "t1", "of a user who returned")
	wantErr(t, "erase a user who returned", alice.EraseUser(t.Context(), nil), chat.ErrNotFound)
}

// stopped checks that a user whose erasure is requested is refused, and that StopAll stops the running run. It returns
// the thread of that run.
func (w *World) stopped(s *store.Store, running *store.Lease) store.Thread {
	t, ctx := w.T, w.T.Context()
	t.Helper()
	wantErr(t, "Open", s.Open(ctx), chat.ErrErasing)
	_, err := s.Admit(ctx, Asked("late", "t9"))
	wantErr(t, "a new run", err, chat.ErrErasing)
	_, err = s.Admit(ctx, running.Input())
	wantErr(t, "a known run", err, chat.ErrErasing)
	if started, err := s.StartQueued(ctx); err != nil || len(started) > 0 {
		t.Errorf("StartQueued started %+v, %v", started, err)
	}
	if n, err := s.StopAll(ctx); err != nil || n != 1 {
		t.Errorf("StopAll returned %d running runs, %v; want 1", n, err)
	}
	if stop := must[bool](t)(running.CancelRequested(ctx)); !stop {
		t.Error("no cancellation was requested for the running run")
	}
	ended := w.End(running, Finished(running))
	if n, err := s.StopAll(ctx); err != nil || n != 0 {
		t.Errorf("StopAll returned %d running runs, %v; want 0", n, err)
	}
	return ended
}

// pass makes one pass of the erasure of a user and returns the connections that it notified.
func (w *World) pass(s *store.Store) (notified []chat.Connection) {
	w.T.Helper()
	err := s.EraseUser(w.T.Context(), func(cs []chat.Connection) error { notified = cs; return nil })
	if err != nil {
		w.T.Fatal(err)
	}
	return notified
}

// eraseUnknownUser: a user without any items is refused as well.
func eraseUnknownUser(t *testing.T, w *World) {
	alice := w.As("alice")
	for range 2 {
		wantErr(t, "request the erasure", alice.RequestErasure(t.Context()), nil)
	}
	_, err := alice.Admit(t.Context(), Asked("r1", "t1"))
	wantErr(t, "a run", err, chat.ErrErasing)
	w.pass(alice)
}

// eraseNotRequested: without a requested erasure StopAll and EraseUser fail and change nothing.
func eraseNotRequested(t *testing.T, w *World) {
	alice := w.As("alice")
	w.everything(alice, 1)
	before := w.keys("alice")
	_, err := alice.StopAll(t.Context())
	wantErr(t, "StopAll", err, chat.ErrNotFound)
	wantErr(t, "EraseUser", alice.EraseUser(t.Context(), nil), chat.ErrNotFound)
	if after := w.keys("alice"); !slices.Equal(after, before) {
		t.Errorf("the items are %q, were %q", after, before)
	}
}

// verify: the items of an intact user give no finding, and each planted defect gives its own finding.
func verify(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	w.everything(w.As("bob"), 2)
	w.everything(alice, 1)
	if found, err := alice.Verify(ctx); err != nil || len(found) > 0 {
		t.Fatalf("Verify of an intact user: %+v, %v", found, err)
	}
	w.Complete(alice, "ends", "t3", "words")
	epoch := string(must[store.Thread](t)(alice.Thread(ctx, "t3")).Epoch)
	log := "U#alice#T#t3#" + epoch
	w.plant(map[string]string{"pk": "U#alice", "sk": "IN#ghost#x"})
	w.plant(map[string]string{"pk": "U#alice", "sk": "IN#expired#x"})
	w.change("U#alice", "IN#expired#x", "SET #expires = :t", map[string]string{"#expires": "expires"}, "1")
	w.plant(map[string]string{"pk": "U#alice", "sk": "RUN#lost", "id": "lost", "thread": "t9", "status": "running",
		"recent": "R#0000000000000#lost"})
	w.plant(map[string]string{"pk": "U#alice", "sk": "RUN#ended", "id": "ended", "thread": "t9", "status": "finished",
		"live": "L#03", "recent": "R#0000000000000#ended"})
	w.plant(map[string]string{"pk": "U#alice", "sk": "UNKNOWN#kind"})
	w.plant(map[string]string{"pk": "C#orphan=", "sk": "OWNER", "user": "alice"})
	w.plant(map[string]string{"pk": "U#alice#T#nothread#e1", "sk": "E#000000000001"})
	w.change("U#alice", "QUEUE", "SET #slots.#gone = :t", map[string]string{"#slots": "slots", "#gone": "gone"}, `t9`)
	w.erase("C#"+string(socket(1, "").ID), "OWNER")
	w.change(log, "M#000000000001", "SET #l = :t", map[string]string{"#l": "l"}, "99")
	w.change("U#alice", "THREAD#t3", "SET #head = :t", map[string]string{"#head": "head"}, "2")
	w.change("U#alice", "THREAD#t3", "SET #recent = :t", map[string]string{"#recent": "recent"}, "T#1#1700000000000#t4")
	w.change("U#alice", "RUN#ends", "SET #recent = :t", map[string]string{"#recent": "recent"}, "R#1700000000000#ends")
	want := map[string]string{
		"thread outside of the list": "t3", "run outside of the list": "ends",
		"input without run": "ghost#x", "run without slot": "lost", "live run outside of the live index": "lost",
		"ended run in the live index": "ended", "unknown item": "UNKNOWN#kind", "slot without run": "gone",
		"connection without owner": string(socket(1, "").ID), "transcript beyond the head": "t3",
		"log beyond the head": "t3",
	}
	found := must[[]store.Finding](t)(alice.Verify(ctx))
	same(t, found, want)
	orphans := must[[]store.Finding](t)(alice.Orphans(ctx))
	same(t, orphans, map[string]string{"owner without connection": "orphan=", "log without thread": "nothread"})
	if found, err := w.As("bob").Verify(ctx); err != nil || len(found) > 0 {
		t.Errorf("Verify of bob: %+v, %v", found, err)
	}
	if found, err := w.As("bob").Orphans(ctx); err != nil || len(found) > 0 {
		t.Errorf("Orphans of bob: %+v, %v", found, err)
	}
}

// same checks that the findings are exactly want, a map from the kind of a finding to its thing.
func same(t *testing.T, found []store.Finding, want map[string]string) {
	t.Helper()
	if len(found) != len(want) {
		t.Errorf("%d findings, want %d: %+v", len(found), len(want), found)
	}
	for _, f := range found {
		if want[f.Kind] != f.Thing {
			t.Errorf("found %+v, want %q for this kind", f, want[f.Kind])
		}
	}
}
