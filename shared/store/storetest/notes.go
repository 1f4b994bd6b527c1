package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/shared/chat"
)

// notes: a user saves, lists and deletes notes. A number is never used again, and the numbers of users are independent.
func notes(t *testing.T, w *World) {
	ctx, alice, bob := t.Context(), w.As("alice"), w.As("bob")
	texts := func(when string, want ...string) {
		t.Helper()
		var got []string
		for _, n := range must[[]chat.Note](t)(alice.Notes(ctx)) {
			got = append(got, fmt.Sprintf("%d %s", n.ID, n.Text))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	texts("at first")
	for i, text := range []string{"one", "two <&> 🎈", "three"} {
		n := must[chat.Note](t)(alice.SaveNote(ctx, text))
		if n.ID != i+1 || n.Text != text || n.At.IsZero() {
			t.Errorf("saved %+v", n)
		}
	}
	if n := must[chat.Note](t)(bob.SaveNote(ctx, "bob's")); n.ID != 1 {
		t.Errorf("bob's first note is %+v", n)
	}
	if err := alice.DeleteNote(ctx, 2); err != nil {
		t.Error(err)
	}
	for _, id := range []int{2, 0, -1, 9, 1_000_000, 1_000_001} {
		wantErr(t, fmt.Sprint("note ", id), alice.DeleteNote(ctx, id), chat.ErrNotFound)
	}
	must[chat.Note](t)(alice.SaveNote(ctx, "four"))
	if err := alice.DeleteNote(ctx, 4); err != nil {
		t.Error(err)
	}
	must[chat.Note](t)(alice.SaveNote(ctx, "five"))
	wantErr(t, "the number of a deleted note", alice.DeleteNote(ctx, 4), chat.ErrNotFound)
	texts("at last", "1 one", "3 three", "5 five")
	if n := must[chat.Note](t)(bob.SaveNote(ctx, "bob's")); n.ID != 2 {
		t.Errorf("bob's second note is %+v", n)
	}
	for _, bad := range []string{"", strings.Repeat("x", 4<<10+1)} {
		if n, err := alice.SaveNote(ctx, bad); err == nil {
			t.Errorf("%d bytes were saved as %+v", len(bad), n)
		}
	}
}

// notesAreBounded: a user has at most 200 notes.
func notesAreBounded(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	for range 200 {
		must[chat.Note](t)(alice.SaveNote(ctx, "x"))
	}
	_, err := alice.SaveNote(ctx, "one too many")
	wantErr(t, "one too many", err, chat.ErrFull)
	if err := alice.DeleteNote(ctx, 7); err != nil {
		t.Error(err)
	}
	if n := must[chat.Note](t)(alice.SaveNote(ctx, "fits again")); n.ID != 201 {
		t.Errorf("saved %+v", n)
	}
}
