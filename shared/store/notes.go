package store

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"carrel/shared/chat"
)

// maxNotes is how many notes a user may have. Two saves that see the same notes want the same number, so one of them sees
// the other's.
const maxNotes = 200

// lastNote is the highest number of a note.
const lastNote = 999_999

// maxNote is the longest note in bytes.
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

// SaveNote keeps a note for the user, under the next number. It fails with chat.ErrFull for a user who has 200, and for
// a text that is empty or longer than 4 KB.
func (s *Store) SaveNote(ctx context.Context, body string) (chat.Note, error) {
	if body == "" || len(body) > maxNote {
		return chat.Note{}, fmt.Errorf("save a note of %d bytes: want 1 to %d", len(body), maxNote)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	nonce := s.t.c.NewID()
	for n := 1; ; n++ {
		notes, err := s.Notes(ctx)
		if err != nil {
			return chat.Note{}, err
		}
		if len(notes) >= maxNotes {
			return chat.Note{}, fmt.Errorf("save a note: %w: there are %d", chat.ErrFull, len(notes))
		}
		id := 1
		if len(notes) > 0 {
			id = notes[len(notes)-1].ID + 1
		}
		if id > lastNote {
			return chat.Note{}, fmt.Errorf("save a note: %w: there are no numbers left", chat.ErrFull)
		}
		k := s.noteKey(id)
		item := noteItem{PK: k.pk, SK: k.sk, ID: id, Text: body, At: millis(s.t.c.Now()), Nonce: nonce}
		err = s.t.put(ctx, item, "attribute_not_exists(#pk)", nil)
		old, isOld := refused(err)
		switch {
		case err == nil:
			return item.note(), nil
		case !isOld:
			return chat.Note{}, fmt.Errorf("save a note: %w", err)
		}
		var there noteItem
		if err := attributevalue.UnmarshalMap(old, &there); err != nil {
			return chat.Note{}, fmt.Errorf("read a note: %w", err)
		}
		if there.Nonce == nonce { // ours, its answer lost
			return there.note(), nil
		}
		if waited := pause(ctx, n); waited != nil {
			return chat.Note{}, fmt.Errorf("save a note: %w", waited)
		}
	}
}

// Notes are the user's notes, oldest first.
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

// DeleteNote takes a note away, or fails with chat.ErrNotFound.
func (s *Store) DeleteNote(ctx context.Context, id int) error {
	k := s.noteKey(id)
	found := false
	if id >= 1 && id <= lastNote {
		var err error
		if found, err = s.t.get(ctx, k, &noteItem{}); err != nil {
			return fmt.Errorf("read a note: %w", err)
		}
	}
	if !found {
		return fmt.Errorf("note %d: %w", id, chat.ErrNotFound)
	}
	// Without a condition: the SDK repeats a delete whose answer was lost, and it would not recognise itself.
	if err := s.t.remove(ctx, k, "", nil); err != nil {
		return fmt.Errorf("delete a note: %w", err)
	}
	return nil
}
