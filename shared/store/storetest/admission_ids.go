package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
)

// admissionChanged: a run id names one run, so the same id with anything else in it is refused, whatever became of the first.
func admissionChanged(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.suspend(alice, "asks", "t1", "i1")
	first := Answering("r1", h.ID, "i1")
	first.Messages = Asked("r1", h.ID).Messages
	first.Judge = func(a *store.Admission) error { a.Agent = "the one that asked"; return nil }
	must[store.Admitted](t)(alice.Admit(ctx, first))
	other := func(change func(*store.Admission)) store.Admission {
		a := first
		a.Messages, a.Responses = slices.Clone(first.Messages), slices.Clone(first.Responses)
		change(&a)
		return a
	}
	changed := map[string]store.Admission{
		"another text":   other(func(a *store.Admission) { a.Messages[0].Content = "something else" }),
		"other metadata": other(func(a *store.Admission) { a.Messages[0].Metadata = json.RawMessage(`{"a":1}`) }),
		"another id":     other(func(a *store.Admission) { a.Messages[0].ID = "r1.2" }),
		"a second message": other(func(a *store.Admission) {
			a.Messages = append(a.Messages, agui.Message{ID: "r1.2", Role: agui.RoleUser, Content: "and"})
		}),
		"a refusal":     other(func(a *store.Admission) { a.Responses[0].Resume.Status = agui.ResumeCancelled }),
		"no answer":     other(func(a *store.Admission) { a.Responses = nil }),
		"another agent": other(func(a *store.Admission) { a.Agent = "another" }),
	}
	compare := func(when string) {
		t.Helper()
		if a := must[store.Admitted](t)(alice.Admit(ctx, first)); !a.Repeat {
			t.Errorf("%s the same is not taken as a repeat: %+v", when, a)
		}
		for what, a := range changed {
			_, err := alice.Admit(ctx, a)
			wantTaken(t, when+" "+what, err, -1)
		}
	}
	compare("before the claim")
	holder := w.Claim(alice, "r1")
	compare("while it runs")
	w.End(holder, Started(holder), Finished(holder))
	compare("after its end")
	if got := must[store.Admission](t)(alice.Input(ctx, "r1")); got.Messages[0].Content != first.Messages[0].Content {
		t.Errorf("its input is now %+v", got)
	}
}

// messageIDsAreUnique: a thread has a message id once, another thread may have it too.
func messageIDsAreUnique(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	with := func(run chat.RunID, thread chat.ThreadID, ids ...string) store.Admission {
		a := Asked(run, thread)
		a.Messages = nil
		for _, id := range ids {
			a.Messages = append(a.Messages, agui.Message{ID: id, Role: agui.RoleUser, Content: "hi"})
		}
		return a
	}
	must[store.Admitted](t)(alice.Admit(ctx, with("r1", "t1", "r1.1", "m")))
	if a := must[store.Admitted](t)(alice.Admit(ctx, with("r1", "t1", "r1.1", "m"))); !a.Repeat {
		t.Errorf("the same run again: %+v", a)
	}
	_, err := alice.Admit(ctx, with("r2", "t1", "r2.1", "n", "m"))
	wantTaken(t, "the id again", err, 2)
	_, err = alice.Run(ctx, "r2")
	wantErr(t, "the refused run", err, chat.ErrNotFound)
	must[store.Admitted](t)(alice.Admit(ctx, with("r3", "t1", "n")))
	must[store.Admitted](t)(alice.Admit(ctx, with("r4", "t2", "m")))
	w.DeleteThread(alice, "t1")
	w.Clock.Advance(25 * time.Hour)
	must[store.Admitted](t)(alice.Admit(ctx, with("r5", "t1", "m")))
}

// wantTaken checks that an admission was refused because an id names something else: the message's of that index, or the run's (-1).
func wantTaken(t *testing.T, what string, err error, message int) {
	t.Helper()
	var taken *store.TakenError
	if !errors.As(err, &taken) || taken.Message != message || !errors.Is(err, chat.ErrBadID) {
		t.Errorf("%s: have %v, want the id of message %d to be taken", what, err, message)
	}
}

// messageIDs admits messages with hostile ids, which fail, and one with an id that the thread has if the thread is mine's.
func (c caller) messageIDs() error {
	if c.met {
		return nil
	}
	a := Asked("with-ids", c.thread)
	for _, id := range append(hostile(), "other.1", "with-ids.1.1", "carrel.1") {
		if a.Messages[0].ID = id; !c.refuses(a, chat.ErrBadID) {
			return fmt.Errorf("the message id %.20q was taken", id)
		}
	}
	a.Messages[0].ID = notedID
	if c.holder != nil {
		if !c.refuses(a, chat.ErrBadID) {
			return errors.New("a message id was taken twice")
		}
		return nil
	}
	_, err := c.mine.Admit(c.T.Context(), a)
	return err
}

func (c caller) refuses(a store.Admission, want error) bool {
	_, err := c.mine.Admit(c.T.Context(), a)
	return errors.Is(err, want)
}

// repeated is an admission of the run that waits, as furnish admitted it if the run is mine's.
func (c caller) repeated() store.Admission {
	a := Asked(c.wait, c.thread)
	if c.holder != nil {
		a.Title, a.Messages[0].Content = "words of mine", "words of mine"
	}
	return a
}
