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

// tick moves the clock on, so that what happens next has a later millisecond.
func (w *World) tick() { w.Clock.Advance(2 * time.Millisecond) }

// threadPages reads a whole list of threads, page by page.
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
			one, err := s.Thread(w.T.Context(), th.ID)
			if err != nil || !reflect.DeepEqual(one, th) {
				w.T.Errorf("listed %+v, read %+v, %v", th, one, err)
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

// threads: lists are in the order of last use, whatever the ids and the clocks that made them.
func threads(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	for i, id := range []string{"m", "z", "deleted", "a", "t-ahead", "0"} {
		w.Complete(alice, chat.RunID(fmt.Sprint("r", i)), chat.ThreadID(id), "yes")
		w.tick()
	}
	w.DeleteThread(alice, "deleted")
	w.Complete(w.As("alic"), "r", "of-alic", "yes")
	want := func(what string, limit int, pages ...string) {
		t.Helper()
		if got := w.threadPages(alice, limit); !reflect.DeepEqual(got, pages) {
			t.Errorf("%s, %d a page: %q, want %q", what, limit, got, pages)
		}
	}
	want("by last use", 9, "0 t-ahead a z m")
	want("by last use", 2, "0 t-ahead", "a z", "m")
	want("by last use", 0, "0", "t-ahead", "a", "z", "m")
	want("by last use", 5, "0 t-ahead a z m")
	must[store.Thread](t)(alice.Rename(ctx, "z", "another title"))
	want("a rename is no use", 9, "0 t-ahead a z m")
	w.Admit(alice, "r8", "z")
	w.tick()
	w.Admit(alice, "r9", "z") // waits
	want("a run is one, also while it waits", 9, "z 0 t-ahead a m")
	if th := must[store.Thread](t)(alice.Thread(ctx, "z")); th.Used != must[store.Run](t)(alice.Run(ctx,
		"r9")).Created || th.Pinned || th.Archived {
		t.Errorf("the thread: %+v", th)
	}
	_, next, err := alice.Threads(ctx, "", 2)
	if err != nil {
		t.Fatal(err)
	}
	w.DeleteThread(alice, "0") // the very row that the cursor was made of
	if page, end, err := alice.Threads(ctx, next, 9); err != nil || end != "" || len(page) != 3 ||
		page[0].ID != "t-ahead" {
		t.Errorf("behind a row that was deleted: %+v, %q, %v", page, end, err)
	}
	_, err = alice.Thread(ctx, "unknown")
	wantErr(t, "an unknown thread", err, chat.ErrNotFound)
}

// threadClasses: pinned threads come first and archived ones last, whenever they were used, and stay so when they are.
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

// class gives a thread another class, behind the store's back.
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

// runs: a page of a user's runs, newest first, whatever has become of them, without what was asked; and of the first
// page all that have not ended.
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
		if want == nil { // it is 1
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
		t.Errorf("behind a cursor of 91 days ago: %+v, %q, %v", page, end, err)
	}
	if page, next, err := w.As("alic").Runs(ctx, "", 9); err != nil || next != "" || len(page) > 0 {
		t.Errorf("after 91 days: %+v, %q, %v", page, next, err)
	}
}

func (w *World) runPages(s *store.Store, limit int) (pages []string) {
	w.T.Helper()
	var next chat.ListCursor
	for range 20 {
		page, after, err := s.Runs(w.T.Context(), next, limit)
		if err != nil {
			w.T.Fatal(err)
		}
		said := []string{}
		for _, r := range page {
			said = append(said, string(r.ID), string(r.Status))
			if one := must[store.Run](w.T)(s.Run(w.T.Context(), r.ID)); !reflect.DeepEqual(r, one) {
				w.T.Errorf("listed %+v, read %+v", r, one)
			}
		}
		pages = append(pages, strings.Join(said, " "))
		if next = after; next == "" {
			return pages
		}
	}
	w.T.Fatal("the list has no end")
	return nil
}

// strangeCursors are cursors that no list of threads has made (T is the prefix of its rows), or none of runs (R).
func strangeCursors(prefix string) []chat.ListCursor {
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

// cursors calls a list with cursors that it has not made, which it refuses, and with one of theirs, which says nothing
// but a place in mine's list.
func cursors[T any](c caller, prefix string, list func(before chat.ListCursor) ([]T, chat.ListCursor, error)) error {
	if c.met {
		return nil
	}
	for _, before := range strangeCursors(prefix) {
		if page, next, err := list(before); err == nil || len(page) > 0 || next != "" {
			return fmt.Errorf("the cursor %q gave %+v, %q", before, page, next)
		}
	}
	_, _, err := list(c.theirCursor(prefix))
	return err
}

// theirCursor is behind the newest row of the list that is not mine's.
func (c caller) theirCursor(prefix string) chat.ListCursor {
	_, foreign := c.divide(c.as)
	newest := ""
	for _, i := range foreign {
		if recent := stringOf(i["recent"]); strings.HasPrefix(recent, prefix) {
			newest = max(newest, recent)
		}
	}
	return chat.ListCursor(base64.RawURLEncoding.EncodeToString([]byte(newest)))
}

// listedRuns is the case of Store.Runs.
func (c caller) listedRuns() (any, error) {
	err := cursors(c, "R", func(before chat.ListCursor) ([]store.Run, chat.ListCursor, error) {
		return c.mine.Runs(c.T.Context(), before, 9)
	})
	if err != nil {
		return nil, err
	}
	page, next, err := c.mine.Runs(c.T.Context(), "", 99)
	if err == nil && (next != "" || c.holder != nil && len(page) != 3) {
		err = fmt.Errorf("mine are %+v, behind them %q", page, next)
	}
	return page, err
}
