package emit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// Limits of one append, and how often it is tried before the run is given up.
const (
	appendTime  = 5 * time.Second
	appendTries = 5
	appendDelay = 100 * time.Millisecond // doubling
)

// flush appends the pending events, one record after the other, until the emitter is drained or closed or an append
// fails.
func (e *Emitter) flush() {
	defer close(e.flusherEnded)
	for {
		events, upTo := e.next()
		if events == nil {
			return
		}
		seq, err := e.append(events)
		if err == nil {
			// before it counts as durable, so Drain returns only once it is queued for all subscribers
			e.queueRecord(seq, events, nil)
		}
		e.mu.Lock()
		if err != nil && e.err == nil {
			e.err = err
		}
		if err == nil {
			e.durable = upTo
		}
		e.announce()
		e.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// next waits until a flush is due. It returns the events to append, and how many events were accepted up to and
// including them. It returns nil when no more events will come.
func (e *Emitter) next() ([]agui.Event, int) {
	for {
		events, upTo, wait, over := e.due()
		if events != nil || over {
			return events, upTo
		}
		var timer <-chan time.Time
		if wait > 0 {
			timer = e.c.After(wait)
		}
		select {
		case <-e.wake:
		case <-timer:
		case <-e.ctx.Done():
			e.mu.Lock()
			if e.err == nil {
				e.err = fmt.Errorf("emit: %w", context.Cause(e.ctx))
			}
			e.announce()
			e.mu.Unlock()
			return nil, 0
		}
	}
}

// due returns the pending events if they may be flushed now. Otherwise wait is the time until they may; it is 0 if
// there are none.
func (e *Emitter) due() (events []agui.Event, upTo int, wait time.Duration, over bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.pending.events) == 0 {
		e.hurry = false
		return nil, 0, 0, e.draining
	}
	now := e.c.User.Now()
	if !e.pending.urgent && !e.draining && !e.hurry && e.pending.size < maxRecord/2 {
		if wait := e.pace.due().Sub(now); wait > 0 {
			return nil, 0, wait, false
		}
	}
	events = e.pending.events
	e.pace.flush(now, e.pending)
	e.pending, e.hurry = pending{}, false
	e.announce() // there is room for more events
	return events, e.accepted, 0, false
}

// append writes one record, and repeats the write after a failure that may be transient.
func (e *Emitter) append(events []agui.Event) (chat.Seq, error) {
	delay := appendDelay
	for try := 1; ; try++ {
		if cause := context.Cause(e.c.User.Context()); errors.Is(cause, chat.ErrLeaseLost) {
			return 0, fmt.Errorf("emit: %w", cause) // another goroutine noticed first that the lease is lost
		}
		ctx, cancel := context.WithTimeout(e.ctx, appendTime)
		seq, err := e.c.Log.Append(ctx, events)
		cancel()
		if err == nil {
			return seq, nil
		}
		err = fmt.Errorf("emit: append %d events: %w", len(events), err)
		if errors.Is(err, chat.ErrLeaseLost) || try == appendTries || e.ctx.Err() != nil {
			return 0, err
		}
		e.c.Report(err)
		select {
		case <-e.c.After(delay):
		case <-e.ctx.Done():
			return 0, err
		}
		delay *= 2
	}
}
