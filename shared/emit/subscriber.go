package emit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/lasthop"
	"carrel/shared/wire"
)

// Bounds of what one connection may cost the others.
const (
	maxQueue   = 1 << 20         // bytes queued for one connection
	maxMerge   = 24 << 10        // queued records are posted as one frame up to this size
	frameSize  = 1 << 10         // the size that is counted for a frame without events
	removeTime = 3 * time.Second // for the removal of the record of a connection that no longer exists
)

// delivery is one frame on its way to any number of connections.
type delivery struct {
	frame  *lasthop.Frame
	record *wire.Events // what the frame holds; nil for a broadcast
	row    *delivery    // the record's row alone, for connections that may not receive the record; nil without a row
	size   int
}

// events returns the number of events in the delivery.
func (d *delivery) events() int {
	if d.record == nil {
		return 0
	}
	return len(d.record.Events)
}

// subscriber is one of the user's connections that may receive frames. The emitter's lock guards it.
type subscriber struct {
	id      chat.ConnectionID
	record  lasthop.Record // as last listed
	listed  bool           // in the current list, and eligible
	queue   []queued
	size    int  // of the queue, in bytes
	events  int  // in the queue
	posting int  // events that are being posted
	busy    bool // a goroutine posts from the queue
	cut     bool // live delivery has ended; it begins again when the N of the connection has risen
}

// queued is a frame in the queue of one connection.
type queued struct {
	*delivery
	since time.Time
}

// queueRecord queues a durable record for all subscribers that watch the thread, and its row, if it has one, for the
// others.
func (e *Emitter) queueRecord(seq chat.Seq, events []agui.Event, row *wire.ThreadInfo) {
	size := frameSize
	for _, ev := range events {
		size += frameSize/4 + len(ev.Delta)
		if ev.Content != nil {
			size += len(*ev.Content)
		}
	}
	f := &wire.Events{
		ThreadID: e.c.User.Thread(), Epoch: e.c.Epoch, Seq: seq, RunID: e.c.User.Run(), Events: events, Row: row,
	}
	d := &delivery{frame: lasthop.NewFrame(f), record: f, size: size}
	if row != nil {
		d.row = &delivery{frame: lasthop.NewFrame(&wire.Thread{ThreadInfo: *row}), size: frameSize}
		d.size += frameSize
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lastRecord = d
	if d.row != nil {
		e.lastBroadcast = d.row
	}
	e.offerAll(d)
}

// offerAll offers a delivery to all subscribers, or keeps it for those of the first list; the lock is held.
func (e *Emitter) offerAll(d *delivery) {
	e.holdBack(d)
	for _, s := range e.subscribers {
		e.offer(s, d)
	}
}

// offer queues for one subscriber the part of a delivery that it may receive; the lock is held.
func (e *Emitter) offer(s *subscriber, d *delivery) {
	switch {
	case d.record == nil || e.watches(s):
		e.push(s, d)
	case d.row != nil:
		e.push(s, d.row)
	}
}

// push queues a frame for one subscriber and starts the goroutine that posts from the queue; the lock is held.
func (e *Emitter) push(s *subscriber, d *delivery) {
	if e.closed || !s.listed || s.cut {
		return
	}
	if s.size+d.size > maxQueue {
		s.drop()
		s.cut = true
		e.stats.Cut++
		e.c.Report(fmt.Errorf("emit: cut a connection for which more than %d bytes are queued", maxQueue))
		return
	}
	s.queue = append(s.queue, queued{d, e.c.User.Now()})
	s.size, s.events = s.size+d.size, s.events+d.events()
	e.stats.Behind = max(e.stats.Behind, s.events+s.posting)
	if !s.busy {
		s.busy = true
		e.delivering++
		go e.deliver(s)
	}
}

// drop empties the queue.
func (s *subscriber) drop() { s.queue, s.size, s.events = nil, 0, 0 }

// dropEvents drops the queued events, whose thread the connection no longer watches. Broadcasts to all connections
// stay, and so do the rows of records.
func (s *subscriber) dropEvents() {
	for i, d := range s.queue {
		if d.record != nil {
			s.queue[i].delivery = d.row
		}
	}
	s.queue = slices.DeleteFunc(s.queue, func(d queued) bool { return d.delivery == nil })
	s.size, s.events = len(s.queue)*frameSize, 0
}

// deliver posts the queue of one subscriber, one post at a time, until it is empty.
func (e *Emitter) deliver(s *subscriber) {
	defer e.delivered()
	sender := &lasthop.Sender{
		User: e.c.User.User(), Source: records{e}, Poster: e.c.Poster, Now: e.c.User.Now, After: e.c.After,
		Tried: e.tried,
	}
	for {
		d := e.pull(s)
		if d.delivery == nil {
			return
		}
		err := sender.Send(e.ctx, s.id, d.frame)
		if errors.Is(err, lasthop.ErrRefused) && d.row != nil { // it has stopped watching the thread, perhaps
			d.delivery = d.row
			err = sender.Send(e.ctx, s.id, d.frame)
		}
		switch {
		case errors.Is(err, lasthop.ErrRefused):
		case err != nil:
			e.fail(s, err)
		case d.events() > 0:
			lag := e.c.User.Now().Sub(d.since)
			e.count(func(f *Stats) { f.Lag = max(f.Lag, lag) })
		}
	}
}

// delivered counts the end of a deliver.
func (e *Emitter) delivered() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.delivering--
	e.announce()
}

// pull takes the next frame from a queue; none if the queue is empty. It returns consecutive records as one frame.
func (e *Emitter) pull(s *subscriber) (next queued) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		s.drop()
	}
	s.posting = 0
	if len(s.queue) == 0 {
		s.busy = false
		return next
	}
	next, n := merge(s.queue)
	s.queue = s.queue[n:]
	s.size, s.events, s.posting = s.size-next.size, s.events-next.events(), next.events()
	return next
}

// merge joins consecutive records at the head of a queue up to a size, and returns how many it joined. No
// record is joined behind a row, because a client applies the row after the events.
func merge(queue []queued) (queued, int) {
	joined := queue[0]
	n := 1
	for ; n < len(queue); n++ {
		head, next := joined.record, queue[n].record
		if head == nil || next == nil || head.Row != nil || joined.size+queue[n].size > maxMerge ||
			head.Seq+chat.Seq(len(head.Events)) != next.Seq {
			break
		}
		both := *next
		both.Seq, both.Events = head.Seq, slices.Concat(head.Events, next.Events)
		joined.delivery = &delivery{frame: lasthop.NewFrame(&both), record: &both, row: queue[n].row,
			size: joined.size + queue[n].size}
	}
	return joined, n
}

// fail cuts a connection after a post that failed, and removes its record if the connection no longer exists. No event
// is lost: the client finds the gap and requests the log.
func (e *Emitter) fail(s *subscriber, err error) {
	gone := errors.Is(err, chat.ErrGone)
	e.mu.Lock()
	s.drop()
	s.cut = true
	if gone {
		e.stats.Gone++
	} else {
		e.stats.Cut++
	}
	e.mu.Unlock()
	if !gone {
		e.c.Report(fmt.Errorf("emit: post: %w", err))
		return
	}
	ctx, cancel := context.WithTimeout(e.ctx, removeTime)
	defer cancel()
	if err := e.c.Connections.RemoveConnection(ctx, s.id); err != nil {
		e.c.Report(fmt.Errorf("emit: remove the record of a connection that no longer exists: %w", err))
	}
}
