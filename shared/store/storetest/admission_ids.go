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

// admissionChanged: a run id names one run. An admission with a known id and different content is rejected, in every
// state of the first run.
func admissionChanged(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	h := w.suspend(alice, "asks", "t1", "i1")
	first := Answering("r1", h.ID, "i1")
	first.Messages = Asked("r1", h.ID).Messages
	first.Judge = func(a *store.Admission) error { a.Agent = "the interrupted agent"; return nil }
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
		"no response":   other(func(a *store.Admission) { a.Responses = nil }),
		"another agent": other(func(a *store.Admission) { a.Agent = "another" }),
	}
	compare := func(when string) {
		t.Helper()
		if a := must[store.Admitted](t)(alice.Admit(ctx, first)); !a.Repeat {
			t.Errorf("%s: the same admission is not a repeat: %+v", when, a)
		}
		for change, a := range changed {
			_, err := alice.Admit(ctx, a)
			wantTaken(t, when+": "+change, err, -1)
		}
	}
	compare("before the claim")
	lease := w.Claim(alice, "r1")
	compare("while it runs")
	if got := must[store.Admission](t)(alice.Input(ctx, "r1")); got.Messages[0].Content != first.Messages[0].Content {
		t.Errorf("the input of the run changed to %+v", got)
	}
	w.End(lease, Started(lease), Finished(lease))
	compare("after its end")
}

// messageIDsAreUnique: a message id occurs once in a thread. Another thread may use the same id.
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
		t.Errorf("admit the same run again: %+v", a)
	}
	_, err := alice.Admit(ctx, with("r2", "t1", "r2.1", "n", "m"))
	wantTaken(t, "a message id that the thread has", err, 2)
	_, err = alice.Run(ctx, "r2")
	wantErr(t, "the rejected run", err, chat.ErrNotFound)
	must[store.Admitted](t)(alice.Admit(ctx, with("r3", "t1", "n")))
	must[store.Admitted](t)(alice.Admit(ctx, with("r4", "t2", "m")))
	w.DeleteThread(alice, "t1")
	w.Clock.Advance(25 * time.Hour)
	must[store.Admitted](t)(alice.Admit(ctx, with("r5", "t1", "m")))
}

// wantTaken checks that an admission was rejected because an id is already in use: the id of the message with this
// index, or the run id if message is -1.
func wantTaken(t *testing.T, action string, err error, message int) {
	t.Helper()
	var taken *store.TakenError
	if !errors.As(err, &taken) || taken.Message != message || !errors.Is(err, chat.ErrBadID) {
		t.Errorf("%s: got %v, want a TakenError for message %d", action, err, message)
	}
}

// messageIDs checks that messages with hostile ids are rejected, and that an id which the caller's thread already has
// is rejected too. If the caller does not have the thread, that id is accepted.
func (c caller) messageIDs() error {
	if c.single {
		return nil
	}
	a := Asked("with-ids", c.thread)
	for _, id := range append(hostile(), "other.1", "with-ids.1.1", "carrel.1") {
		if a.Messages[0].ID = id; !c.refuses(a, chat.ErrBadID) {
			return fmt.Errorf("the message id %.20q was accepted", id)
		}
	}
	a.Messages[0].ID = listedMessageID
	if c.lease != nil {
		if !c.refuses(a, chat.ErrBadID) {
			return errors.New("a message id was accepted twice")
		}
		return nil
	}
	_, err := c.store.Admit(c.T.Context(), a)
	return err
}

// refuses reports whether the admission of a fails with want.
func (c caller) refuses(a store.Admission, want error) bool {
	_, err := c.store.Admit(c.T.Context(), a)
	return errors.Is(err, want)
}

// repeated returns the admission of the queued run: the same that populate made if the caller has the run.
func (c caller) repeated() store.Admission {
	a := Asked(c.queued, c.thread)
	if c.lease != nil {
		a.Title, a.Messages[0].Content = callerText, callerText
	}
	return a
}
