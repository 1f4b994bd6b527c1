package storetest

import (
	"errors"
	"fmt"
	"math"

	"carrel/shared/chat"
	"carrel/shared/store"
)

func threadProbes() map[string]probe {
	return map[string]probe{
		"Store.Thread": {theirs: notFound, reads: true, unsafe: true, call: func(c caller) (any,
			error) {
			return c.mine.Thread(c.T.Context(), c.thread)
		}},
		"Store.Threads": {theirs: empty, reads: true, call: func(c caller) (any, error) {
			err := cursors(c, "T", func(before chat.ListCursor) ([]store.Thread, chat.ListCursor, error) {
				return c.mine.Threads(c.T.Context(), before, 9)
			})
			if err != nil {
				return nil, err
			}
			page, next, err := c.mine.Threads(c.T.Context(), "", 99)
			if next != "" {
				err = fmt.Errorf("more than %v", page)
			}
			return page, err
		}},
		"Store.Rename": {theirs: notFound, unsafe: true, call: func(c caller) (any,
			error) {
			return c.mine.Rename(c.T.Context(), c.thread, "title of mine")
		}},
		"Store.Delete": {theirs: notFound, unsafe: true, call: func(c caller) (any,
			error) {
			return c.mine.Delete(c.T.Context(), c.thread)
		}},
		"Store.Erase": {theirs: empty, unsafe: true, call: func(c caller) (any, error) {
			return nil, c.mine.Erase(c.T.Context(), store.Erasure{Thread: c.thread, Epoch: c.ownEpoch()})
		}},
		"Store.CancelRuns": {theirs: empty, unsafe: true, call: func(c caller) (any,
			error) {
			return c.mine.CancelRuns(c.T.Context(), c.thread)
		}},
		// Theirs is asked for with the other's very epoch: knowing it must not help.
		"Store.Log": {theirs: empty, reads: true, unsafe: true, call: func(c caller) (any, error) {
			return c.mine.Log(c.T.Context(), c.thread, c.ownEpoch(), 0, 99)
		}},
		"Store.Last": {theirs: anything, unsafe: true, call: func(c caller) (any, error) {
			if r, err := c.mine.Last(c.T.Context(), c.thread, c.epoch); err != nil || r.Last != 0 {
				return nil, fmt.Errorf("with their epoch the last is %+v, %w", r, err)
			}
			return c.mine.Last(c.T.Context(), c.thread, c.ownEpoch())
		}},
		"Store.Transcripts": {theirs: empty, reads: true, unsafe: true, call: func(c caller) (any, error) {
			ts, _, err := c.mine.Transcripts(c.T.Context(), store.Thread{ID: c.thread, Epoch: c.ownEpoch(), Head: 99},
				0, 99)
			return ts, err
		}},
	}
}

func noteProbes() map[string]probe {
	return map[string]probe{
		"Store.SaveNote": {theirs: fresh, call: func(c caller) (any, error) {
			n, err := c.mine.SaveNote(c.T.Context(), "words of mine")
			if err == nil && n.ID != 1 && c.holder == nil {
				err = fmt.Errorf("the first note is number %d", n.ID)
			}
			return n, err
		}},
		"Store.Notes": {theirs: empty, reads: true, call: func(c caller) (any,
			error) {
			return c.mine.Notes(c.T.Context())
		}},
		"Store.DeleteNote": {theirs: notFound, call: func(c caller) (any, error) {
			// none of them a number that has its place in a key
			for _, id := range []int{0, -1, 1_000_000, math.MinInt} {
				if err := c.mine.DeleteNote(c.T.Context(), id); !errors.Is(err, chat.ErrNotFound) {
					return nil, fmt.Errorf("note %d: %w", id, err)
				}
			}
			return nil, c.mine.DeleteNote(c.T.Context(), 1)
		}},
	}
}

// ownEpoch is mine's epoch of the thread, or theirs if mine has none: knowing it must not help.
func (c caller) ownEpoch() chat.Epoch {
	if th, err := c.mine.Thread(c.T.Context(), c.thread); err == nil {
		return th.Epoch
	}
	return c.epoch
}
