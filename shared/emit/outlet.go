package emit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Bounds of what a connection costs the others.
const (
	postTime  = 5 * time.Second
	maxQueue  = 1 << 20  // bytes that may wait for one connection
	maxMerge  = 24 << 10 // records that wait are posted together up to this size
	frameSize = 1 << 10  // what a frame that holds no events counts
)

// delivery is one frame on its way to any number of connections, encoded once.
type delivery struct {
	frame  wire.ServerFrame
	size   int
	events int

	once     sync.Once
	messages [][]byte
	err      error
}

func (d *delivery) encoded() ([][]byte, error) {
	d.once.Do(func() { d.messages, d.err = wire.Encode(d.frame, rand.Text()) })
	return d.messages, d.err
}

// outlet is one of the user's connections as the emitter sees it. The emitter's lock guards it.
type outlet struct {
	conn   chat.Connection
	listed bool // in the last list, as a target for posts
	queue  []queued
	size   int
	events int  // in the queue
	flying int  // events that are being posted
	busy   bool // a goroutine posts from the queue
	cut    bool // live delivery has ended; it is new again when its N has risen
}

// queued is a frame that waits for one connection.
type queued struct {
	*delivery
	since time.Time
}

// record queues a durable record for all that watch the thread.
func (e *Emitter) record(seq chat.Seq, events []agui.Event) {
	size := frameSize
	for _, ev := range events {
		size += frameSize/4 + len(ev.Delta)
		if ev.Content != nil {
			size += len(*ev.Content)
		}
	}
	d := &delivery{size: size, events: len(events), frame: &wire.Events{
		ThreadID: e.c.User.Thread(), Epoch: e.c.Epoch, Seq: seq, RunID: e.c.User.Run(), Events: events,
	}}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last = d
	for _, o := range e.outlets {
		if o.conn.Thread == e.c.User.Thread() {
			e.push(o, d)
		}
	}
}

// push queues a frame for one connection and has it posted; the lock is held.
func (e *Emitter) push(o *outlet, d *delivery) {
	if e.closed || !o.listed || o.cut {
		return
	}
	if o.size+d.size > maxQueue {
		o.drop()
		o.cut = true
		e.figures.Cut++
		e.c.Report(fmt.Errorf("emit: more than %d bytes wait for a connection: it is cut", maxQueue))
		return
	}
	o.queue = append(o.queue, queued{d, e.c.User.Now()})
	o.size, o.events = o.size+d.size, o.events+d.events
	e.figures.Behind = max(e.figures.Behind, o.events+o.flying)
	if !o.busy {
		o.busy = true
		e.delivering++
		go e.deliver(o)
	}
}

func (o *outlet) drop() { o.queue, o.size, o.events = nil, 0, 0 }

// leave drops the events that wait, whose thread is not watched any more. What is told to all windows stays.
func (o *outlet) leave() {
	o.queue = slices.DeleteFunc(o.queue, func(d queued) bool { return audience(d.frame) != "" })
	o.size, o.events = len(o.queue)*frameSize, 0
}

// deliver posts what waits for one connection, one post at a time, until nothing does.
func (e *Emitter) deliver(o *outlet) {
	defer e.delivered()
	for {
		d, id := e.pull(o)
		if d.delivery == nil {
			return
		}
		err := e.post(o, id, d)
		if err != nil {
			e.fail(o, err)
		} else if d.events > 0 {
			lag := e.c.User.Now().Sub(d.since)
			e.count(func(f *Stats) { f.Lag = max(f.Lag, lag) })
		}
	}
}

// delivered is the end of a deliver.
func (e *Emitter) delivered() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.delivering--
	e.announce()
}

// pull takes the next frame of a queue, by a list that may be posted from; records that follow each other go as one.
func (e *Emitter) pull(o *outlet) (d queued, id chat.ConnectionID) {
	take := func() {
		if !target(o.conn, e.c.User.User(), e.c.User.Now()) {
			o.drop()
		}
		o.flying = 0
		if len(o.queue) == 0 {
			o.busy = false
			return
		}
		var n int
		d, n = merge(o.queue)
		o.queue = o.queue[n:]
		o.size, o.events, o.flying = o.size-d.size, o.events-d.events, d.events
		id = o.conn.ID
	}
	if !e.current(take) {
		e.mu.Lock()
		defer e.mu.Unlock()
		o.drop()
		o.flying, o.busy = 0, false
	}
	return d, id
}

// merge joins the records at the head of a queue up to a size, and tells how many they were.
func merge(queue []queued) (queued, int) {
	d := queue[0]
	n := 1
	for ; n < len(queue); n++ {
		have, ok := d.frame.(*wire.Events)
		next, okNext := queue[n].frame.(*wire.Events)
		if !ok || !okNext || d.size+queue[n].size > maxMerge || have.Seq+chat.Seq(len(have.Events)) != next.Seq {
			break
		}
		both := *have
		both.Events = append(have.Events[:len(have.Events):len(have.Events)], next.Events...)
		d.delivery = &delivery{frame: &both, size: d.size + queue[n].size, events: d.events + queue[n].events}
	}
	return d, n
}

// post posts one frame. Each of its messages goes by what the list in force says of the connection: it ends when that is
// cut, is listed no more, watches another thread, or its token is past.
func (e *Emitter) post(o *outlet, id chat.ConnectionID, d queued) error {
	messages, err := d.encoded()
	if err != nil {
		return err
	}
	for _, m := range messages {
		if !e.wants(o, d) {
			return nil
		}
		if err := e.send(o, d, posting{id, m}); err != nil {
			return err
		}
	}
	return nil
}

// fail cuts a connection off after a post that failed, and forgets it if it is gone. Nothing is lost: the client
// finds the gap and asks for the log.
func (e *Emitter) fail(o *outlet, err error) {
	e.mu.Lock()
	o.drop()
	o.cut = true
	id := o.conn.ID
	if errors.Is(err, chat.ErrGone) {
		e.figures.Gone++
	} else {
		e.figures.Cut++
	}
	e.mu.Unlock()
	if !errors.Is(err, chat.ErrGone) {
		e.c.Report(fmt.Errorf("emit: post: %w", err))
		return
	}
	ctx, cancel := context.WithTimeout(e.ctx, dropTime)
	defer cancel()
	if err := e.c.Connections.RemoveConnection(ctx, id); err != nil {
		e.c.Report(fmt.Errorf("emit: forget a connection that is gone: %w", err))
	}
}
