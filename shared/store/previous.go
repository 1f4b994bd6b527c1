package store

import (
	"context"
	"slices"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

const (
	// maxPrevious bounds the events of previous attempts that a lease keeps in memory, in bytes. One attempt within the
	// default limits fits.
	maxPrevious = 8 << 20
	eventSize   = 384 // approximate memory of an event without its text
	leftOut     = " … (more was said)"
)

// previousEvents collects the events of previous attempts. Beyond maxPrevious it replaces message texts by the marker
// leftOut. It never leaves out tool calls, their arguments or their results.
type previousEvents struct {
	events []agui.Event
	size   int
	cut    string // the message whose text was left out last
}

func (p *previousEvents) add(events []agui.Event) {
	for _, e := range events {
		isText := e.Type == agui.TextMessageContent || e.Type == agui.ReasoningMessageContent
		if isText && p.size > maxPrevious {
			if p.cut == e.MessageID {
				continue
			}
			p.cut, e.Delta = e.MessageID, leftOut
		}
		p.size += eventSize + len(e.Delta)
		p.events = append(p.events, e)
	}
}

// PreviousEvents returns the events that previous attempts of this run left in the log, oldest first. It is empty for a
// first attempt. If there are very many events, later texts are cut short.
func (l *Lease) PreviousEvents() []agui.Event { return slices.Clone(l.previous.events) }

// loadLog sets the next sequence number to max(the thread's head, the last log record) + 1 and loads the records after
// the head. The head is where the last run ended, so these records are from previous attempts of this run.
func (l *Lease) loadLog(ctx context.Context, tail recordItem, found bool) error {
	last := chat.Seq(0)
	if found {
		last, l.expires = tail.last(), tail.Expires
	}
	l.next = l.thread.Head + 1
	if last == l.thread.Head {
		return nil
	}
	if last < l.thread.Head {
		// Either the log has expired, or another claim has ended the run since it was read.
		_, err := l.CancelRequested(ctx)
		return err
	}
	// Record by record, because a previous attempt may have left more than fits in memory.
	q := l.s.recordSpan(l.thread.ID, l.thread.Epoch, l.thread.Head+1, lastSeq)
	return l.s.t.eachRecord(ctx, q, func(r recordItem) (bool, error) { return true, l.fold(r) })
}

// fold adds a record from a previous attempt of this run. If the record is from a later claim or another run, the
// lease is lost.
func (l *Lease) fold(r recordItem) error {
	if r.Run != string(l.run.ID) || r.Fence > l.run.Fence || r.Fence == l.run.Fence && r.Nonce != l.nonce {
		return l.lose("the log holds the record of another claim")
	}
	rec, err := r.record()
	if err != nil {
		l.broken = err // the record keeps its sequence numbers, so the run can be ended after it
	}
	l.advance(r, rec.Events)
	l.wrote = l.wrote || r.Nonce == l.nonce // this attempt's own write, whose answer was lost
	if !l.wrote {
		l.previous.add(rec.Events)
	}
	return nil
}

// advance moves the lease behind a record that is in the log.
func (l *Lease) advance(r recordItem, events []agui.Event) {
	if l.first == 0 {
		l.first = chat.Seq(r.Seq)
	}
	for _, e := range events {
		l.folder.Add(e)
		l.header.Add(e)
	}
	l.tokens += tokensIn(events)
	l.next, l.expires = r.last()+1, max(l.expires, r.Expires)
}
