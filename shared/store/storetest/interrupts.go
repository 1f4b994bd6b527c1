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

// suspended: a thread that awaits input starts no run and admits only a run with a response to every open interrupt.
func suspended(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Admit(alice, "w1", "t1")
	th := w.End(h, Started(h), Asking(h, time.Time{}, "q1", "q2"))
	if got := must[store.Thread](t)(alice.Thread(ctx, "t1")); !reflect.DeepEqual(got, th) || len(th.Interrupts) != 2 {
		t.Errorf("Thread returned %+v, End returned %+v", got, th)
	}
	if at, err := time.Parse(time.RFC3339, th.Interrupts[0].ExpiresAt); err != nil ||
		at.Sub(w.Clock.Now()).Round(time.Minute) != 24*time.Hour {
		t.Errorf("the interrupts expire at %q, %v; want 24 hours ahead", th.Interrupts[0].ExpiresAt, err)
	}
	if r := must[store.Run](t)(alice.Run(ctx, "r1")); r.Status != chat.RunSuspended || !r.Status.Terminal() {
		t.Errorf("the run is %s", r.Status)
	}
	if got := must[[]store.Run](t)(alice.StartQueued(ctx)); len(got) > 0 {
		t.Errorf("started while the thread awaits input: %v", got)
	}
	for name, a := range map[string]store.Admission{
		"no response":                    Asked("x", "t1"),
		"a response is missing":          Answering("x", "t1", "q1"),
		"an unknown interrupt":           Answering("x", "t1", "q1", "q3"),
		"one response too many":          Answering("x", "t1", "q1", "q2", "q3"),
		"two responses to one interrupt": Answering("x", "t1", "q1", "q2", "q1"),
	} {
		_, err := alice.Admit(ctx, a)
		wantInterrupted(t, name, err, "q1", "q2")
	}
	_, err := alice.Admit(ctx, Answering("x", "t2", "q1"))
	wantInterrupted(t, "responses on another thread", err)
	_, err = alice.Run(ctx, "x")
	wantErr(t, "the record of a rejected run", err, chat.ErrNotFound)
	w.Admit(alice, "r2", "t2") // another thread is not affected

	responding := must[store.Admitted](t)(alice.Admit(ctx, Answering("r3", "t1", "q2", "q1")))
	if responding.Run.Status != chat.RunAdmitted {
		t.Errorf("the responding run: %+v", responding)
	}
	w.wantOpen(alice, "t1")
	in := w.Claim(alice, "r3").Input()
	if len(in.Responses) != 2 || !reflect.DeepEqual(in.Responses[0].Interrupt, th.Interrupts[0]) ||
		in.Responses[1].Resume.InterruptID != "q2" {
		t.Errorf("the responses in the input of the responding run: %+v", in.Responses)
	}
	repeated := must[store.Admitted](t)(alice.Admit(ctx, Answering("r3", "t1", "q2", "q1")))
	if !repeated.Repeat || repeated.Run.Status != chat.RunRunning {
		t.Errorf("admit again after its interrupts were closed: %+v", repeated)
	}
	_, err = alice.Admit(ctx, Answering("r4", "t1", "q1", "q2"))
	wantInterrupted(t, "the responses of another device", err)
}

// responsesGoFirst: a responding run is started before the runs that were queued while its thread awaited input.
func responsesGoFirst(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Admit(alice, "w1", "t1")
	w.End(h, Started(h), Asking(h, time.Time{}, "q1"))
	busy := []*store.Lease{}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		busy = append(busy, w.Begin(alice, chat.RunID(id), chat.ThreadID(id)))
	}
	w.Admit(alice, "w2", "t2")
	responding := must[store.Admitted](t)(alice.Admit(ctx, Answering("r2", "t1", "q1")))
	if responding.Run.Status != chat.RunQueued || responding.Position != 1 {
		t.Errorf("the responding run: %+v", responding)
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

// responsesWithdrawn: if a responding run is cancelled or expires before its claim, its interrupts are open again.
func responsesWithdrawn(t *testing.T, w *World) {
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
		t.Errorf("the reopened interrupts are %+v, were %+v", got, want)
	}
	_, err := alice.Admit(ctx, Asked("x", "t1"))
	wantInterrupted(t, "a run without responses", err, "q1", "q2")
}

// interruptsExpire: an expired interrupt no longer blocks its thread, and a response to it is rejected or counts as a
// refusal.
func interruptsExpire(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	w.Admit(alice, "w1", "t1")
	soon := Asking(h, w.Clock.Now().Add(time.Hour), "q1")
	soon.Outcome.Interrupts = append(soon.Outcome.Interrupts, Asking(h, time.Time{}, "q2").Outcome.Interrupts...)
	w.End(h, Started(h), soon)
	w.Clock.Advance(2 * time.Hour)
	w.wantOpen(alice, "t1", "q2")
	a := Answering("r2", "t1", "q1", "q2") // q1 has expired
	must[store.Admitted](t)(alice.Admit(ctx, a))
	h = w.Claim(alice, "r2")
	if in := h.Input().Responses; len(in) != 2 || in[0].Resume.Status != agui.ResumeCancelled ||
		in[1].Resume.Status != agui.ResumeResolved {
		t.Errorf("the responses: %+v", in)
	}
	w.End(h, Started(h), Asking(h, w.Clock.Now().Add(99*time.Hour), "q3"))
	w.Clock.Advance(25 * time.Hour)
	w.wantOpen(alice, "t1")
	_, err := alice.Admit(ctx, Answering("r3", "t1", "q3"))
	wantInterrupted(t, "a response after the expiry", err)
	if got := must[[]store.Run](t)(alice.StartQueued(ctx)); len(got) != 1 || got[0].ID != "w1" {
		t.Errorf("started %v, want w1", got)
	}
}

// queuedBehindInterrupts: a run that is queued on a thread with open interrupts does not expire before they do, and its
// input does not expire before the run.
func queuedBehindInterrupts(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	must[store.Admitted](t)(alice.Admit(ctx, AskedLong("w1", "t1")))
	w.End(h, Started(h), Asking(h, time.Time{}, "q1"))
	w.Clock.Advance(61 * time.Minute)
	_, err := alice.ExpireQueued(ctx, "w1")
	wantErr(t, "a run on a thread that awaits input", err, chat.ErrNotClaimed)
	if ahead := must[store.Run](t)(alice.Run(ctx,
		"w1")).Deadline.Sub(w.Clock.Now()).Round(time.Minute); ahead != 24*time.Hour-time.Minute {
		t.Errorf("the deadline is %s ahead", ahead)
	}
	w.Clock.Advance(23 * time.Hour)
	if left := time.Unix(numberOf(w.input("w1")["expires"]), 0).Sub(w.Clock.Now()); left < 90*time.Minute {
		t.Errorf("the input of the queued run expires in %s, before the run", left)
	}
	w.Clock.Advance(3 * time.Hour)
	if r := must[store.Run](t)(alice.ExpireQueued(ctx, "w1")); r.Status != chat.RunCancelled {
		t.Errorf("the run an hour after its deadline: %+v", r)
	}
}

// lostInput: a queued run without an input item expires at its usual deadline, even if its thread awaits input.
func lostInput(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.Begin(alice, "r1", "t1")
	must[store.Admitted](t)(alice.Admit(ctx, AskedLong("w1", "t1")))
	w.End(h, Started(h), Asking(h, time.Time{}, "q1"))
	in := w.input("w1")
	if _, err := w.DB.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &w.Name,
		Key: item(stringOf(in["pk"]), stringOf(in["sk"]))}); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(61 * time.Minute)
	if r := must[store.Run](t)(alice.ExpireQueued(ctx, "w1")); r.Status != chat.RunCancelled {
		t.Errorf("the run without input: %+v", r)
	}
}

// deletedInterrupts: the deletion of a thread deletes its interrupts at once, because they hold the arguments of tool
// calls.
func deletedInterrupts(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	w.suspend(alice, "r1", "t1", "q1")
	must[store.Admitted](t)(alice.Admit(ctx, Answering("r2", "t1", "q1")))
	h := w.Claim(alice, "r2")
	w.End(h, Started(h), Asking(h, time.Time{}, "q2"))
	if th := must[store.Thread](t)(alice.Delete(ctx, "t1")); len(th.Interrupts) > 0 {
		t.Errorf("the deleted thread has the interrupts %v", th.Interrupts)
	}
	for _, i := range w.items() {
		if stringOf(i["open"]) != "" {
			t.Errorf("the interrupts are still stored: %v", textOf(i))
		}
	}
	_, err := alice.Admit(ctx, Answering("r3", "t1", "q2"))
	wantErr(t, "a response to a deleted interrupt", err, chat.ErrNotFound)
}

// interrupting: runs with policy interrupt start directly after the run that they interrupt, before the other queued
// runs.
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
		t.Error("no cancellation was requested for the running run")
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
