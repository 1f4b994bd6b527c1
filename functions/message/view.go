package main

import (
	"context"
	"errors"
	"fmt"

	"carrel/shared/chat"
	"carrel/shared/runqueue"
	"carrel/shared/store"
	"carrel/shared/wire"
)

const (
	// snapshotMessages is about how many messages a snapshot holds.
	snapshotMessages = 50
	// viewTries is how often a view is read, if the thread is deleted or created at the same time.
	viewTries = 3
)

// view is the state of a thread as a hello found it. Everything in it was read after the connection watches the
// thread, except that the thread itself may be older: see snapshotView.
type view struct {
	id       chat.ThreadID
	thread   store.Thread // without an Epoch: the thread does not exist
	queue    runqueue.Queue
	last     store.Record // the last record of the log that is known; zero: none ends behind thread.Head
	head     chat.Seq     // the sequence number of the last event
	usable   bool         // the client can continue from its cursor, without a snapshot
	snapshot *wire.Snapshot
	from     chat.Seq       // the replay begins after this event
	page     []store.Record // the first page of the replay
}

// orNone returns the zero Thread for a thread that does not exist.
func orNone(t store.Thread, err error) (store.Thread, error) {
	if errors.Is(err, chat.ErrNotFound) {
		return store.Thread{}, nil
	}
	return t, err
}

// view reads the thread, the run queue and the end of the log. With a usable cursor it also reads the first page of the
// log after the cursor; without one, the transcripts up to the thread's head and the first page of the log after that.
// before is the thread as it was read beside the watch, for a hello without a cursor. If no replay follows, the view
// has only the position of the thread.
func (r *request) view(
	ctx context.Context, id chat.ThreadID, c *chat.Cursor, before store.Thread, replays bool,
) (view, error) {
	if !replays {
		return r.positionView(ctx, id, c)
	}
	if c != nil {
		v, err := r.cursorView(ctx, id, *c)
		if err != nil || v.usable || v.thread.Epoch == "" {
			return v, err
		}
		before = v.thread
	}
	return r.snapshotView(ctx, id, before)
}

// rowsOf reads the thread, which may be zero, and the run queue.
func (r *request) rowsOf(ctx context.Context, id chat.ThreadID) (t store.Thread, d runqueue.Queue, err error) {
	rows, err := r.store.Rows(ctx, store.Select{Thread: id, Queue: true})
	if err != nil {
		return t, d, err
	}
	if d, err = openQueue(rows.RunQueue()); err != nil {
		return t, d, err
	}
	t, err = orNone(rows.Thread())
	return t, d, err
}

// positionView is the view of a hello without a replay.
func (r *request) positionView(ctx context.Context, id chat.ThreadID, c *chat.Cursor) (view, error) {
	t, d, err := r.rowsOf(ctx, id)
	if err != nil || t.Epoch == "" {
		return view{id: id, queue: d, usable: c == nil}, err
	}
	v := view{id: id, thread: t, queue: d}
	v.last, err = r.last(ctx, id, t.Epoch)
	v.head = max(t.Head, v.last.Last)
	v.usable = c != nil && c.Epoch == t.Epoch && c.Seq == v.head
	return v, err
}

// cursorView is the view of a hello with a cursor. It reads the log of the cursor's epoch beside the thread. The cursor
// is usable if the thread has its epoch, the log continues directly after it, and at most maxReplay events follow.
func (r *request) cursorView(ctx context.Context, id chat.ThreadID, c chat.Cursor) (view, error) {
	v := view{id: id, from: c.Seq}
	var log store.LogPage
	err := together(func() (err error) {
		v.thread, v.queue, err = r.rowsOf(ctx, id)
		return err
	}, func() (err error) {
		log, err = r.logPage(ctx, id, c.Epoch, c.Seq)
		return err
	})
	if err != nil || v.thread.Epoch != c.Epoch {
		return v, err
	}
	v.page = log.Records
	if n := len(v.page); n > 0 {
		v.last = v.page[n-1]
	}
	// The page is the rest of the log if the log ends behind it, and if the page begins directly after the cursor.
	continues := len(v.page) == 0 && c.Seq == v.thread.Head
	if len(v.page) > 0 {
		continues = v.page[0].Seq == c.Seq+1
	}
	if !log.End || !continues {
		if v.last, err = r.last(ctx, id, c.Epoch); err != nil {
			return v, err
		}
	}
	v.head = max(v.thread.Head, v.last.Last)
	behind := v.head - c.Seq
	if !continues && behind > 0 { // the cursor is inside a record, or retention has deleted the next one
		if v.page, err = r.page(ctx, v, c.Seq); err != nil {
			return v, err
		}
	}
	v.usable = behind == 0 || behind > 0 && behind <= maxReplay && len(v.page) > 0 && v.page[0].Seq <= c.Seq+1
	return v, nil
}

// snapshotView is the view of a hello without a usable cursor. before is the thread as it was read earlier. Its
// transcripts end at its head, and the log after that is read once the connection watches the thread, so together they
// are complete, although the thread may have a newer head by now. The run queue is read after before, so it has no run
// that the snapshot restates. If the thread has another epoch by now, everything is read again.
func (r *request) snapshotView(ctx context.Context, id chat.ThreadID, before store.Thread) (view, error) {
	for range viewTries {
		v := view{id: id, thread: before, usable: before.Epoch == "", from: before.Head}
		var now store.Thread
		var log store.LogPage
		err := together(func() (err error) {
			now, v.queue, err = r.rowsOf(ctx, id)
			return err
		}, func() (err error) {
			if before.Epoch != "" {
				log, err = r.logPage(ctx, id, before.Epoch, before.Head)
			}
			return err
		}, func() (err error) {
			if before.Epoch != "" {
				v.snapshot, err = r.snapshot(ctx, before)
			}
			return err
		})
		if err != nil {
			return v, err
		}
		if now.Epoch != before.Epoch {
			before = now
			continue
		}
		if now.Head == before.Head {
			v.thread = now // its interrupts are newer
		}
		v.page = log.Records
		if n := len(v.page); n > 0 {
			v.last = v.page[n-1]
		}
		if !log.End && before.Epoch != "" {
			v.last, err = r.last(ctx, id, before.Epoch)
		}
		v.head = max(before.Head, v.last.Last)
		return v, err
	}
	return view{}, fmt.Errorf("read a thread: its epoch changed %d times", viewTries)
}

func (r *request) snapshot(ctx context.Context, t store.Thread) (*wire.Snapshot, error) {
	p, err := r.transcript(ctx, t, 0, snapshotMessages)
	if err != nil {
		return nil, err
	}
	return &wire.Snapshot{
		ThreadID: t.ID, Epoch: t.Epoch, Seq: t.Head, Messages: p.messages, Runs: p.runs, Interrupts: t.Interrupts,
		More: p.before > 0, Before: p.before,
	}, nil
}
