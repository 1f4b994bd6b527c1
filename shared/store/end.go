package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// ErrDeleted is what the end of a run gives whose thread was deleted meanwhile: the run has ended, and there is nothing
// to be told of it.
var ErrDeleted = errors.New("its thread was deleted")

// The parts of the terminal transaction, in order.
const (
	endLog = iota
	endThread
	endRun
	endQueue
)

// End ends the run: it puts the transcript, folded from all of the run's events, and then writes the last record, the
// thread's head, the run's status and the freed seat in one transaction, and with the outcome interrupt the questions, on
// the thread. last must end with a terminal event; the status follows from it. It fails as Append does. It returns the sequence number of last's first event and the
// thread as it is then. If the thread was deleted the run ends all the same, without a trace in it, and the error is
// ErrDeleted. What waits is the caller's to start (StartQueued).
func (h *Lease) End(ctx context.Context, last []agui.Event) (chat.Seq, Thread, error) {
	if err := h.live(); err != nil {
		return 0, Thread{}, err
	}
	if len(last) == 0 || !last[len(last)-1].Terminal() {
		return 0, Thread{}, errors.New("end a run: its last event is not a terminal one")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	transcript := chat.Seq(0) // the number that the transcript was put with
	for n := 1; ; n++ {
		if h.deleted {
			return 0, Thread{}, h.endDeleted(ctx, last[len(last)-1])
		}
		r, err := h.record(last)
		if err != nil {
			return 0, Thread{}, err
		}
		if transcript != r.last() {
			if err := h.putTranscript(ctx, r, last); err != nil {
				return 0, Thread{}, err
			}
			transcript = r.last()
		}
		t := h.threadAfter(r, last[len(last)-1])
		err = h.end(ctx, r, t, last[len(last)-1])
		if err != nil {
			if own, err := h.endRefused(err, r); err != nil {
				return 0, Thread{}, err
			} else if !own {
				if waited := pause(ctx, n); waited != nil {
					return 0, Thread{}, fmt.Errorf("end a run: %w", waited)
				}
				continue
			}
		}
		h.took(r, last)
		h.wrote, h.thread = true, t
		h.past.Store(true)
		return chat.Seq(r.Seq), t, nil
	}
}

// threadAfter is the thread with r as its last record, and with the questions that it ends with.
func (h *Lease) threadAfter(r recordItem, terminal agui.Event) Thread {
	t := h.thread
	t.Head, t.Interrupts = r.last(), h.s.t.interruptsOf(terminal)
	t.Updated = fromMillis(h.s.t.after(millis(t.Updated)))
	return t
}

// putTranscript puts the run's messages, unless a higher fence has. It counts once the thread's head has reached it.
func (h *Lease) putTranscript(ctx context.Context, r recordItem, last []agui.Event) error {
	f := h.folder.Clone() // this end may fail, and another be tried
	header := h.header
	for _, e := range last {
		f.Add(e)
		header.Add(e)
	}
	messages, err := transcriptText(f, h.run.ID)
	if err != nil {
		return err
	}
	usage, err := shortText(header.Usage)
	if err != nil {
		return err
	}
	first := h.first
	if first == 0 {
		first = chat.Seq(r.Seq)
	}
	err = h.s.t.put(ctx, transcriptItem{
		PK: r.PK, SK: transcriptSort(first), First: int64(first), Last: int64(r.last()), Run: r.Run, Fence: r.Fence,
		Messages: messages, At: header.At, Agent: header.Agent, Usage: usage,
	}, "attribute_not_exists(#pk) OR #f <= :fence", attributes{":fence": number(r.Fence)})
	if _, isOld := refused(err); isOld {
		return h.fenced("another attempt has put the transcript")
	}
	if err != nil {
		return fmt.Errorf("put the transcript: %w", err)
	}
	return nil
}

// end is the terminal transaction. The run's fence guards it, so the desk's version does not: a busy desk never blocks
// an end.
func (h *Lease) end(ctx context.Context, r recordItem, t Thread, terminal agui.Event) error {
	record, err := h.s.t.putPart(r, absent, attributes{":now": number(h.s.t.nowSeconds())})
	if err != nil {
		return fmt.Errorf("end a run: %w", err)
	}
	run, seat, err := h.endParts(terminal)
	if err != nil {
		return err
	}
	thread, err := h.endThread(t)
	if err != nil {
		return err
	}
	parts := [...]types.TransactWriteItem{endLog: record, endThread: thread, endRun: run, endQueue: seat}
	return h.s.t.transact(ctx, parts[:]...)
}

// endThread is the change of the thread to t.
func (h *Lease) endThread(t Thread) (types.TransactWriteItem, error) {
	u := update{
		key: h.s.threadKey(t.ID), change: "SET #head = :head, #updated = :updated",
		when: standing + " AND #epoch = :epoch AND #title = :title AND #recent = :recent", // the last two, because End returns them
		values: attributes{
			":head": number(t.Head), ":updated": number(millis(t.Updated)), ":epoch": text(t.Epoch), ":title": text(t.Title),
			":recent": text(t.recent()),
		},
	}
	if len(t.Interrupts) > 0 {
		open, err := attributevalue.Marshal(interrupts(t.Interrupts))
		if err != nil {
			return types.TransactWriteItem{}, fmt.Errorf("write a thread's questions: %w", err)
		}
		u.change += ", #open = :open, #asked = :asked"
		u.values[":open"], u.values[":asked"] = open, text(h.run.ID)
	}
	return h.s.t.updatePart(u), nil
}

// endDeleted ends a run whose thread was deleted. What is left of the thread is being erased: nothing is written to it.
func (h *Lease) endDeleted(ctx context.Context, terminal agui.Event) error {
	run, seat, err := h.endParts(terminal)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		err := h.s.t.transact(ctx, run, seat)
		if old, isOld := refusedPart(err, 0); isOld {
			switch r, err := asRun(old); {
			case err != nil:
				return err
			case r.Nonce != h.nonce || !chat.RunStatus(r.Status).Terminal():
				return h.fenced("the run was taken over or has ended")
			}
			err = nil // ours, its answer lost
		}
		switch {
		case err == nil:
			h.past.Store(true)
			return fmt.Errorf("end a run: %w", ErrDeleted)
		case !conflicted(err):
			return fmt.Errorf("end a run: %w", err)
		}
		if waited := pause(ctx, n); waited != nil {
			return fmt.Errorf("end a run: %w", waited)
		}
	}
}

// endParts are the ends of the run's record and of its seat.
func (h *Lease) endParts(terminal agui.Event) (run, seat types.TransactWriteItem, err error) {
	usage, err := usageText(terminal.Usage)
	if err != nil {
		return run, seat, fmt.Errorf("end a run: %w", err)
	}
	run = h.s.t.updatePart(update{
		key: h.s.runKey(h.run.ID), when: mine,
		change: "SET #status = :status, #ended = :ended, #usage = :usage, #stats = :stats REMOVE #live, #due, #deadline, #lease",
		values: h.mine(attributes{
			":status": text(statusOf(terminal)), ":ended": number(millis(h.s.t.c.Now())), ":usage": text(usage),
			":stats": text(statsText(h.figures)),
		}),
	})
	seat = h.s.t.updatePart(update{
		key: h.s.queueKey(), change: "REMOVE #slots.#run SET #version = #version + :one", when: "attribute_exists(#pk)",
		values: attributes{":one": number(int64(1))}, names: map[string]string{"#run": string(h.run.ID)},
	})
	return run, seat, nil
}

// refreshed takes in what has become of the thread since it was read: another title, a newer time, its end.
func (h *Lease) refreshed(old attributes) error {
	var t threadItem
	if err := attributevalue.UnmarshalMap(old, &t); err != nil {
		return fmt.Errorf("read a thread: %w", err)
	}
	if h.deleted = t.Epoch != string(h.thread.Epoch) || !h.s.t.visible(t); !h.deleted {
		h.thread = h.s.t.thread(t)
	}
	return nil
}

func statusOf(terminal agui.Event) chat.RunStatus {
	switch {
	case terminal.Type == agui.RunError:
		return chat.RunFailed
	case terminal.Outcome != nil && terminal.Outcome.Type == agui.OutcomeCancelled:
		return chat.RunCancelled
	case terminal.Outcome != nil && terminal.Outcome.Type == agui.OutcomeInterrupt && len(terminal.Outcome.Interrupts) > 0:
		return chat.RunSuspended
	default:
		return chat.RunFinished
	}
}

// endRefused tells what a failed terminal transaction means. own: it is there, written by an earlier try. Otherwise it is
// to be tried again, or the error says why not.
func (h *Lease) endRefused(failed error, r recordItem) (own bool, err error) {
	if old, isOld := refusedPart(failed, endRun); isOld {
		run, err := asRun(old)
		if err != nil {
			return false, err
		}
		if run.Nonce == h.nonce && chat.RunStatus(run.Status).Terminal() {
			return true, nil
		}
		return false, h.fenced("the run was taken over or has ended")
	}
	if old, isOld := refusedPart(failed, endLog); isOld {
		return h.refusedBy(old, r)
	}
	if old, isOld := refusedPart(failed, endThread); isOld {
		return false, h.refreshed(old)
	}
	if _, isOld := refusedPart(failed, endQueue); isOld {
		return false, fmt.Errorf("end a run: there is no desk: %w", chat.ErrClosed)
	}
	if conflicted(failed) {
		return false, nil
	}
	return false, fmt.Errorf("end a run: %w", failed)
}
