package store

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/runqueue"
)

// admissionWrite is what the transaction of an admission writes.
type admissionWrite struct {
	run       runItem
	queue     runqueue.Queue
	thread    threadItem // as it was read; zero if the admission creates it
	title     string     // of a new thread
	interrupt chat.RunID // the running run to cancel, if any
	messages  []agui.Message
}

// The first parts of an admission's transaction, in order. The message ids follow.
const (
	admitRun = iota
	admitQueue
	admitThread
	admitMessageIDs
)

// writeAdmission writes an admission in one transaction. Its conditions: the run does not exist, the run queue and the
// thread have not changed since they were read, and the thread has none of the message ids.
func (s *Store) writeAdmission(ctx context.Context, w admissionWrite) error {
	now := attributes{":now": number(s.t.nowSeconds())}
	run, err := s.t.putPart(w.run, absent, now)
	if err != nil {
		return err
	}
	queue, err := s.setQueue(w.queue, false)
	if err != nil {
		return err
	}
	thread, err := s.threadPart(w)
	if err != nil {
		return err
	}
	ids, err := s.noteMessageIDs(w)
	if err != nil {
		return err
	}
	parts := append([]types.TransactWriteItem{admitRun: run, admitQueue: queue, admitThread: thread}, ids.parts...)
	if w.interrupt != "" {
		parts = append(parts, s.t.updatePart(s.cancelRequest(w.interrupt)))
	}
	err = s.t.transact(ctx, parts...)
	if _, exists := refusedPart(err, admitRun); exists { // a repeat: the message ids that exist are its own
		return err
	}
	return ids.taken(err, admitMessageIDs)
}

// threadPart creates the thread of an admission, or changes it: the thread moves to the top of the list and loses its
// interrupts.
func (s *Store) threadPart(w admissionWrite) (types.TransactWriteItem, error) {
	class, used := splitRecentThread(w.thread.Recent)
	recent := recentThread(class, max(w.run.Created, used), w.run.Thread)
	if w.thread.ID != "" {
		return s.begin(w.thread, recent), nil
	}
	k := s.threadKey(chat.ThreadID(w.run.Thread))
	return s.t.putPart(threadItem{
		PK: k.pk, SK: k.sk, ID: w.run.Thread, Epoch: w.run.Epoch, Title: w.title,
		Created: w.run.Created, Updated: w.run.Created, Recent: recent,
	}, absent, attributes{":now": number(s.t.nowSeconds())})
}

// touch raises a thread's updated time, if the thread is not deleted. Every change of the run queue does so: of two
// rows of a thread that a client has received, the row with the higher Updated is newer.
func (s *Store) touch(t threadItem) types.TransactWriteItem {
	return s.t.updatePart(update{
		key: key{t.PK, t.SK}, change: "SET #updated = :updated", when: standing,
		values: attributes{":updated": number(s.t.after(t.Updated))},
	})
}

// standing is the condition that a thread is not deleted and that the write raises its updated time.
const standing = "attribute_exists(#pk) AND attribute_not_exists(#deleted) AND #updated < :updated"

// after returns the current time, or was plus a millisecond if that is later because of a faster clock.
func (t *Table) after(was int64) int64 { return max(millis(t.c.Now()), was+1) }
