package emit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Audience is one user's connections and the way to them, for who has something to say outside of a run.
type Audience struct {
	Connections Connections
	Poster      Poster
	Now         func() time.Time // nil: time.Now
}

// Tell lists the user's connections and posts frames to each, in order: Events and Ended to those that watch their
// thread, all else to every one. A connection that is gone is forgotten. It waits for the posts, which have deadlines;
// its error names each that failed, and a failing one holds up no other.
func Tell(ctx context.Context, a Audience, frames ...wire.ServerFrame) error {
	if a.Now == nil {
		a.Now = time.Now
	}
	list, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	conns, err := a.Connections.Connections(list)
	if err != nil {
		return fmt.Errorf("emit: list connections: %w", err)
	}
	var wg sync.WaitGroup
	errs := make([]error, len(conns))
	for i, c := range conns {
		if target(c, a.Now()) {
			wg.Go(func() { errs[i] = a.tell(ctx, c, frames) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (a Audience) tell(ctx context.Context, c chat.Connection, frames []wire.ServerFrame) error {
	for _, f := range frames {
		if t := audience(f); t != "" && t != c.Thread {
			continue
		}
		err := a.post(ctx, c, f)
		if errors.Is(err, chat.ErrGone) {
			forget, cancel := context.WithTimeout(ctx, listTime)
			defer cancel()
			return a.Connections.RemoveConnection(forget, c.ID)
		}
		if err != nil {
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

func (a Audience) post(ctx context.Context, c chat.Connection, f wire.ServerFrame) error {
	messages, err := wire.Encode(f, rand.Text())
	if err != nil {
		return err
	}
	for _, m := range messages {
		if !target(c, a.Now()) {
			return nil // its token is past
		}
		ctx, cancel := context.WithTimeout(ctx, postTime)
		err := Post(ctx, a.Poster, c.ID, m)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
