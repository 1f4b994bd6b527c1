package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"carrel/shared/chat"
	"carrel/shared/emit"
	"carrel/shared/wire"
)

// dismiss refuses a frame on a connection without a row and closes its socket. The answer holds nothing of the user's: it
// is the one thing that is posted to a connection without a row, beside the notice that ends one.
func (r *request) dismiss(ctx context.Context, e rowless) error {
	code, _ := codeOf(e)
	r.refused(ctx, code, "err", e)
	end := &wire.Error{RequestID: r.id, Code: code, Message: sentence(code)}
	if limited := (*chat.RateLimitedError)(nil); errors.As(e, &limited) {
		end.RetryAfterMS = max(1, limited.After.Milliseconds())
	}
	return r.endSocket(ctx, r.in.Connection, end)
}

// endSocket posts the last frame of a connection and closes it. One that has gone, or does not read, is only closed.
func (r *request) endSocket(ctx context.Context, id chat.ConnectionID, last *wire.Error) error {
	messages, err := wire.Encode(last, rand.Text())
	for _, m := range messages {
		err = errors.Join(err, emit.Post(ctx, r.poster, id, m))
	}
	if err != nil && !errors.Is(err, chat.ErrGone) {
		r.log.InfoContext(ctx, "notify a connection of its end", "err", err)
	}
	if err := r.poster.Close(ctx, id); err != nil {
		return fmt.Errorf("close a connection: %w", err)
	}
	return nil
}
