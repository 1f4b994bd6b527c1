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

func forgetProbes() map[string]probe {
	farewell := func([]chat.Connection) error { return nil }
	return map[string]probe{
		"Store.RequestErasure": {theirs: anything, call: func(c caller) (any, error) {
			return nil, c.mine.RequestErasure(c.T.Context())
		}},
		"Store.Open": {theirs: fresh, call: func(c caller) (any, error) {
			return nil, c.mine.Open(c.T.Context())
		}},
		"Store.StopAll": {theirs: notFound, call: func(c caller) (any, error) {
			if c.holder != nil {
				if err := c.mine.RequestErasure(c.T.Context()); err != nil {
					return nil, err
				}
			}
			return c.mine.StopAll(c.T.Context())
		}},
		"Store.EraseUser": {theirs: notFound, call: func(c caller) (any, error) {
			if c.holder == nil {
				return nil, c.mine.EraseUser(c.T.Context(), farewell)
			}
			if err := c.mine.RequestErasure(c.T.Context()); err != nil {
				return nil, err
			}
			for range 2 {
				if err := c.mine.EraseUser(c.T.Context(), farewell); err != nil {
					return nil, err
				}
				c.Clock.Advance(21 * time.Minute)
			}
			if c.met {
				return nil, nil
			}
			if left := c.keys(c.as); !slices.Equal(left, []string{"QUEUE"}) {
				return nil, fmt.Errorf("left of mine: %q", left)
			}
			return nil, nil
		}},
		"Store.Verify":  {theirs: empty, call: func(c caller) (any, error) { return c.mine.Verify(c.T.Context()) }},
		"Store.Orphans": {theirs: empty, call: func(c caller) (any, error) { return c.mine.Orphans(c.T.Context()) }},
	}
}

// keys are the sort keys of a subject's items; of another partition than the main one with it before. Owner records are
// not among them: nothing that acts for the user alone reaches them, and they go with the socket or by their time to
// live.
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

// everything gives a user all kinds of things: threads that stand, are deleted and were made again, runs in each state,
// notes, connections, one of them expired. Windows are nobody else's.
func (w *World) everything(s *store.Store, window int) (running *store.Lease) {
	w.T.Helper()
	w.Complete(s, "old", "again", "of its first life")
	w.DeleteThread(s, "again")
	must[[]chat.ConnectionID](w.T)(s.Connect(w.T.Context(), socket(window+100, "t")))
	w.Clock.Advance(25 * time.Hour)
	w.Complete(s, "new", "again", "of its second life")
	w.Complete(s, "r0", "deleted", "words")
	w.DeleteThread(s, "deleted")
	running = w.furnish(s, names{thread: "t1", done: "done", run: "run", wait: "wait", socket: socket(window, "").ID},
		"words")
	w.Admit(s, "unclaimed", "t2")
	return running
}

func forget(t *testing.T, w *World) {
	alice := w.As("alice")
	w.everything(w.As("bob"), 2)
	running := w.everything(alice, 1)
	before := caller{World: w, as: "alice"}.foreign()
	wantErr(t, "forget", alice.RequestErasure(t.Context()), nil)
	forgotten := w.stopped(alice, running)
	told := w.pass(alice)
	if len(told) != 1 || told[0].ID != socket(1, "").ID {
		t.Errorf("told %+v, want the one that is open", told)
	}
	left := w.keys("alice")
	if slices.ContainsFunc(left, func(k string) bool {
		return k != "QUEUE" && k != "ERASURE" &&
			!strings.HasPrefix(k, "ERASE#")
	}) {
		t.Errorf("after the first pass there is %q", left)
	}
	// A worker that was frozen all the while wakes up and writes.
	w.plant(map[string]string{"pk": "U#alice#T#t1#" + string(forgotten.Epoch), "sk": "M#000000000001"})
	wantErr(t, "forget a second time", alice.RequestErasure(t.Context()), nil)
	w.Clock.Advance(21 * time.Minute)
	entries := must[[]store.LiveEntry](t)(w.Table.Live(t.Context()))
	if !slices.ContainsFunc(entries, func(e store.LiveEntry) bool {
		return e.EraseUser && e.User == chattest.User(t, "alice") && e.Run == "" && e.Due.Before(w.Clock.Now())
	}) {
		t.Errorf("the second pass is not due: %+v", entries)
	}
	w.pass(alice)
	if left := w.keys("alice"); !slices.Equal(left, []string{"QUEUE"}) {
		t.Errorf("after the second pass there is %q", left)
	}
	if after := (caller{World: w, as: "alice"}).foreign(); !reflect.DeepEqual(after, before) {
		t.Errorf("bob's things changed: %v, were %v", after, before)
	}
	wantErr(t, "in the 24 hours", alice.Open(t.Context()), chat.ErrClosed)
	w.Clock.Advance(25 * time.Hour)
	wantErr(t, "a day later", alice.Open(t.Context()), nil)
	w.Complete(alice, "r1", "t1", "of one who is new again")
	wantErr(t, "erase one who is new again", alice.EraseUser(t.Context(), nil), chat.ErrNotFound)
}

// stopped checks that one who is to be forgotten is refused everything, and stops what runs.
func (w *World) stopped(s *store.Store, running *store.Lease) store.Thread {
	t, ctx := w.T, w.T.Context()
	t.Helper()
	wantErr(t, "asked", s.Open(ctx), chat.ErrClosed)
	_, err := s.Admit(ctx, Asked("late", "t9"))
	wantErr(t, "a run", err, chat.ErrClosed)
	_, err = s.Admit(ctx, running.Input())
	wantErr(t, "a run that is known", err, chat.ErrClosed)
	if started, err := s.StartQueued(ctx); err != nil || len(started) > 0 {
		t.Errorf("what waits was started: %+v, %v", started, err)
	}
	if n, err := s.StopAll(ctx); err != nil || n != 1 {
		t.Errorf("%d runs work, %v; want the one that is claimed", n, err)
	}
	if stop := must[bool](t)(running.CancelRequested(ctx)); !stop {
		t.Error("the running run is not asked to stop")
	}
	ended := w.End(running, Finished(running))
	if n, err := s.StopAll(ctx); err != nil || n != 0 {
		t.Errorf("%d runs work, %v", n, err)
	}
	return ended
}

// pass makes one pass of the erasure and returns who was told.
func (w *World) pass(s *store.Store) (told []chat.Connection) {
	w.T.Helper()
	err := s.EraseUser(w.T.Context(), func(cs []chat.Connection) error { told = cs; return nil })
	if err != nil {
		w.T.Fatal(err)
	}
	return told
}

// forgetNobody: one of whom nothing is kept is refused all the same.
func forgetNobody(t *testing.T, w *World) {
	alice := w.As("alice")
	for range 2 {
		wantErr(t, "forget", alice.RequestErasure(t.Context()), nil)
	}
	_, err := alice.Admit(t.Context(), Asked("r1", "t1"))
	wantErr(t, "a run", err, chat.ErrClosed)
	w.pass(alice)
}

// forgetWithoutMark: nothing but the mark lets anything be stopped or erased.
func forgetWithoutMark(t *testing.T, w *World) {
	alice := w.As("alice")
	w.everything(alice, 1)
	before := w.keys("alice")
	_, err := alice.StopAll(t.Context())
	wantErr(t, "stop", err, chat.ErrNotFound)
	wantErr(t, "erase", alice.EraseUser(t.Context(), nil), chat.ErrNotFound)
	if after := w.keys("alice"); !slices.Equal(after, before) {
		t.Errorf("there is %q, was %q", after, before)
	}
}

// verify: a user of whom all is well gives no finding, and each planted thing gives its own.
func verify(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	w.everything(w.As("bob"), 2)
	w.everything(alice, 1)
	if found, err := alice.Verify(ctx); err != nil || len(found) > 0 {
		t.Fatalf("of one of whom all is well: %+v, %v", found, err)
	}
	w.Complete(alice, "ends", "t3", "words")
	epoch := string(must[store.Thread](t)(alice.Thread(ctx, "t3")).Epoch)
	log := "U#alice#T#t3#" + epoch
	w.plant(map[string]string{"pk": "U#alice", "sk": "IN#ghost#x"})
	w.plant(map[string]string{"pk": "U#alice", "sk": "IN#past#x"})
	w.change("U#alice", "IN#past#x", "SET #expires = :t", map[string]string{"#expires": "expires"}, "1")
	w.plant(map[string]string{"pk": "U#alice", "sk": "RUN#lost", "id": "lost", "thread": "t9", "status": "running",
		"recent": "R#0000000000000#lost"})
	w.plant(map[string]string{"pk": "U#alice", "sk": "RUN#over", "id": "over", "thread": "t9", "status": "finished",
		"live": "L#03", "recent": "R#0000000000000#over"})
	w.plant(map[string]string{"pk": "U#alice", "sk": "WHAT#ever"})
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
		"ended run in the live index": "over", "unknown item": "WHAT#ever", "slot without run": "gone",
		"connection without owner": string(socket(1, "").ID), "transcript beyond the head": "t3",
		"log beyond the head": "t3",
	}
	found := must[[]store.Finding](t)(alice.Verify(ctx))
	same(t, found, want)
	orphans := must[[]store.Finding](t)(alice.Orphans(ctx))
	same(t, orphans, map[string]string{"owner without connection": "orphan=", "log without thread": "nothread"})
	if found, err := w.As("bob").Verify(ctx); err != nil || len(found) > 0 {
		t.Errorf("of bob: %+v, %v", found, err)
	}
	if found, err := w.As("bob").Orphans(ctx); err != nil || len(found) > 0 {
		t.Errorf("orphans of bob: %+v, %v", found, err)
	}
}

func same(t *testing.T, found []store.Finding, want map[string]string) {
	t.Helper()
	if len(found) != len(want) {
		t.Errorf("%d findings, want %d: %+v", len(found), len(want), found)
	}
	for _, f := range found {
		if want[f.Kind] != f.Thing {
			t.Errorf("found %+v, want of that kind %q", f, want[f.Kind])
		}
	}
}
