// Package emit is the naive counterpart of shared/emit, for the bench only: `go build -overlay` puts it in place of
// that package when the bench builds turn a second time. No other code imports it, and no deployed build contains it.
//
// It does what AWS's own samples do: one post for each token to each connection, inside the model's stream.
//
//   - aws-samples/bedrock-chat, backend/app/websocket.py: each token that the model streams is one post_to_connection.
//   - aws-samples/serverless-patterns, apigw-websocket-api-bedrock-streaming-rust-cdk: one post for each record of
//     ConverseStream, of any kind.
//   - aws-samples/aws-genai-llm-chatbot, functions/outgoing-message-handler (before it went to AppSync): one post for
//     each token, after a topic and a queue.
//   - aws-samples/simple-websockets-chat-app, sendmessage/app.js: one post for each connection of all users, all at
//     once, and it waits for them; the table of connections is scanned for each message; a connection that answers 410
//     is deleted.
//
// None of them can send a client the events that it missed: they write the answer once, at its end, or never. To be
// comparable with Carrel the naive design needs the log, so each event is written as one record before it is posted:
// the write for each token. It is not worse than necessary: the write is one put and no transaction, connections are
// queried once a run and not scanned for each event, posts to several connections run in parallel, and thread lists get
// no updates. Everything else of a run (admission, claim, heartbeat, end) is Carrel's in both.
package emit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/lasthop"
	"carrel/shared/usercontext"
	"carrel/shared/wire"
)

// callTime bounds one write or post.
const callTime = 5 * time.Second

// Log is the type of the package that this one replaces.
type Log interface {
	Append(ctx context.Context, events []agui.Event) (chat.Seq, error)
}

// Config is the type of the package that this one replaces.
type Config struct {
	User        *usercontext.Context
	Epoch       chat.Epoch
	Log         Log
	Connections lasthop.Connections
	Poster      lasthop.Poster
	After       func(time.Duration) <-chan time.Time
	Report      func(error)
	Violation   func(chat.ConnectionID) // it looks for none
}

// Emitter writes and posts each event where it is emitted. It is for one goroutine at a time.
type Emitter struct {
	c     Config
	ctx   context.Context
	conns []chat.Connection
}

// New lists the user's connections, once.
func New(ctx context.Context, c Config) (*Emitter, error) {
	list, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	conns, err := c.Connections.Connections(list)
	if err != nil {
		return nil, fmt.Errorf("emit: %w", err)
	}
	e := &Emitter{c: c, ctx: ctx}
	for _, conn := range conns {
		if conn.N > 0 && conn.Thread == c.User.Thread() {
			e.conns = append(e.conns, conn)
		}
	}
	return e, nil
}

// Emit writes each event and posts it to each connection.
func (e *Emitter) Emit(ctx context.Context, events ...agui.Event) error {
	for _, ev := range events {
		if err := e.emit(ctx, ev); err != nil {
			return err
		}
	}
	return nil
}

func (e *Emitter) emit(ctx context.Context, ev agui.Event) error {
	if ev.Timestamp == 0 {
		ev.Timestamp = e.c.User.Now().UnixMilli()
	}
	write, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
	defer cancel()
	seq, err := e.c.Log.Append(write, []agui.Event{ev})
	if err != nil {
		return fmt.Errorf("emit: %w", err)
	}
	e.post(seq, []agui.Event{ev})
	return nil
}

// Sync has nothing to wait for.
func (e *Emitter) Sync(context.Context) error { return nil }

// Drain has nothing to wait for.
func (e *Emitter) Drain(context.Context) error { return nil }

// Deliver posts a record that the caller has written, without the row: the samples have no thread lists.
func (e *Emitter) Deliver(seq chat.Seq, events []agui.Event, _ *wire.ThreadInfo) { e.post(seq, events) }

// Finish has nothing to wait for.
func (e *Emitter) Finish(context.Context) error { return nil }

// Broadcast does nothing: the samples have no thread lists.
func (e *Emitter) Broadcast(wire.ServerFrame) {}

// post posts to all connections at once and waits for the slowest.
func (e *Emitter) post(seq chat.Seq, events []agui.Event) {
	f := lasthop.NewFrame(&wire.Events{
		ThreadID: e.c.User.Thread(), Epoch: e.c.Epoch, Seq: seq, RunID: e.c.User.Run(), Events: events,
	})
	sender := &lasthop.Sender{User: e.c.User.User(), Source: known(e.conns), Poster: e.c.Poster, Now: e.c.User.Now}
	var all sync.WaitGroup
	for _, conn := range e.conns {
		all.Go(func() { e.send(sender, conn.ID, f) })
	}
	all.Wait()
}

func (e *Emitter) send(sender *lasthop.Sender, id chat.ConnectionID, f *lasthop.Frame) {
	ctx, cancel := context.WithTimeout(e.ctx, callTime)
	defer cancel()
	err := sender.Send(ctx, id, f)
	if errors.Is(err, chat.ErrGone) {
		err = e.c.Connections.RemoveConnection(ctx, id)
	}
	if err != nil {
		e.c.Report(fmt.Errorf("emit: %w", err))
	}
}

// known is the list that was read at the beginning of the run. It passes the check of the last hop, because it claims
// to be read at each post.
type known []chat.Connection

// Latest implements lasthop.Source.
func (k known) Latest(id chat.ConnectionID) (lasthop.Record, error) {
	return lasthop.Read(time.Now, func() (chat.Connection, error) {
		for _, c := range k {
			if c.ID == id {
				return c, nil
			}
		}
		return chat.Connection{}, lasthop.ErrRefused
	})
}

// Renew implements lasthop.Source.
func (k known) Renew(_ context.Context, id chat.ConnectionID) (lasthop.Record, error) {
	return k.Latest(id)
}

// Stats holds the figures that turn records of an emitter. The naive emitter records none.
type Stats struct {
	Posted, Retried, Throttled, Gone, Cut int
	Lag                                   time.Duration
	Behind                                int
}

// Stats returns no figures.
func (e *Emitter) Stats() Stats { return Stats{} }
