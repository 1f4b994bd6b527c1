package storetest

import (
	"errors"
	"fmt"
	"math"

	"carrel/shared/chat"
	"carrel/shared/store"
)

// threadProbes returns the cases of the methods for threads.
func threadProbes() map[string]probe {
	return map[string]probe{
		"Store.Thread": {other: notFound, reads: true, unsafe: true, call: func(c caller) (any, error) {
			return c.store.Thread(c.T.Context(), c.thread)
		}},
		"Store.Threads": {other: empty, reads: true, call: func(c caller) (any, error) {
			err := cursors(c, "T", func(before chat.ListCursor) ([]store.Thread, chat.ListCursor, error) {
				return c.store.Threads(c.T.Context(), before, 9)
			})
			if err != nil {
				return nil, err
			}
			page, next, err := c.store.Threads(c.T.Context(), "", 99)
			if next != "" {
				err = fmt.Errorf("more than %v", page)
			}
			return page, err
		}},
		"Store.Rename": {other: notFound, unsafe: true, call: func(c caller) (any, error) {
			return c.store.Rename(c.T.Context(), c.thread, "title of the caller")
		}},
		"Store.Delete": {other: notFound, unsafe: true, call: func(c caller) (any, error) {
			return c.store.Delete(c.T.Context(), c.thread)
		}},
		"Store.Erase": {other: empty, unsafe: true, call: func(c caller) (any, error) {
			return nil, c.store.Erase(c.T.Context(), store.Erasure{Thread: c.thread, Epoch: c.ownEpoch()})
		}},
		"Store.CancelRuns": {other: empty, unsafe: true, call: func(c caller) (any, error) {
			return c.store.CancelRuns(c.T.Context(), c.thread)
		}},
		// The log of the other user is requested with its right epoch: knowing the epoch must not give access.
		"Store.Log": {other: empty, reads: true, unsafe: true, call: func(c caller) (any, error) {
			return c.store.Log(c.T.Context(), c.thread, c.ownEpoch(), 0, 99)
		}},
		"Store.LogPage": {other: empty, reads: true, unsafe: true, call: func(c caller) (any, error) {
			page, err := c.store.LogPage(c.T.Context(), c.thread, c.ownEpoch(), 0, 99)
			return page.Records, err
		}},
		"Store.Last": {other: skipped, unsafe: true, call: func(c caller) (any, error) {
			if r, err := c.store.Last(c.T.Context(), c.thread, c.epoch); err != nil || r.Last != 0 {
				return nil, fmt.Errorf("with the epoch of the other user the last record is %+v, %w", r, err)
			}
			return c.store.Last(c.T.Context(), c.thread, c.ownEpoch())
		}},
		"Store.Transcripts": {other: empty, reads: true, unsafe: true, call: func(c caller) (any, error) {
			ts, _, err := c.store.Transcripts(c.T.Context(), store.Thread{ID: c.thread, Epoch: c.ownEpoch(), Head: 99},
				0, 99)
			return ts, err
		}},
	}
}

// noteProbes returns the cases of the methods for notes.
func noteProbes() map[string]probe {
	return map[string]probe{
		"Store.SaveNote": {other: succeeds, call: func(c caller) (any, error) {
			n, err := c.store.SaveNote(c.T.Context(), callerText)
			if err == nil && n.ID != 1 && c.lease == nil {
				err = fmt.Errorf("the first note is number %d", n.ID)
			}
			return n, err
		}},
		"Store.Notes": {other: empty, reads: true, call: func(c caller) (any, error) {
			return c.store.Notes(c.T.Context())
		}},
		"Store.DeleteNote": {other: notFound, call: func(c caller) (any, error) {
			// numbers that have no key
			for _, id := range []int{0, -1, 1_000_000, math.MinInt} {
				if err := c.store.DeleteNote(c.T.Context(), id); !errors.Is(err, chat.ErrNotFound) {
					return nil, fmt.Errorf("note %d: %w", id, err)
				}
			}
			return nil, c.store.DeleteNote(c.T.Context(), 1)
		}},
	}
}

// ownEpoch returns the epoch of the caller's thread, or of the other user's thread if the caller has none: knowing that
// epoch must not give access.
func (c caller) ownEpoch() chat.Epoch {
	if th, err := c.store.Thread(c.T.Context(), c.thread); err == nil {
		return th.Epoch
	}
	return c.epoch
}
