// Package notes provides the built-in tools that keep notes for a user, durably and in the user's own partition. They
// are five tools instead of one tool with an action argument. So each schema has exactly the arguments of one action, which
// models fill in more reliably, and the name of a call shows its action.
package notes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"carrel/shared/chars"
	"carrel/shared/chat"
	"carrel/shared/sametext"
	"carrel/shared/tool"
)

// Grant is the grant that a run needs for each of these tools.
const Grant = "notes"

// MaxText is the longest note in characters.
const MaxText = 1000

// Names returns the tools' names.
func Names() []string {
	return []string{"notes_save", "notes_list", "notes_search", "notes_delete", "notes_clear"}
}

// Book stores one user's notes. It is safe for concurrent use.
type Book interface {
	// SaveNote stores a text of 1 to MaxText characters under the next number, or fails with chat.ErrFull.
	SaveNote(ctx context.Context, text string) (chat.Note, error)
	// Notes returns all notes, oldest first.
	Notes(ctx context.Context) ([]chat.Note, error)
	// DeleteNote deletes a note, or fails with chat.ErrNotFound.
	DeleteNote(ctx context.Context, id int) error
}

type saveArguments struct {
	Text string `json:"text" jsonschema:"the note, in the user's own words, at most 1000 characters"`
}

type listArguments struct{}

type clearArguments struct{}

type searchArguments struct {
	Words string `json:"words" jsonschema:"words that must all stand in a note, in any order; upper and lower case are the same"`
}

type deleteArguments struct {
	Number int `json:"number" jsonschema:"the number of the note, as notes_list or notes_search shows it"`
}

// New makes the tools of one run, which work on its user's notes.
func New(b Book) ([]tool.Tool, error) {
	names := Names()
	save, err1 := tool.Define(names[0],
		"Keeps a note for the user until it is deleted. Call it when the user asks to note or remember something.", Grant,
		func(ctx context.Context, in saveArguments) (string, error) { return save(ctx, b, in.Text) })
	list, err2 := tool.Define(names[1],
		"Lists all of the user's notes with their numbers, oldest first.", Grant,
		func(ctx context.Context, _ listArguments) (string, error) { return find(ctx, b, "") })
	search, err3 := tool.Define(names[2],
		"Finds those of the user's notes that contain all of some words.", Grant,
		func(ctx context.Context, in searchArguments) (string, error) { return find(ctx, b, in.Words) })
	remove, err4 := tool.Define(names[3],
		"Deletes one of the user's notes by its number. It cannot be undone; the user is asked first.", Grant,
		func(ctx context.Context, in deleteArguments) (string, error) { return remove(ctx, b, in.Number) })
	clearAll, err5 := tool.Define(names[4],
		"Deletes all of the user's notes. It cannot be undone; the user is asked first.", Grant,
		func(ctx context.Context, _ clearArguments) (string, error) { return empty(ctx, b) })
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	return []tool.Tool{
		save, list.ReadOnly(), search.ReadOnly(),
		remove.Destructive().AskFirst("Delete this note? It cannot be undone."),
		clearAll.Destructive().AskFirst("Delete all of your notes? It cannot be undone."),
	}, nil
}

func save(ctx context.Context, b Book, text string) (string, error) {
	text = strings.TrimSpace(text)
	switch n := utf8.RuneCountInString(text); {
	case chars.Blank(text):
		return "", &tool.Error{Text: "The note is empty. Give its text."}
	case n > MaxText:
		return "", &tool.Error{Text: fmt.Sprintf(
			"The note has %d characters; at most %d can be kept. Shorten it or save it as several.", n, MaxText)}
	}
	note, err := b.SaveNote(ctx, text)
	if errors.Is(err, chat.ErrFull) {
		return "", &tool.Error{Text: "There are too many notes already. Ask the user which ones to delete first."}
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("Saved as note %d.", note.ID), nil
}

// find lists the notes that contain all of the words. Without words it lists all notes.
func find(ctx context.Context, b Book, words string) (string, error) {
	notes, err := b.Notes(ctx)
	if err != nil {
		return "", err
	}
	if len(notes) == 0 {
		return "There are no notes.", nil
	}
	var lines []string
	for _, n := range notes {
		if contains(n.Text, words) {
			lines = append(lines, fmt.Sprintf("%d (%s): %s", n.ID, n.At.UTC().Format(time.DateOnly), n.Text))
		}
	}
	if len(lines) == 0 {
		return "No note contains all of these words.", nil
	}
	return strings.Join(lines, "\n"), nil
}

func contains(text, words string) bool {
	text = sametext.Fold(text)
	for _, w := range strings.Fields(sametext.Fold(words)) {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

func remove(ctx context.Context, b Book, number int) (string, error) {
	err := b.DeleteNote(ctx, number)
	if errors.Is(err, chat.ErrNotFound) {
		return "", &tool.Error{Text: fmt.Sprintf("There is no note %d. List the notes to see their numbers.", number)}
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("Deleted note %d.", number), nil
}

func empty(ctx context.Context, b Book) (string, error) {
	notes, err := b.Notes(ctx)
	if err != nil {
		return "", err
	}
	for _, n := range notes {
		if err := b.DeleteNote(ctx, n.ID); err != nil && !errors.Is(err, chat.ErrNotFound) {
			return "", err
		}
	}
	return fmt.Sprintf("Deleted all %d notes.", len(notes)), nil
}
