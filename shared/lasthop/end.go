package lasthop

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// End posts the last frame of each connection, if there is one, and closes the connection. It posts without a record,
// which may be deleted already. Therefore it takes errors alone, and they must hold nothing of the user's. It ends all
// connections at once, so a slow connection delays no other. A connection that no longer exists is no error. If a post
// fails, the connection is closed all the same, and the error is returned.
func End(ctx context.Context, p Closer, last map[chat.ConnectionID]*wire.Error) error {
	var ends sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for id, f := range last {
		ends.Go(func() {
			err := end(ctx, p, id, f)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	ends.Wait()
	return errors.Join(errs...)
}

// end posts the last frame of one connection and closes the connection.
func end(ctx context.Context, p Closer, id chat.ConnectionID, last *wire.Error) error {
	var err error
	if last != nil {
		err = notify(ctx, p, id, last)
	}
	if errors.Is(err, chat.ErrGone) {
		return nil
	}
	if err != nil {
		err = fmt.Errorf("notify a connection of its end: %w", err)
	}
	if closed := p.Close(ctx, id); closed != nil && !errors.Is(closed, chat.ErrGone) {
		err = errors.Join(err, fmt.Errorf("close a connection: %w", closed))
	}
	return err
}

// notify posts an error to a connection within postTime, without a check.
func notify(ctx context.Context, p Poster, id chat.ConnectionID, last *wire.Error) error {
	bodies, err := NewFrame(last).encoded()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, postTime)
	defer cancel()
	s := &Sender{Poster: p}
	for _, body := range bodies {
		if err := s.post(ctx, func() (Message, error) { return Message{id, body}, nil }); err != nil {
			return err
		}
	}
	return nil
}
