package storetest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
	"carrel/shared/runqueue"
	"carrel/shared/store"
)

// admission: the first run of a thread is admitted and creates the thread. Further runs of the thread are queued.
func admission(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	a := w.Admit(alice, "r1", "t1")
	if a.Run.Status != chat.RunAdmitted || !a.Invoke || a.Repeat || a.Position != 0 || a.Run.Thread != "t1" {
		t.Errorf("admit the first run: %+v", a)
	}
	thread := must[store.Thread](t)(alice.Thread(ctx, "t1"))
	if thread.Epoch == "" || thread.Head != 0 || thread.Title != "title of t1" || thread.Created.IsZero() {
		t.Errorf("the thread of the first run: %+v", thread)
	}
	if got := must[store.Admission](t)(alice.Input(ctx, "r1")); !reflect.DeepEqual(got,
		inputOf(Asked("r1", "t1"))) {
		t.Errorf("the input of the first run: %+v", got)
	}
	for i, want := range []store.Admitted{{Position: 1}, {Position: 2}} {
		run := chat.RunID(fmt.Sprint("w", i))
		if a := w.Admit(alice, run, "t1"); a.Run.Status != chat.RunQueued || a.Invoke || a.Position != want.Position {
			t.Errorf("queued run %d: %+v", i, a)
		}
	}
	if again := must[store.Thread](t)(alice.Thread(ctx, "t1")); again.Epoch != thread.Epoch {
		t.Errorf("the thread's epoch changed from %s to %s", thread.Epoch, again.Epoch)
	}
	queue := must[runqueue.Queue](t)(alice.RunQueue(ctx))
	if len(queue.Slots) != 1 || queue.Slots["r1"] != "t1" || len(queue.Queued) != 2 {
		t.Errorf("the run queue: %+v", queue)
	}
	if got := must[store.Run](t)(alice.Run(ctx, "r1")); !reflect.DeepEqual(got, a.Run) {
		t.Errorf("Run returns %+v, Admit returned %+v", got, a.Run)
	}
}

// admissionRepeated: a repeated admission returns the run in its current state. Invoke is set only before the claim.
func admissionRepeated(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	w.Admit(alice, "r1", "t1")
	w.Admit(alice, "r2", "t1")
	if a := w.Admit(alice, "r1", "t1"); !a.Repeat || !a.Invoke || a.Run.Status != chat.RunAdmitted {
		t.Errorf("admit again before the claim: %+v", a)
	}
	if a := w.Admit(alice, "r2", "t1"); !a.Repeat || a.Invoke || a.Position != 1 {
		t.Errorf("admit again while it is queued: %+v", a)
	}
	h := w.Claim(alice, "r1")
	if a := w.Admit(alice, "r1", "t1"); !a.Repeat || a.Invoke || a.Run.Status != chat.RunRunning {
		t.Errorf("admit again while it runs: %+v", a)
	}
	w.End(h, Started(h), Finished(h))
	if a := w.Admit(alice, "r1", "t1"); !a.Repeat || a.Invoke || a.Run.Status != chat.RunFinished {
		t.Errorf("admit again after its end: %+v", a)
	}
	_, err := alice.Admit(ctx, Asked("r1", "t2"))
	wantTaken(t, "the same run id on another thread", err, -1)
	_, err = alice.Thread(ctx, "t2")
	wantErr(t, "the other thread", err, chat.ErrNotFound)
}

// admissionRefused: a busy thread with policy reject, a full queue and bad ids are errors, and no run is stored.
func admissionRefused(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	for i := range 5 {
		w.Admit(alice, chat.RunID(fmt.Sprint("r", i)), chat.ThreadID(fmt.Sprint("t", i)))
	}
	busy := Asked("x", "t1")
	busy.WhenBusy = chat.Reject
	_, err := alice.Admit(ctx, busy)
	wantErr(t, "policy reject on a busy thread", err, chat.ErrBusy)
	for i := range 20 {
		if a := w.Admit(alice, chat.RunID(fmt.Sprint("w", i)), "t9"); a.Position != i+1 {
			t.Errorf("queued run %d has position %d", i, a.Position)
		}
	}
	_, err = alice.Admit(ctx, Asked("x", "t8"))
	wantErr(t, "a full queue", err, chat.ErrTooManyRuns)
	_, err = alice.Run(ctx, "x")
	wantErr(t, "the record of a rejected run", err, chat.ErrNotFound)
	for _, bad := range []store.Admission{Asked("a#b", "t1"), Asked("", "t1"), Asked("r", "t#1"), Asked("r", "")} {
		_, err := alice.Admit(ctx, bad)
		wantErr(t, fmt.Sprintf("run %q on thread %q", bad.Run, bad.Thread), err, chat.ErrBadID)
	}
}

// admissionOfDeleted: a deleted thread and a user who is being erased accept no run.
func admissionOfDeleted(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	w.Complete(alice, "r1", "t1", "yes")
	w.Delete("alice", "t1")
	_, err := alice.Admit(ctx, Asked("r2", "t1"))
	wantErr(t, "a run on a deleted thread", err, chat.ErrNotFound)
	_, err = alice.Thread(ctx, "t1")
	wantErr(t, "a deleted thread", err, chat.ErrNotFound)
	if page, _, err := alice.Threads(ctx, "", 9); err != nil || len(page) > 0 {
		t.Errorf("a deleted thread is listed: %v, %v", page, err)
	}
	w.set(item("U#alice", "QUEUE"), "erasing", &types.AttributeValueMemberBOOL{Value: true})
	_, err = alice.Admit(ctx, Asked("r3", "t3"))
	wantErr(t, "a run of a user who is being erased", err, chat.ErrErasing)
	_, _, err = alice.Runs(ctx, "", 9)
	wantErr(t, "the runs of a user who is being erased", err, chat.ErrErasing)
}

// interrupt: a run with policy interrupt is queued and requests the cancellation of the running run.
func interrupt(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	a := Asked("r2", "t1")
	a.WhenBusy = chat.Interrupt
	if got := must[store.Admitted](t)(alice.Admit(ctx, a)); got.Run.Status != chat.RunQueued {
		t.Errorf("the interrupting run: %+v", got)
	}
	if !must[bool](t)(h.CancelRequested(ctx)) {
		t.Error("no cancellation was requested for the running run")
	}
}

// slotsOfEndedRuns: a slot is free if its run has ended or has no record, even though the slot was never released.
func slotsOfEndedRuns(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	for i := range 5 {
		w.Admit(alice, chat.RunID(fmt.Sprint("r", i)), chat.ThreadID(fmt.Sprint("t", i)))
	}
	w.set(item("U#alice", "RUN#r1"), "status", &types.AttributeValueMemberS{Value: "failed"})
	if _, err := w.DB.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &w.Name,
		Key: item("U#alice", "RUN#r2")}); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(time.Minute) // every lease and deadline has expired: their runs keep their slots
	for i, want := range []chat.RunStatus{chat.RunAdmitted, chat.RunAdmitted, chat.RunQueued} {
		if a := w.Admit(alice, chat.RunID(fmt.Sprint("x", i)),
			chat.ThreadID(fmt.Sprint("x", i))); a.Run.Status != want {
			t.Errorf("run %d is %s, want %s", i, a.Run.Status, want)
		}
	}
}

// cancel: a queued or admitted run ends at once, and a running run gets a request. A cancellation of an unknown run
// stores nothing.
func cancel(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "running", "t1")
	w.Admit(alice, "queued", "t1")
	w.Admit(alice, "admitted", "t2")
	for _, c := range []struct {
		run   chat.RunID
		want  chat.RunStatus
		ended bool
	}{
		{"running", chat.RunRunning, false},
		{"queued", chat.RunCancelled, true},
		{"queued", chat.RunCancelled, false}, // again
		{"admitted", chat.RunCancelled, true},
	} {
		got := must[store.Cancelled](t)(alice.Cancel(ctx, c.run))
		if got.Run.Status != c.want || got.Ended != c.ended || got.Run.Thread == "" {
			t.Errorf("cancel %s: %+v", c.run, got)
		}
	}
	if q := must[runqueue.Queue](t)(alice.RunQueue(ctx)); len(q.Slots) != 1 || len(q.Queued) != 0 {
		t.Errorf("the run queue: %+v", q)
	}
	if !must[bool](t)(h.CancelRequested(ctx)) {
		t.Error("no cancellation was requested for the running run")
	}
	_, err := alice.Claim(ctx, "admitted")
	wantErr(t, "claim of a cancelled run", err, chat.ErrNotClaimed)
	before := len(w.items())
	_, err = alice.Cancel(ctx, "unknown")
	wantErr(t, "cancel of an unknown run", err, chat.ErrNotFound)
	if stored := len(w.items()) - before; stored != 0 {
		t.Errorf("the cancel of an unknown run stored %d items", stored)
	}
	if a := w.Admit(alice, "unknown", "t3"); a.Repeat || !a.Invoke {
		t.Errorf("a run whose id was cancelled before its admission: %+v", a)
	}
	w.End(h, Started(h), Finished(h))
	if got := must[store.Cancelled](t)(alice.Cancel(ctx, "running")); got.Run.Status != chat.RunFinished || got.Ended {
		t.Errorf("cancel of a run that has ended: %+v", got)
	}
}

// startQueued: a queued run is started once, after the running run of its thread has ended.
func startQueued(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	if got := must[[]store.Run](t)(alice.StartQueued(ctx)); len(got) > 0 {
		t.Errorf("an empty run queue started %v", got)
	}
	h := w.Begin(alice, "r1", "t1")
	w.Admit(alice, "r2", "t1")
	w.Admit(alice, "r3", "t1")
	if got := must[[]store.Run](t)(alice.StartQueued(ctx)); len(got) > 0 {
		t.Errorf("started while the thread has a running run: %v", got)
	}
	w.End(h, Started(h), Finished(h))
	got := must[[]store.Run](t)(alice.StartQueued(ctx))
	if len(got) != 1 || got[0].ID != "r2" || got[0].Status != chat.RunAdmitted {
		t.Errorf("started %+v", got)
	}
	if got := must[[]store.Run](t)(alice.StartQueued(ctx)); len(got) > 0 {
		t.Errorf("started again: %v", got)
	}
	h = w.Claim(alice, "r2")
	if h.Thread().Head != 2 {
		t.Errorf("the next run begins at head %d, want 2", h.Thread().Head)
	}
}

// startQueuedSkipsEnded: a queued run that has already ended does not block the queued runs after it.
func startQueuedSkipsEnded(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Admit(alice, "ended", "t1")
	w.Admit(alice, "r2", "t1")
	w.set(item("U#alice", "RUN#ended"), "status", &types.AttributeValueMemberS{Value: "cancelled"})
	w.End(h, Started(h), Finished(h))
	must[[]store.Run](t)(alice.StartQueued(ctx))
	if got := must[store.Run](t)(alice.Run(ctx, "r2")); got.Status != chat.RunAdmitted {
		t.Errorf("the run after the ended run is %s", got.Status)
	}
}
