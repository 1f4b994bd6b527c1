package store

import (
	"context"
	"slices"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

const (
	// earlierRoom bounds what is held of earlier attempts' events, in bytes. One attempt within the default limits fits.
	earlierRoom = 8 << 20
	eventSize   = 384 // what an event takes beside its text, about
	leftOut     = " … (more was said)"
)

// earlier are the events of earlier attempts. Beyond their room what was said is left out, with a mark; calls, their
// arguments and their results never are.
type earlier struct {
	events []agui.Event
	size   int
	cut    string // the message whose text was left out last
}

func (l *earlier) add(events []agui.Event) {
	for _, e := range events {
		said := e.Type == agui.TextMessageContent || e.Type == agui.ReasoningMessageContent
		if said && l.size > earlierRoom {
			if l.cut == e.MessageID {
				continue
			}
			l.cut, e.Delta = e.MessageID, leftOut
		}
		l.size += eventSize + len(e.Delta)
		l.events = append(l.events, e)
	}
}

// PreviousEvents returns the events of this run that earlier attempts left in the log, oldest first: empty for a first attempt. Of
// very many, the later texts are cut short.
func (h *Lease) PreviousEvents() []agui.Event { return slices.Clone(h.earlier.events) }

// loadLog finds the next sequence number, max(thread's head, last log record) + 1, and what earlier attempts left: the
// thread's head is where the last run ended, so all beyond it is this run's.
func (h *Lease) loadLog(ctx context.Context) error {
	tail, found, err := h.s.recordBefore(ctx, h.thread.ID, h.thread.Epoch, lastSeq)
	if err != nil {
		return err
	}
	h.next = h.thread.Head + 1
	if found {
		h.expires = tail.Expires
	}
	if !found || tail.last() <= h.thread.Head {
		return nil
	}
	// One by one: an attempt may have left more than is good to hold.
	q := h.s.recordSpan(h.thread.ID, h.thread.Epoch, h.thread.Head+1, lastSeq)
	return h.s.t.eachRecord(ctx, q, func(r recordItem) (bool, error) { return true, h.fold(r) })
}

// fold takes in a record that an earlier attempt of this run wrote, and stops this one if the record is another's.
func (h *Lease) fold(r recordItem) error {
	if r.Run != string(h.run.ID) || r.Fence > h.run.Fence || r.Fence == h.run.Fence && r.Nonce != h.nonce {
		return h.fenced("the log holds the record of another claim")
	}
	rec, err := r.record()
	if err != nil {
		h.broken = err // it has its numbers, and so the run can be ended behind it
	}
	h.took(r, rec.Events)
	h.wrote = h.wrote || r.Nonce == h.nonce // a record of ours that we believed to have failed
	if !h.wrote {
		h.earlier.add(rec.Events)
	}
	return nil
}

// took goes on behind a record that is in the log.
func (h *Lease) took(r recordItem, events []agui.Event) {
	if h.first == 0 {
		h.first = chat.Seq(r.Seq)
	}
	for _, e := range events {
		h.folder.Add(e)
		h.header.Add(e)
	}
	h.next, h.expires = r.last()+1, max(h.expires, r.Expires)
}
