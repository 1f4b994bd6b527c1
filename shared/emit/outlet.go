package emit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Bounds of what a connection costs the others.
const (
	listEvery = time.Second
	listTime  = 3 * time.Second
	postTime  = 5 * time.Second
	maxQueue  = 1 << 20  // bytes that may wait for one connection
	maxMerge  = 24 << 10 // records that wait are posted together up to this size
	frameSize = 1 << 10  // what a frame that holds no events counts
)

// delivery is one frame on its way to any number of connections, encoded once.
type delivery struct {
	frame wire.ServerFrame
	size  int

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
	queue  []*delivery
	size   int
	busy   bool // a goroutine posts from the queue
	cut    bool // live delivery has ended; it is new again when its N has risen
}

// target reports whether anything may be posted to c: its client has said hello, and its token is not past.
func target(c chat.Connection, now time.Time) bool { return c.N > 0 && now.Before(c.TokenExpires) }

// record queues a durable record for all that watch the thread.
func (e *Emitter) record(seq chat.Seq, events []agui.Event) {
	size := frameSize
	for _, ev := range events {
		size += frameSize/4 + len(ev.Delta)
		if ev.Content != nil {
			size += len(*ev.Content)
		}
	}
	d := &delivery{size: size, frame: &wire.Events{
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
		e.c.Report(fmt.Errorf("emit: more than %d bytes wait for a connection: it is cut", maxQueue))
		return
	}
	o.queue = append(o.queue, d)
	o.size += d.size
	if !o.busy {
		o.busy = true
		e.posts.Add(1)
		go e.deliver(o)
	}
}

func (o *outlet) drop() { o.queue, o.size = nil, 0 }

// keepListing lists the connections once a second.
func (e *Emitter) keepListing() {
	defer close(e.listed)
	for {
		select {
		case <-e.c.After(listEvery):
			e.list()
		case <-e.stopList:
			return
		case <-e.ctx.Done():
			return
		}
	}
}

// list reads the user's connections, drops those that are no target any more and brings news to those that are new.
func (e *Emitter) list() {
	ctx, cancel := context.WithTimeout(e.ctx, listTime)
	defer cancel()
	conns, err := e.c.Connections.Connections(ctx)
	if err != nil {
		e.c.Report(fmt.Errorf("emit: list connections: %w", err))
		return
	}
	now := e.c.User.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	seen := map[chat.ConnectionID]bool{}
	for _, c := range conns {
		if target(c, now) {
			seen[c.ID] = true
			e.see(c)
		}
	}
	for id, o := range e.outlets {
		if seen[id] {
			continue
		}
		o.listed = false
		o.drop()
		if !o.busy {
			delete(e.outlets, id)
		}
	}
}

// see takes one connection from a list; the lock is held.
func (e *Emitter) see(c chat.Connection) {
	o := e.outlets[c.ID]
	if o == nil {
		o = &outlet{}
		e.outlets[c.ID] = o
	}
	fresh := !o.listed || o.cut && c.N > o.conn.N
	watched := !fresh && o.conn.Thread == e.c.User.Thread()
	o.listed = true
	if fresh {
		o.cut = false
	}
	if !o.cut {
		o.conn = c // a cut one keeps the N at which it was cut
	}
	if fresh && e.news != nil {
		e.push(o, e.news)
	}
	switch {
	case o.conn.Thread != e.c.User.Thread():
		if watched {
			o.drop()
		}
	case !watched && e.last != nil:
		e.push(o, e.last)
	}
}

// deliver posts what waits for one connection, one post at a time, until nothing does.
func (e *Emitter) deliver(o *outlet) {
	defer e.posts.Done()
	for {
		d, id := e.pull(o)
		if d == nil {
			return
		}
		if err := e.post(o, id, d); err != nil {
			e.fail(o, err)
		}
	}
}

// pull takes the next frame of a queue; records that follow each other go as one.
func (e *Emitter) pull(o *outlet) (*delivery, chat.ConnectionID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !target(o.conn, e.c.User.Now()) || e.closed {
		o.drop()
	}
	if len(o.queue) == 0 {
		o.busy = false
		return nil, ""
	}
	d, n := merge(o.queue)
	o.queue = o.queue[n:]
	o.size -= d.size
	return d, o.conn.ID
}

// merge joins the records at the head of a queue up to a size, and tells how many they were.
func merge(queue []*delivery) (*delivery, int) {
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
		d = &delivery{frame: &both, size: d.size + queue[n].size}
	}
	return d, n
}

// post posts one frame. The parts of a long one end when its connection is cut.
func (e *Emitter) post(o *outlet, id chat.ConnectionID, d *delivery) error {
	messages, err := d.encoded()
	if err != nil {
		return err
	}
	for i, m := range messages {
		if i > 0 && e.isCut(o) {
			return nil
		}
		ctx, cancel := context.WithTimeout(e.ctx, postTime)
		err := e.c.Poster.Post(ctx, id, m)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *Emitter) isCut(o *outlet) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return o.cut
}

// fail cuts a connection off after a post that failed, and forgets it if it is gone. Nothing is lost: the client
// finds the gap and asks for the log.
func (e *Emitter) fail(o *outlet, err error) {
	e.mu.Lock()
	o.drop()
	o.cut = true
	id := o.conn.ID
	e.mu.Unlock()
	if !errors.Is(err, chat.ErrGone) {
		e.c.Report(fmt.Errorf("emit: post: %w", err))
		return
	}
	ctx, cancel := context.WithTimeout(e.ctx, listTime)
	defer cancel()
	if err := e.c.Connections.RemoveConnection(ctx, id); err != nil {
		e.c.Report(fmt.Errorf("emit: forget a connection that is gone: %w", err))
	}
}
