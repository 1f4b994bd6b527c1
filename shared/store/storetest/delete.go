package storetest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/runqueue"
	"carrel/shared/store"
)

// rename: a new title survives the end of a run that read the thread before.
func rename(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	_, err := alice.Rename(ctx, "t1", "x")
	wantErr(t, "an unknown thread", err, chat.ErrNotFound)
	h := w.Begin(alice, "r1", "t1")
	before := h.Thread()
	renamed := must[store.Thread](t)(alice.Rename(ctx, "t1", "Äpfel"))
	if renamed.Title != "Äpfel" || !renamed.Updated.After(before.Updated) || renamed.Epoch != before.Epoch {
		t.Errorf("renamed %+v to %+v", before, renamed)
	}
	w.Append(h, Started(h))
	ended := w.End(h, Finished(h)) // this lease read the thread before the rename
	if ended.Title != "Äpfel" || !ended.Updated.After(renamed.Updated) || ended.Head != 2 {
		t.Errorf("after the end of the run the thread is %+v", ended)
	}
	if th := w.Complete(alice, "r2", "t1", "x"); th.Title != "Äpfel" {
		t.Errorf("after the next run the thread is %+v", th)
	}
	w.DeleteThread(alice, "t1")
	_, err = alice.Rename(ctx, "t1", "x")
	wantErr(t, "a deleted thread", err, chat.ErrNotFound)
}

// newer: every change of the run queue increases the Updated time of its thread, even if the clock of the writer is
// slow.
func newer(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	slow := As(t, store.New(w.DB, store.Config{
		Name: w.Name, Limits: w.Limits, Now: func() time.Time { return w.Clock.Now().Add(-time.Hour) },
	}), "alice")
	w.Admit(alice, "r1", "t1")
	last := must[store.Thread](t)(alice.Thread(ctx, "t1")).Updated
	h := w.Claim(alice, "r1")
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"a queued run", func() { w.Admit(slow, "r2", "t1") }},
		{"the cancellation of the queued run", func() { must[store.Cancelled](t)(slow.Cancel(ctx, "r2")) }},
		{"another queued run", func() { w.Admit(slow, "r3", "t1") }},
		{"the end of the running run", func() { w.End(h, Started(h), Finished(h)) }},
		{"the start of the queued run", func() { must[[]store.Run](t)(slow.StartQueued(ctx)) }},
	} {
		c.do()
		now := must[store.Thread](t)(alice.Thread(ctx, "t1")).Updated
		if !now.After(last) {
			t.Errorf("%s: updated %v after %v", c.name, now, last)
		}
		last = now
	}
}

// DeleteThread deletes a thread.
func (w *World) DeleteThread(s *store.Store, id chat.ThreadID) store.Thread {
	w.T.Helper()
	th, err := s.Delete(w.T.Context(), id)
	if err != nil {
		w.T.Fatalf("delete %s: %v", id, err)
	}
	return th
}

// deletion: a deleted thread is missing everywhere and accepts no run. A day later its id may name a new thread.
func deletion(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	_, err := alice.Delete(ctx, "t1")
	wantErr(t, "an unknown thread", err, chat.ErrNotFound)
	first := w.Complete(alice, "r1", "t1", "yes")
	w.Complete(alice, "r2", "t2", "stays")
	deleted := w.DeleteThread(alice, "t1")
	if deleted.Title != "" || !deleted.Updated.After(first.Updated) {
		t.Errorf("Delete returned %+v", deleted)
	}
	if again := w.DeleteThread(alice, "t1"); !reflect.DeepEqual(again, deleted) {
		t.Errorf("the second Delete returned %+v, the first %+v", again, deleted)
	}
	_, err = alice.Thread(ctx, "t1")
	wantErr(t, "the deleted thread", err, chat.ErrNotFound)
	if page, _, err := alice.Threads(ctx, "", 9); err != nil || len(page) != 1 || page[0].ID != "t2" {
		t.Errorf("the list: %+v, %v", page, err)
	}
	_, err = alice.Admit(ctx, Asked("r3", "t1"))
	wantErr(t, "a run on the deleted thread", err, chat.ErrNotFound)
	w.Clock.Advance(25 * time.Hour)
	w.Admit(alice, "r4", "t1")
	if th := must[store.Thread](t)(alice.Thread(ctx, "t1")); th.Epoch == first.Epoch || th.Head != 0 {
		t.Errorf("a day later the id names the thread %+v", th)
	}
	if ended := must[[]store.Cancelled](t)(alice.CancelRuns(ctx, "t1")); len(ended) > 0 {
		t.Errorf("runs of a thread that is not deleted were cancelled: %+v", ended)
	}
}

// deletedRuns: after the deletion of a thread every run of the thread ends and releases its slot, and none writes to
// the thread.
func deletedRuns(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	running := w.Begin(alice, "running", "t1")
	w.Append(running, Started(running))
	w.Admit(alice, "queued", "t1")
	w.Admit(alice, "other", "t2")
	unclaimed := w.Admit(alice, "unclaimed", "t3").Run.ID
	w.DeleteThread(alice, "t1")
	w.DeleteThread(alice, "t3")
	late := w.Claim(alice, unclaimed) // before its cancellation
	if !late.Deleted() || running.Deleted() {
		t.Errorf("Deleted: %v if claimed after the deletion, want true; %v if claimed before, want false",
			late.Deleted(), running.Deleted())
	}
	_, err := late.Append(ctx, []agui.Event{Started(late)})
	wantErr(t, "an append to a deleted thread", err, store.ErrDeleted)
	ended := must[[]store.Cancelled](t)(alice.CancelRuns(ctx, "t1"))
	if len(ended) != 2 || ended[0].Run.ID != "running" || ended[0].Ended || !ended[0].Run.CancelRequested ||
		ended[1].Run.ID != "queued" || !ended[1].Ended {
		t.Errorf("cancelled %+v", ended)
	}
	cancelled := agui.Event{Type: agui.RunFinished, Outcome: &agui.Outcome{Type: agui.OutcomeCancelled}}
	for _, h := range []*store.Lease{running, late} {
		_, err := h.End(ctx, []agui.Event{cancelled})
		wantErr(t, "the end of "+string(h.Run().ID), err, store.ErrDeleted)
		fenced(t, h)
		if r := must[store.Run](t)(alice.Run(ctx, h.Run().ID)); r.Status != chat.RunCancelled || r.Ended.IsZero() {
			t.Errorf("ended: %+v", r)
		}
	}
	q := must[runqueue.Queue](t)(alice.RunQueue(ctx))
	if len(q.Queued) > 0 || len(q.Slots) != 1 || q.Status("t2") != chat.ThreadRunning {
		t.Errorf("the run queue: %+v", q)
	}
	if th, err := alice.Delete(ctx, "t1"); err != nil || th.Head != 0 {
		t.Errorf("the deleted thread is %+v, %v", th, err)
	}
}

// erasure: two passes, the second 20 minutes after the deletion, remove everything of a deleted thread but its deletion
// mark.
func erasure(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	var th store.Thread
	for i := range 12 {
		th = w.Complete(alice, chat.RunID(fmt.Sprint("r", i)), "t1", "secret")
	}
	stays := w.Complete(alice, "r", "t10", "stays")
	running := w.Begin(alice, "running", "t1")
	e := store.Erasure{Thread: "t1", Epoch: th.Epoch}
	erase := func() {
		t.Helper()
		if err := alice.Erase(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	if erase(); w.left("alice", "t1") != 48 {
		t.Errorf("the erasure of a thread that is not deleted left %d items, want 48", w.left("alice", "t1"))
	}
	w.DeleteThread(alice, "t1")
	due := func() string {
		for _, l := range must[[]store.LiveEntry](t)(w.Table.Live(ctx)) {
			if l.Run == "" && l.Erasure == e {
				return l.Due.Sub(w.Clock.Now()).Round(time.Minute).String()
			}
		}
		return "never"
	}
	if at := due(); at != "0s" {
		t.Errorf("the first pass is due in %s", at)
	}
	if erase(); w.left("alice", "t1") != 0 || due() != "20m0s" {
		t.Errorf("the first pass left %d items; the second is due in %s", w.left("alice", "t1"), due())
	}
	w.Append(running, Started(running)) // its worker does not know of the deletion yet
	_, err := running.End(ctx, []agui.Event{Finished(running)})
	wantErr(t, "the end of a run", err, store.ErrDeleted)
	w.Clock.Advance(20 * time.Minute)
	if erase(); w.left("alice", "t1") != 0 || due() != "never" {
		t.Errorf("the second pass left %d items; another is due in %s", w.left("alice", "t1"), due())
	}
	if _, err := alice.Thread(ctx, "t1"); err == nil || w.left("alice", "t10") != 4 || stays.Epoch == "" {
		t.Errorf("after both passes: read the thread: %v; the other thread has %d items", err, w.left("alice", "t10"))
	}
	erase() // a repeated pass changes nothing
}

// left counts the log records and transcripts of a thread, in every epoch. It reads the table without the store.
func (w *World) left(subject string, thread chat.ThreadID) int {
	w.T.Helper()
	n, prefix := 0, "U#"+chattest.User(w.T, subject).Key()+"#T#"+string(thread)+"#"
	pages := dynamodb.NewScanPaginator(w.DB, &dynamodb.ScanInput{TableName: &w.Name, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.T.Context())
		if err != nil {
			w.T.Fatal(err)
		}
		for _, item := range page.Items {
			if pk, ok := item["pk"].(*types.AttributeValueMemberS); ok && strings.HasPrefix(pk.Value, prefix) {
				n++
			}
		}
	}
	return n
}

// createdAgain: a run whose thread was deleted and created again does not write to the new thread.
func createdAgain(t *testing.T, w *World) {
	alice := w.As("alice")
	w.Admit(alice, "r1", "t1")
	w.DeleteThread(alice, "t1")
	w.Clock.Advance(25 * time.Hour)
	w.Admit(alice, "r2", "t1")
	h := w.Claim(alice, "r1")
	_, err := h.Append(t.Context(), []agui.Event{Started(h)})
	wantErr(t, "an append to the new thread", err, store.ErrDeleted)
	if !h.Deleted() {
		t.Error("the run belongs to the new thread")
	}
}
