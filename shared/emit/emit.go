// Package emit is a run's emitter: it appends events to the thread's log and then posts them to the user's own
// connections that watch the thread. Nothing is posted before it is durable. An emitter is bound for life to one user,
// thread and run.
package emit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/usercontext"
	"carrel/shared/wire"
)

// Log takes a run's events. Append makes them durable as one record with the next sequence numbers and returns the
// first's. Any error but a chat.ErrLeaseLost may be tried again with the same events: the log recognises its own write.
type Log interface {
	Append(ctx context.Context, events []agui.Event) (chat.Seq, error)
}

// Connections lists the user's own sockets, read consistently, and removes one that is gone. A list beside which there is
// a chat.ErrForeign is good: what that names is not in it.
type Connections interface {
	Connections(ctx context.Context) ([]chat.Connection, error)
	RemoveConnection(ctx context.Context, id chat.ConnectionID) error
}

// Poster posts one message to a connection: chat.ErrGone if it no longer exists, chat.ErrSlow if its buffer is full.
type Poster interface {
	Post(ctx context.Context, id chat.ConnectionID, message []byte) error
}

// Config is what an emitter is made from.
type Config struct {
	User        *usercontext.Context
	Epoch       chat.Epoch
	Log         Log
	Connections Connections
	Poster      Poster
	After       func(time.Duration) <-chan time.Time // nil: time.After
	Report      func(error)                          // told of failures that do not end the run; nil: nobody is
	Violation   func(chat.ConnectionID)              // told, once each, of connections that were listed and are another's; nil: Report is
}

// Emitter is one run's. Emit, Sync, Drain and Finish are for one goroutine at a time; Broadcast may be called beside them.
type Emitter struct {
	c    Config
	ctx  context.Context // ends with the invocation or with close
	stop context.CancelFunc
	wake chan struct{} // tells the flusher that something changed
	kick chan struct{} // tells the lister not to wait

	flushed  chan struct{} // closed when the flusher has ended
	stopList chan struct{} // closed to end the lister
	listed   chan struct{} // closed when the lister has ended
	finish   sync.Once
	refused  map[chat.ConnectionID]bool // connections that are another's; the lister's

	mu         sync.Mutex
	pending    pending
	pace       pace
	accepted   int           // events that Emit took
	durable    int           // of those, how many the log holds
	hurry      bool          // flush without waiting for the interval
	draining   bool          // no event is taken any more
	closed     bool          // nothing is posted any more
	err        error         // why the log takes no more
	changed    chan struct{} // closed and made anew at each change of the above that somebody may wait for
	outlets    map[chat.ConnectionID]*outlet
	lists      int       // that were asked for
	inForce    int       // the last of them that came
	listedAt   time.Time // when that was asked for
	delivering int       // goroutines
	last       *delivery // the last record, for who is new
	news       *delivery // the last frame of Broadcast, for who is new
	figures    Stats
}

// New makes the emitter of one run and lists the user's connections. ctx bounds the emitter's whole life: it is the
// invocation's and not the run's, so that a run that is cancelled can still write its end. The user context's Close
// stops what the emitter started. A list that fails is reported and tried again; nothing is posted by one that is too old.
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
		c: c, wake: make(chan struct{}, 1), kick: make(chan struct{}, 1), refused: map[chat.ConnectionID]bool{},
		flushed: make(chan struct{}), stopList: make(chan struct{}), listed: make(chan struct{}),
		changed: make(chan struct{}), outlets: map[chat.ConnectionID]*outlet{},
	}
	e.ctx, e.stop = context.WithCancel(ctx)
	if err := c.User.OnClose("emitter", e.close); err != nil {
		e.stop()
		return nil, fmt.Errorf("emit: %w", err)
	}
	wait := e.list()
	go e.flush()
	go e.keepListing(wait)
	return e, nil
}

// Emit takes the next event. Text, reasoning and argument deltas wait for the flush interval (none, then 50 → 100 →
// 200 → 250 ms while they keep coming) and adjacent ones of one id are joined; everything else is flushed at once. It
// blocks while more waits than a record may hold. Its error means that the log takes no more. A ctx that has ended
// does not keep an event out that need not wait: a cancelled run closes what it opened.
func (e *Emitter) Emit(ctx context.Context, ev agui.Event) error {
	now := e.c.User.Now()
	if ev.Timestamp == 0 {
		ev.Timestamp = now.UnixMilli()
	}
	pieces, err := fit(ev)
	if err != nil {
		return err
	}
	for _, p := range pieces {
		if err := e.accept(ctx, p, now); err != nil {
			return err
		}
	}
	return nil
}

// accept adds one event to what waits, as soon as there is room.
func (e *Emitter) accept(ctx context.Context, p sized, now time.Time) error {
	return e.await(ctx, func() (bool, error) {
		switch {
		case e.draining:
			return false, fmt.Errorf("emit: after Drain: %w", chat.ErrClosed)
		case !e.pending.room(p):
			return false, nil
		}
		if agui.Deferrable(p.event) {
			e.pace.delta(now)
		}
		e.pending.add(p)
		e.accepted++
		e.signal()
		return true, nil
	})
}

// Sync waits until the log holds all that was emitted so far, and flushes it without waiting for the interval.
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

// Drain flushes what waits and ends the taking of events: what follows is the terminal transaction, whose record is
// given to Finish.
func (e *Emitter) Drain(ctx context.Context) error {
	return e.await(ctx, func() (bool, error) {
		if !e.draining {
			e.draining = true
			e.signal()
		}
		return e.durable == e.accepted, nil
	})
}

// Finish posts the run's last record, which is durable by now, to each connection that watches the thread, lists the
// connections again, posts the record to whoever is new, and waits for the posts under way.
func (e *Emitter) Finish(ctx context.Context, seq chat.Seq, events []agui.Event) error {
	e.record(seq, events)
	err := e.relist(ctx)
	if err == nil {
		err = e.quiet(ctx)
	}
	e.stopListing()
	select {
	case <-e.listed:
	case <-ctx.Done():
		err = cmp.Or(err, fmt.Errorf("emit: finish: %w", context.Cause(ctx)))
	}
	return err
}

// Deliver posts a record that the caller has written before the first Emit: one that had to be chosen by what the log held.
func (e *Emitter) Deliver(seq chat.Seq, events []agui.Event) { e.record(seq, events) }

// Broadcast posts a frame to all of the user's connections, whatever they watch, in order with the events. Who appears
// later gets the last such frame.
func (e *Emitter) Broadcast(f wire.ServerFrame) {
	d := &delivery{frame: f, size: frameSize}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.news = d
	for _, o := range e.outlets {
		e.push(o, d)
	}
}

// await runs step under the lock until it is done, fails or the log has failed, waiting for a change in between.
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

// announce wakes those who await a change; the lock is held.
func (e *Emitter) announce() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// stopListing ends the lister, once.
func (e *Emitter) stopListing() { e.finish.Do(func() { close(e.stopList) }) }

// quiet waits for the posts under way.
func (e *Emitter) quiet(ctx context.Context) error {
	if err := e.until(ctx, func() bool { return e.delivering == 0 }); err != nil {
		return fmt.Errorf("emit: posts are still under way: %w", err)
	}
	return nil
}

// close stops everything: what waits is neither written nor posted any more.
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
	for _, ended := range []chan struct{}{e.flushed, e.listed} {
		select {
		case <-ended:
		case <-ctx.Done():
			return errors.New("emit: a goroutine did not end")
		}
	}
	return e.quiet(ctx)
}
