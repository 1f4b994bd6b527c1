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

// RunInput is what the run was asked, as its first event tells it.
func (a Admission) RunInput() agui.RunInput {
	in := agui.RunInput{ThreadID: a.Thread, RunID: a.Run, Messages: a.Messages}
	for _, answer := range a.Answers {
		in.Resume = append(in.Resume, answer.Resume)
	}
	return in
}

// theRun is TakenError's Message for the run's own id.
const theRun = -1

// TakenError is a chat.ErrBadID: an id of an admission names something else already.
type TakenError struct {
	Message int // the index of the message that has the id; -1: it is the run's id
}

// Error names the thing, not the id.
func (e *TakenError) Error() string {
	if e.Message == theRun {
		return fmt.Sprintf("%v: the run id names another run", chat.ErrBadID)
	}
	return fmt.Sprintf("%v: the id of message %d names another message of the thread", chat.ErrBadID, e.Message)
}

// Unwrap makes it a chat.ErrBadID.
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

// requestHash distinguishes a repeat of a run from another run with the same id. It covers what the client sent, before Admit fills
// in the interrupts and a Judge chooses an agent.
func (a Admission) requestHash() ([]byte, error) {
	var resume []agui.Resume
	for _, answer := range a.Answers {
		resume = append(resume, answer.Resume)
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

// messageIDItem says that a message of a thread has the id in its key. An id that is its run's own needs none: a run id
// names one run.
type messageIDItem struct {
	PK string `dynamodbav:"pk"`
	SK string `dynamodbav:"sk"`
}

// notedIDs are the parts of an admission that note message ids, and the index of each one's message.
type notedIDs struct {
	parts    []types.TransactWriteItem
	messages []int
}

// noteMessageIDs notes the ids that could be another message's too, each if the thread does not have it yet.
func (s *Store) noteMessageIDs(w write, epoch chat.Epoch) (ids notedIDs, err error) {
	for i, m := range w.messages {
		if chat.IsOwnMessageID(chat.RunID(w.run.ID), m.ID) {
			continue
		}
		k := s.messageIDKey(chat.ThreadID(w.run.Thread), epoch, m.ID)
		part, err := s.t.putPart(messageIDItem{PK: k.pk, SK: k.sk}, "attribute_not_exists(#pk)", nil)
		if err != nil {
			return ids, err
		}
		ids.parts, ids.messages = append(ids.parts, part), append(ids.messages, i)
	}
	return ids, nil
}

// taken is the error of a transaction in which the noted ids are the parts from first on: a TakenError if one of them was
// refused.
func (ids notedIDs) taken(err error, first int) error {
	for n, message := range ids.messages {
		if _, there := refusedPart(err, first+n); there {
			return &TakenError{Message: message}
		}
	}
	return err
}
