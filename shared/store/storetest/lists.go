package storetest

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
	"carrel/shared/store"
)

// tick advances the clock, so that the next write has a later time in milliseconds.
func (w *World) tick() { w.Clock.Advance(2 * time.Millisecond) }

// threadPages reads the whole list of threads and returns the ids of each page.
func (w *World) threadPages(s *store.Store, limit int) (pages []string) {
	w.T.Helper()
	var next chat.ListCursor
	for range 20 {
		page, after, err := s.Threads(w.T.Context(), next, limit)
		if err != nil {
			w.T.Fatal(err)
		}
		ids := []string{}
		for _, th := range page {
			ids = append(ids, string(th.ID))
			single, err := s.Thread(w.T.Context(), th.ID)
			if err != nil || !reflect.DeepEqual(single, th) {
				w.T.Errorf("Threads returned %+v, Thread returned %+v, %v", th, single, err)
			}
		}
		pages = append(pages, strings.Join(ids, " "))
		if next = after; next == "" {
			return pages
		}
	}
	w.T.Fatal("the list has no end")
	return nil
}

// threads: the list is in the order of last use, independent of the ids of the threads.
func threads(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	for i, id := range []string{"m", "z", "deleted", "a", "t-ahead", "0"} {
		w.Complete(alice, chat.RunID(fmt.Sprint("r", i)), chat.ThreadID(id), "yes")
		w.tick()
	}
	w.DeleteThread(alice, "deleted")
	w.Complete(w.As("alic"), "r", "of-alic", "yes")
	want := func(action string, limit int, pages ...string) {
		t.Helper()
		if got := w.threadPages(alice, limit); !reflect.DeepEqual(got, pages) {
			t.Errorf("%s, %d a page: %q, want %q", action, limit, got, pages)
		}
	}
	want("order of last use", 9, "0 t-ahead a z m")
	want("order of last use", 2, "0 t-ahead", "a z", "m")
	want("order of last use", 0, "0", "t-ahead", "a", "z", "m")
	want("order of last use", 5, "0 t-ahead a z m")
	must[store.Thread](t)(alice.Rename(ctx, "z", "another title"))
	want("after a rename, which does not count as use", 9, "0 t-ahead a z m")
	w.Admit(alice, "r8", "z")
	w.tick()
	w.Admit(alice, "r9", "z") // queued
	want("after a run and a queued run", 9, "z 0 t-ahead a m")
	if th := must[store.Thread](t)(alice.Thread(ctx, "z")); th.Used != must[store.Run](t)(alice.Run(ctx,
		"r9")).Created || th.Pinned || th.Archived {
		t.Errorf("the thread: %+v", th)
	}
	_, next, err := alice.Threads(ctx, "", 2)
	if err != nil {
		t.Fatal(err)
	}
	w.DeleteThread(alice, "0") // the cursor was made from this row
	if page, end, err := alice.Threads(ctx, next, 9); err != nil || end != "" || len(page) != 3 ||
		page[0].ID != "t-ahead" {
		t.Errorf("the page after a deleted row: %+v, %q, %v", page, end, err)
	}
	_, err = alice.Thread(ctx, "unknown")
	wantErr(t, "an unknown thread", err, chat.ErrNotFound)
}

// threadClasses: pinned threads come first and archived threads last, independent of their last use. A use does not
// change this.
func threadClasses(t *testing.T, w *World) {
	alice := w.As("alice")
	for i, id := range []chat.ThreadID{"a", "b", "c", "d"} {
		w.Complete(alice, chat.RunID(fmt.Sprint("r", i)), id, "yes")
		w.tick()
	}
	w.class("alice", "b", "2")
	w.class("alice", "d", "0")
	w.Complete(alice, "again", "d", "yes")
	w.tick()
	if got := w.threadPages(alice, 2); !reflect.DeepEqual(got, []string{"b c", "a d"}) {
		t.Errorf("%q", got)
	}
	b, d := must[store.Thread](t)(alice.Thread(t.Context(), "b")), must[store.Thread](t)(alice.Thread(t.Context(), "d"))
	if !b.Pinned || b.Archived || d.Pinned || !d.Archived || !d.Used.After(b.Used) {
		t.Errorf("the pinned one is %+v, the archived one %+v", b, d)
	}
}

// class changes the class of a thread directly in the table.
func (w *World) class(subject string, thread chat.ThreadID, class string) {
	w.T.Helper()
	for _, i := range w.items() {
		if stringOf(i["pk"]) == "U#"+subject && stringOf(i["sk"]) == "THREAD#"+string(thread) {
			recent := stringOf(i["recent"])
			k := map[string]types.AttributeValue{"pk": i["pk"], "sk": i["sk"]}
			w.set(k, "recent", &types.AttributeValueMemberS{Value: recent[:2] + class + recent[3:]})
		}
	}
}

// runs: pages list the runs of a user in every state, newest first and without their input. The first page also
// contains all runs that have not ended.
func runs(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	w.Begin(alice, "zz-runs", "t9")
	w.tick()
	for i := range 3 {
		w.Complete(alice, chat.RunID(fmt.Sprint("r", 9-i)), "t1", "yes")
		w.tick()
	}
	w.Begin(alice, "r3", "t1")
	w.tick()
	w.Admit(alice, "r4", "t1")
	w.Admit(w.As("alic"), "r9", "t1")
	w.Admit(w.As("alice2"), "r9", "t1")
	const all = "r4 queued r3 running r7 finished r8 finished r9 finished zz-runs running"
	for limit, want := range map[int][]string{
		99: {all}, 6: {all}, 5: {all, "zz-runs running"}, 0: nil,
		2: {"r4 queued r3 running zz-runs running", "r7 finished r8 finished", "r9 finished zz-runs running"},
	} {
		if want == nil { // limit 0 counts as 1
			want = []string{"r4 queued r3 running zz-runs running", "r3 running", "r7 finished", "r8 finished",
				"r9 finished", "zz-runs running"}
		}
		if got := w.runPages(alice, limit); !reflect.DeepEqual(got, want) {
			t.Errorf("%d a page: %q, want %q", limit, got, want)
		}
	}
	_, next, err := alice.Runs(ctx, "", 2)
	if err != nil || next == "" {
		t.Fatalf("the first page: %q, %v", next, err)
	}
	w.Clock.Advance(91 * 24 * time.Hour)
	if page, end, err := alice.Runs(ctx, next, 9); err != nil || end != "" || len(page) > 0 {
		t.Errorf("the page after a cursor that is 91 days old: %+v, %q, %v", page, end, err)
	}
	if page, next, err := w.As("alic").Runs(ctx, "", 9); err != nil || next != "" || len(page) > 0 {
		t.Errorf("after 91 days: %+v, %q, %v", page, next, err)
	}
}

// runPages reads the whole list of runs and returns the ids and states of each page.
func (w *World) runPages(s *store.Store, limit int) (pages []string) {
	w.T.Helper()
	var next chat.ListCursor
	for range 20 {
		page, after, err := s.Runs(w.T.Context(), next, limit)
		if err != nil {
			w.T.Fatal(err)
		}
		listed := []string{}
		for _, r := range page {
			listed = append(listed, string(r.ID), string(r.Status))
			if single := must[store.Run](w.T)(s.Run(w.T.Context(), r.ID)); !reflect.DeepEqual(r, single) {
				w.T.Errorf("Runs returned %+v, Run returned %+v", r, single)
			}
		}
		pages = append(pages, strings.Join(listed, " "))
		if next = after; next == "" {
			return pages
		}
	}
	w.T.Fatal("the list has no end")
	return nil
}

// invalidCursors returns cursors that the list with this prefix never makes. The prefix is T for the list of threads
// and R for the list of runs.
func invalidCursors(prefix string) []chat.ListCursor {
	other := map[string]string{"T": "R#1700000000000#x", "R": "T#1#1700000000000#x"}[prefix]
	class := map[string]string{"T": "1#", "R": ""}[prefix]
	all := []chat.ListCursor{"~", "t1", "_w", "IyM="}
	for _, recent := range []string{
		prefix, prefix + "#", prefix + "#~", other, "THREAD#x", "QUEUE", "CONN#x",
		prefix + "#" + class + "170000000000#x", prefix + "#" + class + "17000000000000#x",
		prefix + "#" + class + "170000000000x#x", prefix + "#" + class + "1700000000000#",
		prefix + "#" + class + "1700000000000#a#b", "T#3#1700000000000#x", "T##1700000000000#x",
		prefix + "#" + class + "1700000000000#x\n", prefix + "#" + class + "-700000000000#x",
		"x" + prefix + "#" + class + "1700000000000#x",
	} {
		all = append(all, chat.ListCursor(base64.RawURLEncoding.EncodeToString([]byte(recent))))
	}
	return all
}

// cursors checks that a list rejects invalid cursors, and that it accepts a cursor of the other user, which only
// selects a place in the caller's own list.
func cursors[T any](c caller, prefix string, list func(before chat.ListCursor) ([]T, chat.ListCursor, error)) error {
	if c.single {
		return nil
	}
	for _, before := range invalidCursors(prefix) {
		if page, next, err := list(before); err == nil || len(page) > 0 || next != "" {
			return fmt.Errorf("the invalid cursor %q returned %+v, %q", before, page, next)
		}
	}
	_, _, err := list(c.otherCursor(prefix))
	return err
}

// otherCursor returns a cursor after the newest row of another user's list.
func (c caller) otherCursor(prefix string) chat.ListCursor {
	_, foreign := c.divide(c.as)
	newest := ""
	for _, i := range foreign {
		if recent := stringOf(i["recent"]); strings.HasPrefix(recent, prefix) {
			newest = max(newest, recent)
		}
	}
	return chat.ListCursor(base64.RawURLEncoding.EncodeToString([]byte(newest)))
}

// listedRuns is the call in the case of Store.Runs.
func (c caller) listedRuns() (any, error) {
	err := cursors(c, "R", func(before chat.ListCursor) ([]store.Run, chat.ListCursor, error) {
		return c.store.Runs(c.T.Context(), before, 9)
	})
	if err != nil {
		return nil, err
	}
	page, next, err := c.store.Runs(c.T.Context(), "", 99)
	if err == nil && (next != "" || c.lease != nil && len(page) != 3) {
		err = fmt.Errorf("the runs of the caller are %+v, the next cursor %q", page, next)
	}
	return page, err
}
