package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
	"carrel/shared/store"
)

// stall runs f between the read and the write of the next save or delete of s.bad.
func (s *scene) stall(f func()) {
	done := false
	for _, op := range []string{put, transact, "DeleteItem"} {
		s.wire.before[op] = func() {
			if !done {
				done = true
				f()
			}
		}
	}
}

func (s *scene) saveNotes(n int) {
	s.T.Helper()
	for range n {
		if _, err := s.good.SaveNote(s.T.Context(), "x"); err != nil {
			s.T.Fatal(err)
		}
	}
}

func (s *scene) deleteNote(id int) {
	s.T.Helper()
	if err := s.good.DeleteNote(s.T.Context(), id); err != nil {
		s.T.Error(err)
	}
}

// Other writers change the notes between the read and the write of a save.
func TestSaveNote_StalledWriter(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		t.Run("notes reach the limit", func(t *testing.T) {
			s := newScene(t, o)
			s.saveNotes(199)
			s.stall(func() {
				s.saveNotes(1)
				s.deleteNote(1)
				s.saveNotes(1)
				s.deleteNote(200) // the number that the stalled save has chosen is free, and there are 199 notes
				s.saveNotes(1)
			})
			n, err := s.bad.SaveNote(t.Context(), "one too many")
			if !errors.Is(err, chat.ErrFull) {
				t.Errorf("saved %+v, %v", n, err)
			}
			if all, err := s.good.Notes(t.Context()); err != nil || len(all) != 200 {
				t.Errorf("alice has %d notes, %v, want 200", len(all), err)
			}
		})
		t.Run("the note with its number is deleted", func(t *testing.T) {
			s := newScene(t, o)
			s.saveNotes(4)
			s.stall(func() { s.saveNotes(1); s.deleteNote(5) })
			if n, err := s.bad.SaveNote(t.Context(), "x"); err != nil || n.ID != 6 {
				t.Errorf("saved %+v, %v; want number 6", n, err)
			}
		})
		t.Run("erased user fills up again", func(t *testing.T) {
			s := newScene(t, o)
			s.saveNotes(1)
			s.stall(func() { s.setNoteCount(200) }) // with the same last number as before the erasure
			if n, err := s.bad.SaveNote(t.Context(), "one too many"); !errors.Is(err, chat.ErrFull) {
				t.Errorf("saved %+v, %v", n, err)
			}
		})
	})
}

// setNoteCount changes only the counter of alice's notes.
func (s *scene) setNoteCount(n int) {
	s.T.Helper()
	_, err := s.DB.UpdateItem(s.T.Context(), &dynamodb.UpdateItemInput{
		TableName: &s.Name, Key: row("U#alice#D", "NOTES"),
		UpdateExpression: aws.String("SET #count = :n"), ExpressionAttributeNames: map[string]string{"#count": "count"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":n": &types.AttributeValueMemberN{Value: fmt.Sprint(n)},
		},
	})
	if err != nil {
		s.T.Error(err)
	}
}

// Verify reports a counter that differs from the number of notes.
func TestVerify_NoteCounter(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		s := newScene(t, o)
		s.saveNotes(2)
		if found, err := s.good.Verify(t.Context()); err != nil || len(found) > 0 {
			t.Errorf("before: %+v, %v", found, err)
		}
		s.setNoteCount(1)
		if found, err := s.good.Verify(t.Context()); err != nil || len(found) != 1 ||
			found[0].Kind != "wrong note counter" {
			t.Errorf("found %+v, %v", found, err)
		}
	})
}

// noteModel is the expected result of a random history.
type noteModel struct {
	*scene
	rng     *rand.Rand
	last    int          // the last number
	present map[int]bool // by number
}

// Random saves and deletes keep the number of notes near the limit. Other writers act between the read and the write of
// a call, and responses are lost.
func TestNotes_RandomInterleavings(t *testing.T) {
	eachEngine(t, func(t *testing.T, o opener) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		m := &noteModel{scene: newScene(t, o), rng: rand.New(rand.NewPCG(seed, 0)), last: 198, present: map[int]bool{}}
		m.saveNotes(198)
		for id := range 198 {
			m.present[id+1] = true
		}
		for range 60 {
			m.stall(func() {
				for range m.rng.IntN(4) {
					m.act(m.good)
				}
			})
			m.wire.lose[transact], m.wire.forget[transact] = m.rng.IntN(2), m.rng.IntN(2) == 0
			m.act(m.bad)
		}
		all, err := m.good.Notes(t.Context())
		if err != nil || len(all) != len(m.present) {
			t.Errorf("there are %d notes, want %d; %v", len(all), len(m.present), err)
		}
		for _, n := range all {
			if !m.present[n.ID] {
				t.Errorf("note %d exists, but was deleted or never saved", n.ID)
			}
		}
		if found, err := m.good.Verify(t.Context()); err != nil || len(found) > 0 {
			t.Errorf("verify: %+v, %v", found, err)
		}
	})
}

// act saves a note or deletes one of the last numbers.
func (m *noteModel) act(s *store.Store) {
	m.T.Helper()
	if m.rng.IntN(3) == 0 {
		id := max(1, m.last-m.rng.IntN(3))
		err := s.DeleteNote(m.T.Context(), id)
		if err != nil && (m.present[id] || !errors.Is(err, chat.ErrNotFound)) {
			m.T.Errorf("delete note %d: %v", id, err)
		}
		delete(m.present, id)
		return
	}
	n, err := s.SaveNote(m.T.Context(), "x")
	switch {
	case errors.Is(err, chat.ErrFull) && len(m.present) == 200:
	case err != nil:
		m.T.Errorf("save a note with %d notes: %v", len(m.present), err)
	case n.ID <= m.last:
		m.T.Errorf("number %d was used again; the last was %d", n.ID, m.last)
	default:
		m.last, m.present[n.ID] = n.ID, true
		if len(m.present) > 200 {
			m.T.Errorf("there are %d notes, more than 200", len(m.present))
		}
	}
}
