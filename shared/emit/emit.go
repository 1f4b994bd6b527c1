// Package emit is a run's emitter: it appends events to the thread's log and then posts them to the user's own
// connections that watch the thread. Nothing is posted before it is durable. An emitter is bound for life to one user,
// thread and run.
package emit

import (
	"context"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/usercontext"
)

// Log takes a run's events. Append makes them durable as one record with the next sequence numbers and returns the
// first's. Any error but a chat.ErrFenced may be tried again with the same events: the log recognises its own write.
type Log interface {
	Append(ctx context.Context, events []agui.Event) (chat.Seq, error)
}

// Connections lists the user's own sockets, read consistently, and removes one that is gone.
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
}

// Emitter is one run's.
type Emitter struct{}

// New makes the emitter of one run and lists the user's connections.
func New(ctx context.Context, c Config) (*Emitter, error) { panic("not built") }

// Emit takes the next event. Text, reasoning and argument deltas wait for the flush interval (none, then 50 → 100 →
// 200 → 250 ms while they keep coming) and adjacent ones of one id are joined; everything else is flushed at once. It
// blocks while more waits than a record may hold. Its error means that the log takes no more.
func (e *Emitter) Emit(ctx context.Context, ev agui.Event) error { panic("not built") }

// Drain flushes what waits and ends the taking of events: what follows is the terminal transaction, whose record is
// given to Finish.
func (e *Emitter) Drain(ctx context.Context) error { panic("not built") }

// Finish lists the connections again and posts the run's last record, which is durable by now, to each that watches
// the thread; then it waits for the posts under way.
func (e *Emitter) Finish(ctx context.Context, seq chat.Seq, events []agui.Event) error {
	panic("not built")
}
