// Package emit is the emitter of a run: it appends the run's events to the log of the thread and then posts them to the
// user's connections that watch the thread. No event is posted before it is durable. An emitter serves one user, thread
// and run for its whole life.
//
// Start here: Emit queues an event (emit.go, pending.go), flush appends the queue to the log (flush.go), and deliver
// posts each record to the subscribers (subscriber.go), which a list of the user's connections renews each second
// (connections.go). Package lasthop checks and makes each post.
package emit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/lasthop"
	"carrel/shared/usercontext"
	"carrel/shared/wire"
)

// Log stores a run's events. Append makes them durable as one record with the next sequence numbers and returns the
// first of these. After any error but a chat.ErrLeaseLost the same events may be appended again: the log recognises a
// record that it has already.
type Log interface {
	Append(ctx context.Context, events []agui.Event) (chat.Seq, error)
}

// Config is what an emitter is made from.
type Config struct {
	User        *usercontext.Context
	Epoch       chat.Epoch
	Log         Log
	Connections lasthop.Connections
	Poster      lasthop.Poster
	After       func(time.Duration) <-chan time.Time // nil: time.After
	Report      func(error)                          // called with failures that do not end the run; nil: not called
	// Violation is called once for each listed connection of another user; nil: Report is called instead.
	Violation func(chat.ConnectionID)
}

// Emitter is the emitter of one run. Emit, Sync and Broadcast may be called concurrently, because agents of a run work
// at the same time. Drain and Finish are for one goroutine, after the last Emit.
type Emitter struct {
	c          Config
	ctx        context.Context // ends with the invocation or with close
	stop       context.CancelFunc
	wake       chan struct{} // wakes the flusher after a change
	refreshNow chan struct{} // has the lister list without waiting

	flusherEnded chan struct{} // closed when the flusher has ended
	stopList     chan struct{} // closed to end the lister
	listerEnded  chan struct{} // closed when the lister has ended
	finish       sync.Once
	reader       lasthop.Reader // used by the lister only

	mu            sync.Mutex
	pending       pending
	pace          pace
	accepted      int           // events that Emit took
	durable       int           // of the accepted events, those in the log
	hurry         bool          // flush without waiting for the interval
	draining      bool          // no more events are accepted
	closed        bool          // no more messages are posted
	err           error         // why no more events are appended
	changed       chan struct{} // closed and replaced at each change of the fields around it that a caller may wait for
	subscribers   map[chat.ConnectionID]*subscriber
	lists         int         // lists that were requested
	current       int         // the number of the current list, the newest that was read; 0: none
	currentAt     time.Time   // when the current list was requested
	delivering    int         // goroutines that post
	backlog       []*delivery // for the subscribers of the first list; nil after it
	backlogSize   int         // in bytes
	lastRecord    *delivery   // for new subscribers
	lastBroadcast *delivery   // for new subscribers
	stats         Stats
}

// New makes the emitter of one run. It returns while the user's connections are listed; nothing is posted before the
// list is there. ctx bounds the whole life of the emitter. It is the context of the invocation and not of the run, so
// that a cancelled run can still write its end. Closing the user context stops what the emitter started. A list that
// fails is reported and tried again.
func New(ctx context.Context, c Config) (*Emitter, error) {
	if c.After == nil {
		c.After = time.After
	}
	if c.Report == nil {
		c.Report = func(error) {}
	}
	if c.Violation == nil {
		c.Violation = func(chat.ConnectionID) { c.Report(&chat.ForeignError{}) }
	}
	e := &Emitter{
		c: c, wake: make(chan struct{}, 1), refreshNow: make(chan struct{}, 1),
		flusherEnded: make(chan struct{}), stopList: make(chan struct{}), listerEnded: make(chan struct{}),
		changed: make(chan struct{}), subscribers: map[chat.ConnectionID]*subscriber{},
		reader: lasthop.Reader{User: c.User.User(), Connections: c.Connections, Now: c.User.Now,
			Violation: c.Violation},
	}
	e.ctx, e.stop = context.WithCancel(ctx)
	if err := c.User.OnClose("emitter", e.close); err != nil {
		e.stop()
		return nil, fmt.Errorf("emit: %w", err)
	}
	go e.flush()
	go e.keepListing()
	return e, nil
}

// Emit accepts the next events, which enter the same record of the log. Text, reasoning and argument deltas are held
// back for the flush interval, which is 0, 50, 100, 200 and then 250 ms while they keep coming; consecutive deltas of
// one id are joined. All other events are flushed immediately. Emit blocks while the pending events do not fit in one
// record. An error means that no more events can be appended. If there is room, Emit accepts the events although ctx
// has ended, so a cancelled run can close what it opened. Only a delta
// that is emitted alone may be longer than a record.
func (e *Emitter) Emit(ctx context.Context, events ...agui.Event) error {
	now := e.c.User.Now()
	events = slices.Clone(events)
	for i := range events {
		if events[i].Timestamp == 0 {
			events[i].Timestamp = now.UnixMilli()
		}
	}
	if len(events) > 1 {
		return e.emitTogether(ctx, events, now)
	}
	for _, ev := range events {
		pieces, err := fit(ev)
		if err != nil {
			return err
		}
		for _, p := range pieces {
			if err := e.accept(ctx, now, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// emitTogether accepts events that must enter the same record.
func (e *Emitter) emitTogether(ctx context.Context, events []agui.Event, now time.Time) error {
	all := make([]sized, len(events))
	size := 0
	for i, ev := range events {
		s, err := measure(ev)
		if err != nil {
			return err
		}
		all[i] = s
		size += s.size
	}
	if size > maxRecord {
		return fmt.Errorf("emit: %d events have %d bytes together; a record may have %d", len(events), size, maxRecord)
	}
	return e.accept(ctx, now, all...)
}

// accept adds events to the pending ones, as soon as there is room for all of them.
func (e *Emitter) accept(ctx context.Context, now time.Time, events ...sized) error {
	return e.await(ctx, func() (bool, error) {
		switch {
		case e.draining:
			return false, fmt.Errorf("emit: after Drain: %w", chat.ErrClosed)
		case !e.pending.room(events...):
			return false, nil
		}
		for _, p := range events {
			if agui.Deferrable(p.event) {
				e.pace.delta(now)
			}
			e.pending.add(p)
			e.accepted++
		}
		e.signal()
		return true, nil
	})
}

// Sync flushes without waiting for the interval, and returns when the log holds all events that were emitted so far.
func (e *Emitter) Sync(ctx context.Context) error {
	target := -1
	return e.await(ctx, func() (bool, error) {
		if target < 0 {
			target = e.accepted
			e.hurry = true
			e.signal()
		}
		return e.durable >= target, nil
	})
}

// Drain flushes the pending events and accepts no more. The caller then writes the terminal record and gives it to
// Deliver.
func (e *Emitter) Drain(ctx context.Context) error {
	return e.await(ctx, func() (bool, error) {
		if !e.draining {
			e.draining = true
			e.signal()
		}
		return e.durable == e.accepted, nil
	})
}

// Finish lists the connections once more, so that a new connection receives the last record too, and waits for the
// posts in progress. The caller must have given the last record to Deliver.
func (e *Emitter) Finish(ctx context.Context) error {
	err := e.relist(ctx)
	if err == nil {
		err = e.quiet(ctx)
	}
	e.stopListing()
	select {
	case <-e.listerEnded:
	case <-ctx.Done():
		err = cmp.Or(err, fmt.Errorf("emit: finish: %w", context.Cause(ctx)))
	}
	return err
}

// Deliver posts a record that the caller itself has appended: the first and the last of an attempt, because their
// content depends on what the log holds. The message of the record brings the row of the thread, if row is not nil.
// Connections that do not receive the record receive the row alone, as from Broadcast.
func (e *Emitter) Deliver(seq chat.Seq, events []agui.Event, row *wire.ThreadInfo) {
	e.queueRecord(seq, events, row)
}

// Broadcast posts a frame to all of the user's connections, whatever they watch, in order with the events. Connections
// that appear later receive the most recent such frame.
func (e *Emitter) Broadcast(f wire.ServerFrame) {
	d := &delivery{frame: lasthop.NewFrame(f), size: frameSize}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lastBroadcast = d
	e.offerAll(d)
}

// await calls step with the lock held, and again after each change, until step is done or fails or an append has
// failed.
func (e *Emitter) await(ctx context.Context, step func() (bool, error)) error {
	for {
		e.mu.Lock()
		done, err, changed := false, e.err, e.changed
		if err == nil {
			done, err = step()
		}
		e.mu.Unlock()
		if done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("emit: %w", context.Cause(ctx))
		}
	}
}

// signal wakes the flusher.
func (e *Emitter) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// announce wakes the goroutines that wait for a change; the lock is held.
func (e *Emitter) announce() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// stopListing ends the lister, once.
func (e *Emitter) stopListing() { e.finish.Do(func() { close(e.stopList) }) }

// quiet waits for the posts in progress.
func (e *Emitter) quiet(ctx context.Context) error {
	if err := e.until(ctx, func() bool { return e.delivering == 0 }); err != nil {
		return fmt.Errorf("emit: posts are still in progress: %w", err)
	}
	return nil
}

// close stops everything: pending events are not appended, and queued frames are not posted.
func (e *Emitter) close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	if e.err == nil {
		e.err = fmt.Errorf("emit: %w", chat.ErrClosed)
	}
	e.announce()
	e.mu.Unlock()
	e.stop()
	e.stopListing()
	for _, ended := range []chan struct{}{e.flusherEnded, e.listerEnded} {
		select {
		case <-ended:
		case <-ctx.Done():
			return errors.New("emit: a goroutine did not end")
		}
	}
	return e.quiet(ctx)
}
