package store

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// RunInput returns the input of the run in the form of its first event.
func (a Admission) RunInput() agui.RunInput {
	in := agui.RunInput{ThreadID: a.Thread, RunID: a.Run, Messages: append([]agui.Message{}, a.Messages...)}
	for _, response := range a.Responses {
		in.Resume = append(in.Resume, response.Resume)
	}
	return in
}

// theRun is the Message of a TakenError that concerns the run id.
const theRun = -1

// TakenError is a chat.ErrBadID: an id of the admission is in use already.
type TakenError struct {
	Message int // the index of the message with the id, or -1 for the run id
}

// Error says which id is in use, without the id itself.
func (e *TakenError) Error() string {
	if e.Message == theRun {
		return fmt.Sprintf("%v: another run has the run id", chat.ErrBadID)
	}
	return fmt.Sprintf("%v: another message of the thread has the id of message %d", chat.ErrBadID, e.Message)
}

// Unwrap returns chat.ErrBadID.
func (e *TakenError) Unwrap() error { return chat.ErrBadID }

func (a Admission) checkIDs() error {
	err := errors.Join(checkID("run", a.Run), checkID("thread", a.Thread))
	for _, m := range a.Messages {
		if bad := chat.CheckMessageID(a.Run, m.ID); bad != nil {
			err = errors.Join(err, fmt.Errorf("message id: %w", bad))
		}
	}
	return err
}

// requestHash distinguishes a repeat of a run from another run with the same id. It covers what the client sent, before
// Admit sets the interrupts and Judge chooses an agent.
func (a Admission) requestHash() ([]byte, error) {
	var resume []agui.Resume
	for _, response := range a.Responses {
		resume = append(resume, response.Resume)
	}
	sent, err := json.Marshal(struct {
		Messages []agui.Message
		Resume   []agui.Resume
		Agent    string
	}{a.Messages, resume, a.Agent})
	if err != nil {
		return nil, fmt.Errorf("hash an admission: %w", err)
	}
	sum := sha256.Sum256(sent)
	return sum[:16], nil
}

// messageIDItem records that a message of a thread has the id in its key. A message id that contains its run's id needs
// no such item, because a run id names one run.
type messageIDItem struct {
	PK string `dynamodbav:"pk"`
	SK string `dynamodbav:"sk"`
}

// notedIDs are the parts of a transaction that record message ids, with the index of the message of each part.
type notedIDs struct {
	parts    []types.TransactWriteItem
	messages []int
}

// noteMessageIDs records the message ids that another run could use too, on the condition that the thread does not have
// them yet.
func (s *Store) noteMessageIDs(w admissionWrite) (ids notedIDs, err error) {
	for i, m := range w.messages {
		if chat.IsOwnMessageID(chat.RunID(w.run.ID), m.ID) {
			continue
		}
		k := s.messageIDKey(chat.ThreadID(w.run.Thread), chat.Epoch(w.run.Epoch), m.ID)
		part, err := s.t.putPart(messageIDItem{PK: k.pk, SK: k.sk}, "attribute_not_exists(#pk)", nil)
		if err != nil {
			return ids, err
		}
		ids.parts, ids.messages = append(ids.parts, part), append(ids.messages, i)
	}
	return ids, nil
}

// taken returns the error of a transaction whose parts from first on record the ids: a TakenError if one of them was
// refused, else err.
func (ids notedIDs) taken(err error, first int) error {
	for n, message := range ids.messages {
		if _, exists := refusedPart(err, first+n); exists {
			return &TakenError{Message: message}
		}
	}
	return err
}
