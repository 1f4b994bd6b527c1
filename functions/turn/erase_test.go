package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/model/scripted"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// A run whose thread is deleted during its work is cancelled and frees its slot. No notification of its end is sent to
// the deleted thread, and the queued run starts.
func TestErase_WorkingRun(t *testing.T) {
	r := newFixture(t, scripted.New(scripted.Config{}))
	r.handler.after = func(d time.Duration) <-chan time.Time { return time.After(d / 20) }
	r.admit(t, "r1", "/stream 2000 20")
	ended := r.begins(t, "r1")
	if _, err := r.store.Delete(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.CancelRuns(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("turn: %v\n%s", err, r.log)
	}
	r.freed(t, "r1")
	events, _ := r.seen(t, "window")
	for _, e := range events {
		if e.Terminal() {
			t.Errorf("the window was notified of the end: %+v", e)
		}
	}
	if strings.Contains(r.log.String(), "residue") {
		t.Errorf("something of the run is left: %s", r.log)
	}
}

// A run that is claimed after its thread was deleted does no work.
func TestErase_RunClaimedAfterDeletion(t *testing.T) {
	r := newFixture(t, fast())
	r.admit(t, "r1", "/say never")
	if _, err := r.store.Delete(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	r.turn(t, "r1")
	r.freed(t, "r1")
	if events, threads := r.seen(t, "window"); len(events)+len(threads) > 0 {
		t.Errorf("the window received %s and %q", types(events), threads)
	}
}

func (r *fixture) freed(t *testing.T, run chat.RunID) {
	t.Helper()
	if s := r.status(t, run); s != chat.RunCancelled {
		t.Errorf("the run is %s", s)
	}
	if d, err := r.store.RunQueue(t.Context()); err != nil || len(d.Slots) > 0 {
		t.Errorf("the desk: %+v, %v", d, err)
	}
}

// Erasing cancels the remaining run, starts the queued run, and leaves no item.
func TestErase(t *testing.T) {
	r := newFixture(t, fast())
	r.admit(t, "r1", "/say secret")
	r.turn(t, "r1")
	th, err := r.store.Thread(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	r.admit(t, "r2", "/say never")
	if _, err := r.store.Delete(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // an event may come twice
		ctx, event := gatewaytest.Erase(t, r.user, "t", th.Epoch)
		if err := r.Handle(ctx, event); err != nil {
			t.Fatal(err)
		}
	}
	r.freed(t, "r2")
	log, err := r.store.Log(t.Context(), "t", th.Epoch, 0, 99)
	if err != nil || len(log) > 0 {
		t.Errorf("the log: %+v, %v", log, err)
	}
	if ts, _, err := r.store.Transcripts(t.Context(), th, 0, 99); err != nil || len(ts) > 0 {
		t.Errorf("the transcripts: %+v, %v", ts, err)
	}
	live, err := r.table.Live(t.Context())
	if want := (store.Erasure{Thread: "t", Epoch: th.Epoch}); err != nil || len(live) != 1 || live[0].Erasure != want {
		t.Errorf("live: %+v, %v; want the second pass", live, err)
	}
	if _, err := r.store.Rename(t.Context(), "t", "risen"); !errors.Is(err, chat.ErrNotFound) {
		t.Errorf("renamed: %v", err)
	}
}

// The thread list after a run's end shows that the thread's next run is queued or running.
func TestEnd_StatusOfNextRun(t *testing.T) {
	r := newFixture(t, fast())
	r.admit(t, "r1", "/say one")
	r.admit(t, "r2", "/say two")
	r.turn(t, "r1")
	if _, threads := r.seen(t, "window"); !slices.Equal(threads, []string{"running a title", "running a title"}) {
		t.Errorf("the list received %q", threads)
	}
	if _, err := r.store.Rename(t.Context(), "t", "renamed"); err != nil {
		t.Fatal(err)
	}
	r.turn(t, "r2")
	var rows []wire.ThreadInfo
	for _, f := range r.edge.Frames("window") {
		if events, ok := f.(*wire.Events); ok && events.Row != nil {
			rows = append(rows, *events.Row)
		}
	}
	if len(rows) != 2 || rows[1].Status != chat.ThreadIdle || rows[1].Title != "renamed" ||
		rows[1].Updated <= rows[0].Updated {
		t.Errorf("the list received %+v", rows)
	}
}

// A run reaches only its own user's notes.
func TestNotes_OwnUserOnly(t *testing.T) {
	t.Attr("row", "D4: a run reads and writes its own user's notes")
	r := newFixture(t, fast())
	_, err := r.store.Admit(t.Context(), store.Admission{
		Run: "r1", Thread: "t", Grants: []string{"notes"},
		Messages: []agui.Message{{ID: "u", Role: agui.RoleUser, Content: "note: buy milk"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.turn(t, "r1")
	notes, err := r.store.Notes(t.Context())
	if err != nil || len(notes) != 1 || notes[0].Text != "buy milk" {
		t.Errorf("the notes: %+v, %v", notes, err)
	}
	t.Attr("figure", fmt.Sprintf("%d note of a run, in its user's own book", len(notes)))
}
