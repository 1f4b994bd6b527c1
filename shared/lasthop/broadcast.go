package lasthop

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// listTries is how often the connections are listed, if a list fails.
const listTries = 3

// Recipients are the connections of one user and the way to them.
type Recipients struct {
	User        chat.User
	Connections Connections
	Poster      Poster
	Now         func() time.Time // nil: time.Now
	// called once for each listed connection of another user; nil: Broadcast returns a chat.ErrForeign
	Violation func(chat.ConnectionID)
}

// Broadcast lists the user's connections and posts the frames to each, in order: Events and Ended to watchers of
// their thread, every other frame to all. It removes the record of a connection that no longer exists. It waits for the
// posts, which have deadlines. A failing connection delays no other, and the error names each failure.
func Broadcast(ctx context.Context, to Recipients, frames ...wire.ServerFrame) error {
	if to.User.IsZero() {
		return fmt.Errorf("broadcast: %w", chat.ErrNoUser)
	}
	if to.Now == nil {
		to.Now = time.Now
	}
	var foreign error
	if to.Violation == nil {
		to.Violation = func(chat.ConnectionID) { foreign = fmt.Errorf("broadcast: %w", chat.ErrForeign) }
	}
	list := newConnectionList(to)
	if err := list.read(ctx); err != nil {
		return fmt.Errorf("broadcast: %w", err)
	}
	var encoded []*Frame
	for _, f := range frames {
		encoded = append(encoded, NewFrame(f))
	}
	var posts sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for _, id := range list.ids() {
		posts.Go(func() {
			err := list.send(ctx, id, encoded)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	posts.Wait()
	return errors.Join(append(errs, foreign)...)
}

// connectionList is the Source of a broadcast: the connections of one user as they were last listed. It is safe for
// concurrent use.
type connectionList struct {
	sender      *Sender
	connections Connections

	mu      sync.Mutex
	reader  Reader
	records map[chat.ConnectionID]Record
}

func newConnectionList(to Recipients) *connectionList {
	l := &connectionList{
		connections: to.Connections,
		reader:      Reader{User: to.User, Connections: to.Connections, Now: to.Now, Violation: to.Violation},
	}
	l.sender = &Sender{User: to.User, Source: l, Poster: to.Poster, Now: to.Now}
	return l
}

// read lists the connections, and repeats a list that fails. Once it shares the list, the caller holds the lock.
func (l *connectionList) read(ctx context.Context) error {
	for try := 1; ; try++ {
		records, err := l.reader.Read(ctx)
		if err == nil {
			l.records = map[chat.ConnectionID]Record{}
			for _, r := range records {
				l.records[r.connection.ID] = r
			}
			return nil
		}
		if try == listTries || ctx.Err() != nil {
			return err
		}
	}
}

// ids returns the listed connections.
func (l *connectionList) ids() []chat.ConnectionID {
	var ids []chat.ConnectionID
	for id := range l.records {
		ids = append(ids, id)
	}
	return ids
}

// Latest implements Source.
func (l *connectionList) Latest(id chat.ConnectionID) (Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.record(id)
}

// Renew implements Source. The first goroutine that finds the list old reads it again, and the others use its result.
func (l *connectionList) Renew(ctx context.Context, id chat.ConnectionID) (Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r, err := l.record(id); err != nil || r.age(l.reader.Now()) <= Interval {
		return r, err
	}
	if err := l.read(ctx); err != nil {
		return Record{}, err
	}
	return l.record(id)
}

// record returns the record of a connection; the lock is held.
func (l *connectionList) record(id chat.ConnectionID) (Record, error) {
	r, listed := l.records[id]
	if !listed {
		return Record{}, ErrRefused
	}
	return r, nil
}

// send posts the frames to one connection. It passes over frames that the connection may not receive.
func (l *connectionList) send(ctx context.Context, id chat.ConnectionID, frames []*Frame) error {
	for _, f := range frames {
		err := l.sender.Send(ctx, id, f)
		switch {
		case err == nil || errors.Is(err, ErrRefused):
		case errors.Is(err, chat.ErrGone):
			limited, cancel := context.WithTimeout(ctx, removeTime)
			defer cancel()
			return l.connections.RemoveConnection(limited, id)
		default:
			return fmt.Errorf("broadcast: post: %w", err)
		}
	}
	return nil
}
