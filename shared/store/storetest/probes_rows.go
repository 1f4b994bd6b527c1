package storetest

import (
	"fmt"
	"slices"

	"carrel/shared/chat"
	"carrel/shared/store"
)

// rowsProbes returns the cases of Store.Rows and of the methods of Rows. Each is called with the rows that it needs.
func rowsProbes() map[string]probe {
	with := func(c caller, selected store.Select, f func(*store.Rows) (any, error)) (any, error) {
		rows, err := c.store.Rows(c.T.Context(), selected)
		if err != nil {
			return nil, err
		}
		return f(rows)
	}
	thread := func(f func(caller, *store.Rows) (any, error)) func(caller) (any, error) {
		return func(c caller) (any, error) {
			return with(c, store.Select{Thread: c.thread}, func(r *store.Rows) (any, error) { return f(c, r) })
		}
	}
	queue := func(f func(caller, *store.Rows) (any, error)) func(caller) (any, error) {
		return func(c caller) (any, error) {
			return with(c, store.Select{Queue: true}, func(r *store.Rows) (any, error) { return f(c, r) })
		}
	}
	return map[string]probe{
		// An empty id selects nothing. The cases of Rows call it with hostile ids.
		"Store.Rows": {other: succeeds, call: func(c caller) (any, error) {
			all := store.Select{Connection: c.socket, Thread: c.thread, Run: c.run, Queue: true, Sessions: true}
			return with(c, all, func(*store.Rows) (any, error) { return nil, nil })
		}},
		"Rows.Connection": {other: notFound, unsafe: true, call: func(c caller) (any, error) {
			selected := store.Select{Connection: c.socket}
			return with(c, selected, func(r *store.Rows) (any, error) { return r.Connection() })
		}},
		"Rows.Thread": {other: notFound, reads: true, unsafe: true, call: thread(
			func(_ caller, r *store.Rows) (any, error) { return r.Thread() })},
		"Rows.Rename": {other: notFound, unsafe: true, call: thread(func(c caller, r *store.Rows) (any, error) {
			return r.Rename(c.T.Context(), "title of the caller")
		})},
		"Rows.Delete": {other: notFound, unsafe: true, call: thread(func(c caller, r *store.Rows) (any, error) {
			return r.Delete(c.T.Context())
		})},
		"Rows.RunQueue": {other: succeeds, call: queue(func(c caller, r *store.Rows) (any, error) {
			q, err := r.RunQueue()
			if err == nil && c.lease == nil && len(q.Slots)+len(q.Queued) > 0 {
				err = fmt.Errorf("the run queue of the caller is not empty: %+v", q)
			}
			return q, err
		})},
		"Rows.Open": {other: succeeds, call: queue(func(_ caller, r *store.Rows) (any, error) {
			return nil, r.Open()
		})},
		"Rows.RequestErasure": {other: skipped, call: queue(func(c caller, r *store.Rows) (any, error) {
			return nil, r.RequestErasure(c.T.Context())
		})},
		"Rows.Cancel":      {other: notFound, unsafe: true, call: caller.cancelByRows},
		"Rows.EndSessions": {other: skipped, call: caller.endSessionsByRows},
	}
}

// cancelByRows is the call in the case of Rows.Cancel.
func (c caller) cancelByRows() (any, error) {
	for _, run := range []chat.RunID{c.run, c.queued} {
		rows, err := c.store.Rows(c.T.Context(), store.Select{Run: run, Queue: true})
		if err != nil {
			return nil, err
		}
		if got, err := rows.Cancel(c.T.Context()); err != nil {
			return got, err
		}
	}
	return nil, nil
}

// endSessionsByRows is the call in the case of Rows.EndSessions.
func (c caller) endSessionsByRows() (any, error) {
	rows, err := c.store.Rows(c.T.Context(), store.Select{Sessions: true})
	if err != nil {
		return nil, err
	}
	ended, err := rows.EndSessions(c.T.Context(), store.Ending{Bar: true})
	if err == nil && c.lease != nil && !c.single && !slices.Contains(ended, c.socket) {
		err = fmt.Errorf("the connection of the caller was not ended: %v", ended)
	}
	return nil, err
}
