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
	deletedLife = 24 * time.Hour // for which a deleted thread's id cannot be used again
	// eraseAgain is after a thread's mark: no run that was on its way then is alive any more.
	eraseAgain = 20 * time.Minute
)

// Erasure names what is left of a deleted thread.
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

// Rename gives a thread a title, for ever, and returns the thread as it is then, or chat.ErrNotFound.
func (s *Store) Rename(ctx context.Context, id chat.ThreadID, title string) (Thread, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for n := 1; ; n++ {
		was, err := s.threadItem(ctx, id)
		if err != nil {
			return Thread{}, err
		}
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
			item, err = old, nil // perhaps as this very call left it, its answer lost
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

// threadItem reads a thread, one with the mark of a deleted one too, or fails with chat.ErrNotFound.
func (s *Store) threadItem(ctx context.Context, id chat.ThreadID) (threadItem, error) {
	var item threadItem
	if err := checkID("thread", id); err != nil {
		return item, err
	}
	found, err := s.t.get(ctx, s.threadKey(id), &item)
	if err != nil {
		return item, fmt.Errorf("read a thread: %w", err)
	}
	if !found || s.t.expired(item.Expires) {
		return item, fmt.Errorf("thread: %w", chat.ErrNotFound)
	}
	return item, nil
}

// Delete marks a thread as deleted, which makes it invisible at once and its id unusable for 24 hours, and puts its
// erasure among what is live, all in one transaction. Its runs are the caller's to cancel (CancelRuns). It returns the
// thread with its last Updated and without a title; for one that bears the mark already too. It fails with
// chat.ErrNotFound.
func (s *Store) Delete(ctx context.Context, id chat.ThreadID) (Thread, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for n := 1; ; n++ {
		was, err := s.threadItem(ctx, id)
		if err != nil {
			return Thread{}, err
		}
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

// mark writes the mark and the erasure of a thread.
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
		key:    key{was.PK, was.SK},
		change: "SET #deleted = :deleted, #expires = :expires, #updated = :updated, #title = :title REMOVE #open, #asked, #recent", when: standing,
		values: attributes{
			":deleted": number(now.Deleted), ":expires": number(now.Expires), ":updated": number(now.Updated),
			":title": text(""),
		},
	})
	return now, s.t.transact(ctx, mark, erasure)
}

// CancelRuns cancels all runs of a deleted thread, waiting ones too. Of any other thread it leaves them alone. What it
// ended here may have freed seats: StartQueued is the caller's.
func (s *Store) CancelRuns(ctx context.Context, id chat.ThreadID) ([]Cancelled, error) {
	switch _, err := s.Thread(ctx, id); {
	case err == nil:
		return nil, nil
	case !errors.Is(err, chat.ErrNotFound):
		return nil, err
	}
	d, err := s.RunQueue(ctx) // after the mark no run is admitted: what is not here never will be
	if err != nil {
		return nil, err
	}
	var all []Cancelled
	for _, run := range d.Runs(id) {
		c, err := s.Cancel(ctx, run)
		if errors.Is(err, chat.ErrNotFound) { // its seat outlives it
			continue
		}
		if err != nil {
			return all, err
		}
		all = append(all, c)
	}
	return all, nil
}
