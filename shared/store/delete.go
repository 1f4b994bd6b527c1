package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"carrel/shared/chat"
)

const (
	deletedLife = 24 * time.Hour // how long the id of a deleted thread cannot be used again
	// eraseAgain is the time from the deletion to the second pass: no run that was working then is alive any more.
	eraseAgain = 20 * time.Minute
)

// Erasure identifies the log and transcripts of a deleted thread.
type Erasure struct {
	Thread chat.ThreadID
	Epoch  chat.Epoch
}

type erasureItem struct {
	PK     string `dynamodbav:"pk"`
	SK     string `dynamodbav:"sk"`
	Live   string `dynamodbav:"live"`
	Due    int64  `dynamodbav:"due"`
	Marked int64  `dynamodbav:"marked"`
}

// Rename sets the title of a thread and returns the thread. It fails with chat.ErrNotFound.
func (s *Store) Rename(ctx context.Context, id chat.ThreadID, title string) (Thread, error) {
	return s.rename(ctx, id, title, s.t.reader(ctx))
}

// rename makes its first attempt by what first reads.
func (s *Store) rename(ctx context.Context, id chat.ThreadID, title string, first reader) (Thread, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for n := 1; ; n++ {
		was, err := s.threadItem(first, id)
		if err != nil {
			return Thread{}, err
		}
		first = s.t.reader(ctx)
		if was.Deleted != 0 {
			return Thread{}, fmt.Errorf("rename a thread: %w", chat.ErrNotFound)
		}
		updated := s.t.after(was.Updated)
		item, err := s.t.update(ctx, update{
			key: s.threadKey(id), change: "SET #title = :title, #updated = :updated", when: standing,
			values: attributes{":title": text(title), ":updated": number(updated)},
		})
		old, isOld := refused(err)
		if isOld {
			item, err = old, nil // perhaps written by this call, whose answer was lost
		}
		if err != nil {
			return Thread{}, fmt.Errorf("rename a thread: %w", err)
		}
		var now threadItem
		if err := attributevalue.UnmarshalMap(item, &now); err != nil {
			return Thread{}, fmt.Errorf("read a thread: %w", err)
		}
		if now.Title == title && now.Updated == updated && now.Deleted == 0 {
			return s.t.thread(now), nil
		}
		if waited := pause(ctx, n); waited != nil {
			return Thread{}, fmt.Errorf("rename a thread: %w", waited)
		}
	}
}

// threadItem reads a thread, also a deleted one. It fails with chat.ErrNotFound.
func (s *Store) threadItem(read reader, id chat.ThreadID) (threadItem, error) {
	var item threadItem
	if err := checkID("thread", id); err != nil {
		return item, err
	}
	found, err := read(s.threadKey(id), &item)
	if err != nil {
		return item, fmt.Errorf("read a thread: %w", err)
	}
	if !found || s.t.expired(item.Expires) {
		return item, fmt.Errorf("thread: %w", chat.ErrNotFound)
	}
	return item, nil
}

// Delete marks a thread as deleted and stores its erasure in the live index, in one transaction. The mark makes the
// thread invisible at once and its id unusable for 24 hours. The caller cancels the thread's runs (CancelRuns). Delete
// returns the thread with its last Updated and without a title, also if it was deleted before. It fails with
// chat.ErrNotFound.
func (s *Store) Delete(ctx context.Context, id chat.ThreadID) (Thread, error) {
	return s.delete(ctx, id, s.t.reader(ctx))
}

// delete makes its first attempt by what first reads.
func (s *Store) delete(ctx context.Context, id chat.ThreadID, first reader) (Thread, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for n := 1; ; n++ {
		was, err := s.threadItem(first, id)
		if err != nil {
			return Thread{}, err
		}
		first = s.t.reader(ctx)
		if was.Deleted != 0 {
			return s.t.thread(was), nil
		}
		now, err := s.mark(ctx, was)
		if err == nil {
			return s.t.thread(now), nil
		}
		if !anyRefused(err) {
			return Thread{}, fmt.Errorf("delete a thread: %w", err)
		}
		if waited := pause(ctx, n); waited != nil {
			return Thread{}, fmt.Errorf("delete a thread: %w", waited)
		}
	}
}

// mark writes the deleted mark and the erasure item of a thread.
func (s *Store) mark(ctx context.Context, was threadItem) (threadItem, error) {
	now := was
	now.Deleted, now.Expires = millis(s.t.c.Now()), s.t.expiry(deletedLife)
	now.Updated, now.Title = s.t.after(was.Updated), ""
	now.Open, now.Asked, now.Recent = nil, "", ""
	k := s.erasureKey(Erasure{chat.ThreadID(was.ID), chat.Epoch(was.Epoch)})
	erasure, err := s.t.putPart(erasureItem{
		PK: k.pk, SK: k.sk, Live: s.liveShard(), Due: now.Deleted, Marked: now.Deleted,
	}, "attribute_not_exists(#pk)", nil)
	if err != nil {
		return now, err
	}
	mark := s.t.updatePart(update{
		key: key{was.PK, was.SK},
		change: "SET #deleted = :deleted, #expires = :expires, #updated = :updated, #title = :title" +
			" REMOVE #open, #asked, #recent", when: standing,
		values: attributes{
			":deleted": number(now.Deleted), ":expires": number(now.Expires), ":updated": number(now.Updated),
			":title": text(""),
		},
	})
	return now, s.t.transact(ctx, mark, erasure)
}

// CancelRuns cancels all runs of a deleted thread, including queued ones. For any other thread it does nothing. Ended
// runs may have freed slots, so the caller calls StartQueued.
func (s *Store) CancelRuns(ctx context.Context, id chat.ThreadID) ([]Cancelled, error) {
	rows, err := s.Rows(ctx, Select{Thread: id, Queue: true}) // after the mark no run of the thread is admitted
	if err != nil {
		return nil, err
	}
	switch _, err := rows.Thread(); {
	case err == nil:
		return nil, nil
	case !errors.Is(err, chat.ErrNotFound):
		return nil, err
	}
	d, err := rows.RunQueue()
	if err != nil {
		return nil, err
	}
	var all []Cancelled
	for _, run := range d.Runs(id) {
		c, err := s.Cancel(ctx, run)
		if errors.Is(err, chat.ErrNotFound) { // its slot outlives it
			continue
		}
		if err != nil {
			return all, err
		}
		all = append(all, c)
	}
	return all, nil
}
