package emit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Recipients is one user's connections and the way to them, for who has something to say outside of a run.
type Recipients struct {
	User        chat.User
	Connections Connections
	Poster      Poster
	Now         func() time.Time        // nil: time.Now
	Violation   func(chat.ConnectionID) // told, once each, of connections that were listed and are another's; nil: it is an error
}

// Broadcast lists the user's connections and posts frames to each, in order: Events and Ended to those that watch their
// thread, all else to every one. A connection that is gone is forgotten. It waits for the posts, which have deadlines;
// its error names each that failed, and a failing one holds up no other. A list that has become too old to be posted from
// is read again first.
func Broadcast(ctx context.Context, a Recipients, frames ...wire.ServerFrame) error {
	if a.User.IsZero() {
		return fmt.Errorf("emit: tell: %w", chat.ErrNoUser)
	}
	if a.Now == nil {
		a.Now = time.Now
	}
	r := &roll{Recipients: a, refused: map[chat.ConnectionID]bool{}}
	if err := r.read(ctx); err != nil {
		return err
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for id, c := range maps.Clone(r.rows) {
		if target(c, a.User, a.Now()) {
			wg.Go(func() {
				err := r.tell(ctx, id, frames)
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			})
		}
	}
	wg.Wait()
	return errors.Join(append(errs, r.foreign)...)
}

// roll is an audience's connections as they were last read.
type roll struct {
	Recipients
	mu      sync.Mutex
	at      time.Time // when it was asked for
	rows    map[chat.ConnectionID]chat.Connection
	refused map[chat.ConnectionID]bool
	foreign error // that some are another's, if nobody else is told
}

// read lists the connections, again if that fails or takes too long.
func (r *roll) read(ctx context.Context) error {
	for try := 1; ; try++ {
		at := r.Now()
		list, cancel := context.WithTimeout(ctx, listTime)
		conns, err := r.Connections.Connections(list)
		cancel()
		if err == nil || errors.Is(err, chat.ErrForeign) {
			r.take(conns, err, at)
			err = nil
			if !r.stale() {
				return nil
			}
			err = errors.New("the answer came too late")
		}
		if try == listTries || ctx.Err() != nil {
			return fmt.Errorf("emit: list connections: %w", err)
		}
	}
}

func (r *roll) stale() bool { return r.Now().Sub(r.at) > listGood }

func (r *roll) take(conns []chat.Connection, err error, at time.Time) {
	r.at, r.rows = at, map[chat.ConnectionID]chat.Connection{}
	for _, c := range conns {
		r.rows[c.ID] = c
	}
	for _, id := range foreign(conns, err, r.User) {
		switch {
		case r.Violation == nil:
			r.foreign = fmt.Errorf("emit: list connections: %w", chat.ErrForeign)
		case !r.refused[id]:
			r.Violation(id)
		}
		r.refused[id] = true
	}
}

// errUnwanted is a post that is not to be: its connection is not what it was when the telling began.
var errUnwanted = errors.New("the connection is no target any more")

// seat is one connection's place in a roll, and the Poster to it: each try is by a list that may be posted from.
type seat struct {
	*roll
	thread chat.ThreadID // whose watchers the frame is for; "": everybody
}

// Post posts one message, unless the connection has become no target for it.
func (s seat) Post(ctx context.Context, id chat.ConnectionID, message []byte) error {
	if err := s.check(ctx, id); err != nil {
		return err
	}
	return s.Poster.Post(ctx, id, message)
}

func (s seat) check(ctx context.Context, id chat.ConnectionID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stale() {
		if err := s.read(ctx); err != nil {
			return err
		}
	}
	if c := s.rows[id]; !target(c, s.User, s.Now()) || s.thread != "" && s.thread != c.Thread {
		return errUnwanted
	}
	return nil
}

func (r *roll) tell(ctx context.Context, id chat.ConnectionID, frames []wire.ServerFrame) error {
	for _, f := range frames {
		err := r.post(ctx, id, f)
		if errors.Is(err, chat.ErrGone) {
			forget, cancel := context.WithTimeout(ctx, dropTime)
			defer cancel()
			return r.Connections.RemoveConnection(forget, id)
		}
		if err != nil && !errors.Is(err, errUnwanted) {
			return fmt.Errorf("emit: post: %w", err)
		}
	}
	return nil
}

// audience is the thread whose watchers a frame is for, or "" for everybody.
func audience(f wire.ServerFrame) chat.ThreadID {
	switch f := f.(type) {
	case *wire.Events:
		return f.ThreadID
	case *wire.Ended:
		return f.ThreadID
	}
	return ""
}

func (r *roll) post(ctx context.Context, id chat.ConnectionID, f wire.ServerFrame) error {
	messages, err := wire.Encode(f, rand.Text())
	if err != nil {
		return err
	}
	for _, m := range messages {
		ctx, cancel := context.WithTimeout(ctx, postTime)
		err := Post(ctx, seat{r, audience(f)}, id, m)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
