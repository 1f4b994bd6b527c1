package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"carrel/shared/chat"
	"carrel/shared/runqueue"
)

// Select names the items that Rows reads. An empty field selects nothing.
type Select struct {
	Connection      chat.ConnectionID
	Thread          chat.ThreadID
	Run             chat.RunID
	Queue, Sessions bool
}

// Rows holds items of one user from one batch request. Each item was read consistently, but they were not all read at
// the same moment. Its methods do the same as those of Store, by these items. A method that changes an item reads it
// again if it has changed since. A method fails if it needs an item that was not selected.
type Rows struct {
	s        *Store
	selected Select
	keys     []key
	found    map[string]attributes // by sort key
}

// Rows reads the selected items of the user.
func (s *Store) Rows(ctx context.Context, selected Select) (*Rows, error) {
	r := &Rows{s: s, selected: selected}
	var errs []error
	add := func(wanted bool, k key, err error) {
		if wanted {
			r.keys, errs = append(r.keys, k), append(errs, err)
		}
	}
	id, thread, run := selected.Connection, selected.Thread, selected.Run
	add(id != "", s.connectionKey(id), checkConnectionID(id))
	add(thread != "", s.threadKey(thread), checkID("thread", thread))
	add(run != "", s.runKey(run), checkID("run", run))
	add(selected.Queue, s.queueKey(), nil)
	add(selected.Sessions, s.sessionsKey(), nil)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var err error
	if r.found, err = s.t.getAll(ctx, r.keys); err != nil {
		return nil, fmt.Errorf("read the rows of a user: %w", err)
	}
	return r, nil
}

// get decodes one item. It fails for an item that was not selected, so that no caller takes an unread item for a
// missing one.
func (r *Rows) get(k key, into any) (found bool, err error) {
	if !slices.Contains(r.keys, k) {
		return false, errors.New("the item was not selected")
	}
	item, found := r.found[k.sk]
	if !found {
		return false, nil
	}
	return true, attributevalue.UnmarshalMap(item, into)
}

// reader reads one item. It is the method get of Rows, or requests the item from the table.
type reader func(k key, into any) (found bool, err error)

// reader returns a reader that requests each item, consistently.
func (t *Table) reader(ctx context.Context) reader {
	return func(k key, into any) (bool, error) { return t.get(ctx, k, into) }
}

// Connection returns the selected connection: see Store.Connection.
func (r *Rows) Connection() (chat.Connection, error) {
	return r.s.connectionFrom(r.get, r.selected.Connection)
}

// Thread returns the selected thread: see Store.Thread.
func (r *Rows) Thread() (Thread, error) { return r.s.threadFrom(r.get, r.selected.Thread) }

// RunQueue returns the user's run queue.
func (r *Rows) RunQueue() (runqueue.Queue, error) {
	item, err := r.s.queueItem(r.get)
	return item.queue(), err
}

// Open fails with chat.ErrErasing if the user is being erased: see Store.Open.
func (r *Rows) Open() error { return r.s.checkOpen(r.get) }

// Cancel cancels the selected run: see Store.Cancel. It needs the run queue.
func (r *Rows) Cancel(ctx context.Context) (Cancelled, error) {
	return r.s.cancel(ctx, r.selected.Run, r)
}

// Rename sets the title of the selected thread: see Store.Rename.
func (r *Rows) Rename(ctx context.Context, title string) (Thread, error) {
	return r.s.rename(ctx, r.selected.Thread, title, r.get)
}

// Delete marks the selected thread as deleted: see Store.Delete.
func (r *Rows) Delete(ctx context.Context) (Thread, error) {
	return r.s.delete(ctx, r.selected.Thread, r.get)
}

// EndSessions ends every session of the user: see Store.EndSessions.
func (r *Rows) EndSessions(ctx context.Context, e Ending) ([]chat.ConnectionID, error) {
	return r.s.endSessions(ctx, e, r.get)
}

// RequestErasure stores that the user is to be erased: see Store.RequestErasure.
func (r *Rows) RequestErasure(ctx context.Context) error { return r.s.requestErasure(ctx, r.get) }
