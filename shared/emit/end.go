package emit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Closer posts to connections and closes them.
type Closer interface {
	Poster
	Close(ctx context.Context, id chat.ConnectionID) error
}

// End posts the last frame of each connection, if there is one, and closes the connection. It does so for all of them at once, so a slow
// connection delays no other. A connection that no longer exists is no error. If a post fails, the connection is closed all
// the same, and the error is returned.
func End(ctx context.Context, p Closer, last map[chat.ConnectionID]*wire.Error) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for id, f := range last {
		all.Go(func() {
			err := end(ctx, p, id, f)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func end(ctx context.Context, p Closer, id chat.ConnectionID, last *wire.Error) error {
	var messages [][]byte
	var err error
	if last != nil {
		if messages, err = wire.Encode(last, rand.Text()); err != nil {
			return err
		}
	}
	post, cancel := context.WithTimeout(ctx, postTime)
	defer cancel()
	for _, m := range messages {
		err = errors.Join(err, Post(post, p, id, m))
	}
	if errors.Is(err, chat.ErrGone) {
		return nil
	}
	if err != nil {
		err = fmt.Errorf("emit: notify a connection of its end: %w", err)
	}
	if closed := p.Close(ctx, id); closed != nil && !errors.Is(closed, chat.ErrGone) {
		err = errors.Join(err, fmt.Errorf("emit: close a connection: %w", closed))
	}
	return err
}
