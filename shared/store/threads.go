package store

import (
	"context"
	"fmt"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// Thread is the record of a thread.
type Thread struct {
	ID      chat.ThreadID
	Epoch   chat.Epoch
	Head    chat.Seq // last event of the last run that ended
	Title   string
	Created time.Time
	Updated time.Time
	Used    time.Time // the last admission of a run
	// Pinned threads come first in lists, and archived ones last.
	Pinned, Archived bool
	// Interrupts are the open interrupts that have not expired.
	Interrupts []agui.Interrupt
}

// Thread reads a thread, consistently. It fails with chat.ErrNotFound.
func (s *Store) Thread(ctx context.Context, id chat.ThreadID) (Thread, error) {
	return s.threadFrom(s.t.reader(ctx), id)
}

func (s *Store) threadFrom(read reader, id chat.ThreadID) (Thread, error) {
	if err := checkID("thread", id); err != nil {
		return Thread{}, err
	}
	var item threadItem
	found, err := read(s.threadKey(id), &item)
	if err != nil {
		return Thread{}, fmt.Errorf("read a thread: %w", err)
	}
	if !found || !s.t.visible(item) {
		return Thread{}, fmt.Errorf("thread: %w", chat.ErrNotFound)
	}
	return s.t.thread(item), nil
}

func (t *Table) visible(item threadItem) bool { return item.Deleted == 0 && !t.expired(item.Expires) }
