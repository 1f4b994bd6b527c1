package store

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"carrel/shared/chat"
)

// maxNotes is the maximum number of notes of a user.
const maxNotes = 200

// lastNote is the highest number of a note.
const lastNote = 999_999

// maxNote is the maximum length of a note in bytes.
const maxNote = 4 << 10

type noteItem struct {
	PK    string `dynamodbav:"pk"`
	SK    string `dynamodbav:"sk"`
	ID    int    `dynamodbav:"id"`
	Text  string `dynamodbav:"text"`
	At    int64  `dynamodbav:"at"`
	Nonce string `dynamodbav:"nonce"` // of its writer
}

func (i noteItem) note() chat.Note {
	return chat.Note{ID: i.ID, Text: i.Text, At: fromMillis(i.At)}
}

// noteCounterItem counts a user's notes. It changes in the transaction that puts or deletes a note, and only there.
type noteCounterItem struct {
	PK    string `dynamodbav:"pk"`
	SK    string `dynamodbav:"sk"`
	Count int    `dynamodbav:"count"` // notes that exist
	Last  int    `dynamodbav:"last"`  // the highest number ever given; it never decreases
}

// SaveNote stores a note for the user, under a number that no note has had before. It fails with chat.ErrFull for a
// user who has 200 notes, and for a text that is empty or longer than 4 KB.
func (s *Store) SaveNote(ctx context.Context, body string) (chat.Note, error) {
	if body == "" || len(body) > maxNote {
		return chat.Note{}, fmt.Errorf("save a note of %d bytes: want 1 to %d", len(body), maxNote)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	item := noteItem{Text: body, At: millis(s.t.c.Now()), Nonce: s.t.c.NewID()}
	for n := 1; ; n++ {
		var counter noteCounterItem
		if _, err := s.t.get(ctx, s.noteCounterKey(), &counter); err != nil {
			return chat.Note{}, fmt.Errorf("read the note counter: %w", err)
		}
		if saved, err := s.noteSaved(ctx, item, counter); err != nil || saved {
			return item.note(), err
		}
		if counter.Count >= maxNotes {
			return chat.Note{}, fmt.Errorf("save a note: %w: there are %d", chat.ErrFull, counter.Count)
		}
		if counter.Last >= lastNote {
			return chat.Note{}, fmt.Errorf("save a note: %w: there are no numbers left", chat.ErrFull)
		}
		item.ID = counter.Last + 1
		k := s.noteKey(item.ID)
		item.PK, item.SK = k.pk, k.sk
		err := s.putNote(ctx, item)
		if err == nil {
			return item.note(), nil
		}
		if !anyRefused(err) {
			return chat.Note{}, fmt.Errorf("save a note: %w", err)
		}
		if waited := pause(ctx, n); waited != nil {
			return chat.Note{}, fmt.Errorf("save a note: %w", waited)
		}
	}
}

// noteSaved reports whether an earlier attempt saved the item and its answer was lost. The counter must be read first:
// if the counter has reached the number of an attempt, that attempt has either succeeded or can no longer succeed.
func (s *Store) noteSaved(ctx context.Context, item noteItem, counter noteCounterItem) (bool, error) {
	if item.ID == 0 || counter.Last < item.ID {
		return false, nil
	}
	var there noteItem
	if _, err := s.t.get(ctx, s.noteKey(item.ID), &there); err != nil {
		return false, fmt.Errorf("read a note: %w", err)
	}
	return there.Nonce == item.Nonce, nil
}

// putNote writes the note and sets the counter to its number, on the condition that no other save has changed the
// counter and that there is room.
func (s *Store) putNote(ctx context.Context, item noteItem) error {
	counter := update{
		key: s.noteCounterKey(), change: "SET #last = :id, #count = :one", when: "attribute_not_exists(#pk)",
		values: attributes{":id": number(int64(item.ID)), ":one": number(int64(1))},
	}
	if item.ID > 1 {
		counter.change = "SET #last = :id, #count = #count + :one"
		counter.when = "#last = :last AND #count < :most"
		counter.set(":last", number(int64(item.ID-1)))
		counter.set(":most", number(int64(maxNotes)))
	}
	note, err := s.t.putPart(item, "attribute_not_exists(#pk)", nil)
	if err != nil {
		return err
	}
	return s.t.transact(ctx, s.t.updatePart(counter), note)
}

// Notes returns the user's notes, oldest first.
func (s *Store) Notes(ctx context.Context) ([]chat.Note, error) {
	var notes []chat.Note
	_, err := s.t.each(ctx, s.noteSpan(), func(item attributes) (bool, error) {
		var i noteItem
		if err := attributevalue.UnmarshalMap(item, &i); err != nil {
			return false, err
		}
		notes = append(notes, i.note())
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the notes: %w", err)
	}
	return notes, nil
}

// DeleteNote deletes a note. It fails with chat.ErrNotFound. Two concurrent deletes of a note may both succeed.
func (s *Store) DeleteNote(ctx context.Context, id int) error {
	missing := fmt.Errorf("note %d: %w", id, chat.ErrNotFound)
	if id < 1 || id > lastNote {
		return missing
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	k := s.noteKey(id)
	counter := update{
		key: s.noteCounterKey(), change: "SET #count = #count - :one", when: "attribute_exists(#pk)",
		values: attributes{":one": number(int64(1))},
	}
	for n := 1; ; n++ {
		found, err := s.t.get(ctx, k, &noteItem{})
		if err != nil {
			return fmt.Errorf("read a note: %w", err)
		}
		if !found && n > 1 { // an earlier attempt found it: that attempt, whose answer was lost, or another call deleted it
			return nil
		}
		if !found {
			return missing
		}
		err = s.t.transact(ctx, s.t.updatePart(counter), s.t.deletePart(update{key: k, when: "attribute_exists(#pk)"}))
		if err == nil {
			return nil
		}
		if !anyRefused(err) {
			return fmt.Errorf("delete a note: %w", err)
		}
		if waited := pause(ctx, n); waited != nil {
			return fmt.Errorf("delete a note: %w", waited)
		}
	}
}
