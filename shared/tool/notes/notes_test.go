package notes_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/tool"
	"carrel/shared/tool/notes"
	"carrel/shared/usercontext"
)

// book stores a user's notes in memory, at most three.
type book struct{ notes []chat.Note }

func (b *book) SaveNote(_ context.Context, text string) (chat.Note, error) {
	if len(b.notes) == 3 {
		return chat.Note{}, fmt.Errorf("save: %w", chat.ErrFull)
	}
	n := chat.Note{ID: 1, Text: text, At: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)}
	if len(b.notes) > 0 {
		n.ID = b.notes[len(b.notes)-1].ID + 1
	}
	b.notes = append(b.notes, n)
	return n, nil
}

func (b *book) Notes(context.Context) ([]chat.Note, error) { return slices.Clone(b.notes), nil }

func (b *book) DeleteNote(_ context.Context, id int) error {
	for i, n := range b.notes {
		if n.ID == id {
			b.notes = slices.Delete(b.notes, i, i+1)
			return nil
		}
	}
	return fmt.Errorf("note: %w", chat.ErrNotFound)
}

func dispatcher(t *testing.T, b notes.Book, grants ...string) *tool.Dispatcher {
	t.Helper()
	uc, err := usercontext.New(t.Context(), usercontext.Config{
		User: chattest.User(t, "alice"), Thread: "t", Run: "r", Request: "q", Grants: grants,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := uc.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	frozen, err := tool.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	own, err := notes.New(b)
	if err != nil {
		t.Fatal(err)
	}
	r, err := frozen.With(own...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tool.NewDispatcher(uc, frozen, notes.Names()); err == nil {
		t.Error("the frozen registry has the notes of a run")
	}
	d, err := tool.NewDispatcher(uc, r, notes.Names())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestNotes(t *testing.T) {
	d := dispatcher(t, &book{}, notes.Grant)
	for _, c := range []struct {
		tool, arguments string
		outcome         tool.Outcome
		want            string
	}{
		{"notes_list", "", tool.OK, "There are no notes."},
		{"notes_save", `{"text":"  Buy milk "}`, tool.OK, "Saved as note 1."},
		{"notes_save", `{"text":"call Ännchen about milk"}`, tool.OK, "Saved as note 2."},
		{"notes_list", "{}", tool.OK, "1 (2026-02-03): Buy milk\n2 (2026-02-03): call Ännchen about milk"},
		{"notes_search", `{"words":"MILK ännchen"}`, tool.OK, "2 (2026-02-03): call Ännchen about milk"},
		{"notes_search", `{"words":"A\u0308NNCHEN"}`, tool.OK, "2 (2026-02-03): call Ännchen about milk"},
		{"notes_search", `{"words":"bread"}`, tool.OK, "No note contains all of these words."},
		{"notes_delete", `{"number":1}`, tool.OK, "Deleted note 1."},
		{"notes_delete", `{"number":1}`, tool.Failed, "There is no note 1. List the notes to see their numbers."},
		{"notes_delete", `{"number":"1"}`, tool.BadArguments, ""},
		{"notes_save", `{}`, tool.BadArguments, ""},
		{"notes_save", `{"text":" "}`, tool.Failed, "The note is empty. Give its text."},
		{"notes_save", `{"text":"` + strings.Repeat("ä", notes.MaxText) + `"}`, tool.OK, "Saved as note 3."},
		{"notes_save", `{"text":"` + strings.Repeat("ä", notes.MaxText+1) + `"}`, tool.Failed,
			"The note has 1001 characters; at most 1000 can be kept. Shorten it or save it as several."},
		{"notes_save", `{"text":"x"}`, tool.OK, "Saved as note 4."},
		{"notes_save", `{"text":"x"}`, tool.Failed,
			"There are too many notes already. Ask the user which ones to delete first."},
	} {
		got := d.Call(t.Context(), tool.Call{Name: c.tool, Arguments: c.arguments, Approved: true})
		if got.Outcome != c.outcome || c.want != "" && got.Content != c.want {
			t.Errorf("%s %.40s: %+v, want %s %q", c.tool, c.arguments, got, c.outcome, c.want)
		}
	}
}

func TestNotes_WithoutGrant(t *testing.T) {
	d := dispatcher(t, &book{}, "clock")
	if len(d.Specs()) > 0 {
		t.Errorf("offered: %+v", d.Specs())
	}
	for _, name := range notes.Names() {
		if got := d.Call(t.Context(), tool.Call{Name: name,
			Arguments: `{"text":"x","words":"x","number":1}`}); got.Outcome != tool.Denied {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Notes are deleted only after a person has approved.
func TestNotes_DeleteNeedsApproval(t *testing.T) {
	b := &book{notes: []chat.Note{{ID: 1, Text: "a"}, {ID: 2, Text: "b"}}}
	d := dispatcher(t, b, notes.Grant)
	for _, number := range []string{"1", "2"} { // deleting one by one asks too
		got := d.Call(t.Context(), tool.Call{Name: "notes_delete", Arguments: `{"number":` + number + `}`})
		if got.Outcome != tool.Asked || got.Question.Message != "Delete this note? It cannot be undone." ||
			len(b.notes) != 2 {
			t.Errorf("note %s without a yes: %+v, %d notes are left", number, got, len(b.notes))
		}
	}
	if got := d.Call(t.Context(), tool.Call{Name: "notes_clear"}); got.Outcome != tool.Asked || len(b.notes) != 2 {
		t.Errorf("not agreed to: %+v, %d notes are left", got, len(b.notes))
	}
	got := d.Call(t.Context(), tool.Call{Name: "notes_clear", Approved: true})
	if got.Content != "Deleted all 2 notes." || len(b.notes) != 0 {
		t.Errorf("agreed to: %+v, %d notes are left", got, len(b.notes))
	}
}
