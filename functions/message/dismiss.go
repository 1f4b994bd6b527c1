package main

import (
	"context"
	"errors"

	"carrel/shared/chat"
	"carrel/shared/emit"
	"carrel/shared/wire"
)

// dismiss refuses a frame on a connection without a row and closes its socket. The answer holds nothing of the user's: it
// is the one thing that is posted to a connection without a row, beside the notice that ends one.
func (r *request) dismiss(ctx context.Context, e rowless) error {
	code, _ := codeOf(e)
	r.refused(ctx, code, "err", e)
	last := &wire.Error{RequestID: r.id, Code: code, Message: sentence(code)}
	if limited := (*chat.RateLimitedError)(nil); errors.As(e, &limited) {
		last.RetryAfterMS = max(1, limited.After.Milliseconds())
	}
	if err := emit.End(ctx, r.poster, map[chat.ConnectionID]*wire.Error{r.in.Connection: last}); err != nil {
		r.log.WarnContext(ctx, "end a connection without a row", "err", err)
	}
	return nil
}
