package store

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// Thread is one thread's record.
type Thread struct {
	ID      chat.ThreadID
	Epoch   chat.Epoch
	Head    chat.Seq // last event of the last run that ended
	Title   string
	Created time.Time
	Updated time.Time
	// Interrupts are the questions that wait for a person and have not expired.
	Interrupts []agui.Interrupt
}

// Thread reads a thread consistently, or chat.ErrNotFound.
func (s *Store) Thread(ctx context.Context, id chat.ThreadID) (Thread, error) {
	if err := checkID("thread", id); err != nil {
		return Thread{}, err
	}
	var item threadItem
	found, err := s.t.get(ctx, s.threadKey(id), &item)
	if err != nil {
		return Thread{}, fmt.Errorf("read a thread: %w", err)
	}
	if !found || !s.t.visible(item) {
		return Thread{}, fmt.Errorf("thread: %w", chat.ErrNotFound)
	}
	return s.t.thread(item), nil
}

func (t *Table) visible(item threadItem) bool { return item.Deleted == 0 && !t.expired(item.Expires) }

// Threads lists a page of threads, highest id first, beginning below before ("": at the top). A limit below 1 is 1.
func (s *Store) Threads(ctx context.Context, before chat.ThreadID, limit int) (page []Thread, more bool, err error) {
	q := s.threadSpan()
	q.descending, q.page = true, max(limit, 1)+2
	if before != "" {
		if err := checkID("thread", before); err != nil {
			return nil, false, err
		}
		q.high = s.threadKey(before).sk
	}
	_, err = s.t.each(ctx, q, func(item attributes) (bool, error) {
		var t threadItem
		if err := attributevalue.UnmarshalMap(item, &t); err != nil {
			return false, err
		}
		if t.ID == string(before) || !s.t.visible(t) {
			return true, nil
		}
		if more = len(page) >= max(limit, 1); !more {
			page = append(page, s.t.thread(t))
		}
		return !more, nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("list threads: %w", err)
	}
	return page, more, nil
}
