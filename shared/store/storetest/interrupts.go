package storetest

import (
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
)

func suspended(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Admit(alice, "w1", "t1")
	th := w.End(h, Started(h), Asking(h, time.Time{}, "q1", "q2"))
	if got := must[store.Thread](t)(alice.Thread(ctx, "t1")); !reflect.DeepEqual(got, th) || len(th.Interrupts) != 2 {
		t.Errorf("the thread is %+v, was answered %+v", got, th)
	}
	if at, err := time.Parse(time.RFC3339, th.Interrupts[0].ExpiresAt); err != nil ||
		at.Sub(w.Clock.Now()).Round(time.Minute) != 24*time.Hour {
		t.Errorf("they expire at %q, %v", th.Interrupts[0].ExpiresAt, err)
	}
	if r := must[store.Run](t)(alice.Run(ctx, "r1")); r.Status != chat.RunSuspended || !r.Status.Terminal() {
		t.Errorf("the run is %s", r.Status)
	}
	if got := must[[]store.Run](t)(alice.StartQueued(ctx)); len(got) > 0 {
		t.Errorf("started behind questions: %v", got)
	}
	for what, a := range map[string]store.Admission{
		"no answer": Asked("x", "t1"), "half an answer": Answering("x", "t1", "q1"),
		"another":      Answering("x", "t1", "q1", "q3"),
		"one too many": Answering("x", "t1", "q1", "q2", "q3"), "one twice": Answering("x", "t1", "q1", "q2", "q1"),
	} {
		_, err := alice.Admit(ctx, a)
		wantInterrupted(t, what, err, "q1", "q2")
	}
	_, err := alice.Admit(ctx, Answering("x", "t2", "q1"))
	wantInterrupted(t, "answers on another thread", err)
	_, err = alice.Run(ctx, "x")
	wantErr(t, "a refused run's record", err, chat.ErrNotFound)
	w.Admit(alice, "r2", "t2") // another thread is free

	if a := must[store.Admitted](t)(alice.Admit(ctx, Answering("r3", "t1", "q2",
		"q1"))); a.Run.Status != chat.RunAdmitted {
		t.Errorf("the answering run: %+v", a)
	}
	w.wantOpen(alice, "t1")
	in := w.Claim(alice, "r3").Input()
	if len(in.Responses) != 2 || !reflect.DeepEqual(in.Responses[0].Interrupt, th.Interrupts[0]) ||
		in.Responses[1].Resume.InterruptID != "q2" {
		t.Errorf("what the answering run goes on from: %+v", in.Responses)
	}
	if a := must[store.Admitted](t)(alice.Admit(ctx, Answering("r3", "t1", "q2", "q1"))); !a.Repeat ||
		a.Run.Status != chat.RunRunning {
		t.Errorf("repeated, its questions gone: %+v", a)
	}
	_, err = alice.Admit(ctx, Answering("r4", "t1", "q1", "q2"))
	wantInterrupted(t, "another device's answer", err)
}

// answersGoFirst: a run that answers does not wait behind those that its thread's questions kept waiting.
func answersGoFirst(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Admit(alice, "w1", "t1")
	w.End(h, Started(h), Asking(h, time.Time{}, "q1"))
	busy := []*store.Lease{}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		busy = append(busy, w.Begin(alice, chat.RunID(id), chat.ThreadID(id)))
	}
	w.Admit(alice, "w2", "t2")
	if a := must[store.Admitted](t)(alice.Admit(ctx, Answering("r2", "t1", "q1"))); a.Run.Status != chat.RunQueued ||
		a.Position != 1 {
		t.Errorf("the answering run: %+v", a)
	}
	w.wantOpen(alice, "t1")
	for _, want := range []chat.RunID{"r2", "w2"} {
		w.End(busy[0], Started(busy[0]), Finished(busy[0]))
		busy = busy[1:]
		if got := must[[]store.Run](t)(alice.StartQueued(ctx)); len(got) != 1 || got[0].ID != want {
			t.Errorf("started %v, want %s", got, want)
		}
	}
	h = w.Claim(alice, "r2")
	w.End(h, Started(h), Finished(h))
	if got := must[[]store.Run](t)(alice.StartQueued(ctx)); len(got) != 1 || got[0].ID != "w1" {
		t.Errorf("started %v, want w1", got)
	}
}

// answersTakenBack: what a run was to answer is open again if it ends before it began.
func answersTakenBack(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	want := w.suspend(alice, "r1", "t1", "q1", "q2").Interrupts
	must[store.Admitted](t)(alice.Admit(ctx, Answering("admitted", "t1", "q1", "q2")))
	w.wantOpen(alice, "t1")
	must[store.Cancelled](t)(alice.Cancel(ctx, "admitted"))
	w.wantOpen(alice, "t1", "q1", "q2")
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		w.Begin(alice, chat.RunID(id), chat.ThreadID(id))
	}
	must[store.Admitted](t)(alice.Admit(ctx, Answering("queued", "t1", "q1", "q2")))
	must[store.Cancelled](t)(alice.Cancel(ctx, "queued"))
	w.wantOpen(alice, "t1", "q1", "q2")
	must[store.Admitted](t)(alice.Admit(ctx, Answering("late", "t1", "q1", "q2")))
	w.Clock.Advance(61 * time.Minute)
	must[store.Run](t)(alice.ExpireQueued(ctx, "late"))
	if got := must[store.Thread](t)(alice.Thread(ctx, "t1")).Interrupts; !reflect.DeepEqual(got, want) {
		t.Errorf("open again are %+v, were %+v", got, want)
	}
	_, err := alice.Admit(ctx, Asked("x", "t1"))
	wantInterrupted(t, "a run without answers", err, "q1", "q2")
}

// questionsExpire: then the thread is free again, and a late answer is told so.
func questionsExpire(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Admit(alice, "w1", "t1")
	soon := Asking(h, w.Clock.Now().Add(time.Hour), "q1")
	soon.Outcome.Interrupts = append(soon.Outcome.Interrupts, Asking(h, time.Time{}, "q2").Outcome.Interrupts...)
	w.End(h, Started(h), soon)
	w.Clock.Advance(2 * time.Hour)
	w.wantOpen(alice, "t1", "q2")
	a := Answering("r2", "t1", "q1", "q2") // q1 too late
	must[store.Admitted](t)(alice.Admit(ctx, a))
	h = w.Claim(alice, "r2")
	if in := h.Input().Responses; len(in) != 2 || in[0].Resume.Status != agui.ResumeCancelled ||
		in[1].Resume.Status != agui.ResumeResolved {
		t.Errorf("the answers: %+v", in)
	}
	w.End(h, Started(h), Asking(h, w.Clock.Now().Add(99*time.Hour), "q3"))
	w.Clock.Advance(25 * time.Hour)
	w.wantOpen(alice, "t1")
	_, err := alice.Admit(ctx, Answering("r3", "t1", "q3"))
	wantInterrupted(t, "an answer too late", err)
	if got := must[[]store.Run](t)(alice.StartQueued(ctx)); len(got) != 1 || got[0].ID != "w1" {
		t.Errorf("started %v, want w1", got)
	}
}

// queuedBehindInterrupts: a run behind questions waits for as long as they do, and its input is kept.
func queuedBehindInterrupts(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Admit(alice, "w1", "t1")
	w.End(h, Started(h), Asking(h, time.Time{}, "q1"))
	w.Clock.Advance(61 * time.Minute)
	_, err := alice.ExpireQueued(ctx, "w1")
	wantErr(t, "one that waits for a person", err, chat.ErrNotClaimed)
	if ahead := must[store.Run](t)(alice.Run(ctx,
		"w1")).Deadline.Sub(w.Clock.Now()).Round(time.Minute); ahead != 24*time.Hour-time.Minute {
		t.Errorf("the deadline is %s ahead", ahead)
	}
	w.Clock.Advance(23 * time.Hour)
	if left := time.Unix(numberOf(w.input("w1")["expires"]), 0).Sub(w.Clock.Now()); left < 90*time.Minute {
		t.Errorf("the waiting run's input goes in %s, before the run", left)
	}
	w.Clock.Advance(3 * time.Hour)
	if r := must[store.Run](t)(alice.ExpireQueued(ctx, "w1")); r.Status != chat.RunCancelled {
		t.Errorf("an hour beyond: %+v", r)
	}
}

// lostInput: a run of which nobody knows any more what it was asked need not wait for a person.
func lostInput(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Admit(alice, "w1", "t1")
	w.End(h, Started(h), Asking(h, time.Time{}, "q1"))
	in := w.input("w1")
	if _, err := w.DB.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &w.Name,
		Key: item(stringOf(in["pk"]), stringOf(in["sk"]))}); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(61 * time.Minute)
	if r := must[store.Run](t)(alice.ExpireQueued(ctx, "w1")); r.Status != chat.RunCancelled {
		t.Errorf("expired: %+v", r)
	}
}

// deletedQuestions: they go with their thread at once, since they hold what a tool was to be called with.
func deletedQuestions(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	w.suspend(alice, "r1", "t1", "q1")
	must[store.Admitted](t)(alice.Admit(ctx, Answering("r2", "t1", "q1")))
	h := w.Claim(alice, "r2")
	w.End(h, Started(h), Asking(h, time.Time{}, "q2"))
	if th := must[store.Thread](t)(alice.Delete(ctx, "t1")); len(th.Interrupts) > 0 {
		t.Errorf("the deleted thread waits with %v", th.Interrupts)
	}
	for _, i := range w.items() {
		if stringOf(i["open"]) != "" {
			t.Errorf("the questions are still there: %v", textOf(i))
		}
	}
	_, err := alice.Admit(ctx, Answering("r3", "t1", "q2"))
	wantErr(t, "an answer to them", err, chat.ErrNotFound)
}

// interrupting: it goes directly behind the run that it interrupts, and the other waiting ones behind it.
func interrupting(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Admit(alice, "w1", "t1")
	for _, run := range []chat.RunID{"i1", "i2"} {
		a := Asked(run, "t1")
		a.WhenBusy = chat.Interrupt
		must[store.Admitted](t)(alice.Admit(ctx, a))
	}
	if !must[bool](t)(h.CancelRequested(ctx)) {
		t.Error("the running run was not asked to stop")
	}
	w.End(h, Started(h), Finished(h))
	for _, want := range []chat.RunID{"i1", "i2", "w1"} {
		if got := must[[]store.Run](t)(alice.StartQueued(ctx)); len(got) != 1 || got[0].ID != want {
			t.Fatalf("started %v, want %s", got, want)
		}
		h = w.Claim(alice, want)
		w.End(h, Started(h), Finished(h))
	}
}
