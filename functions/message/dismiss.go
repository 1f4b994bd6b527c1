package main

import (
	"context"
	"errors"

	"carrel/shared/chat"
	"carrel/shared/lasthop"
	"carrel/shared/wire"
)

// end refuses a frame and closes its socket: of a connection without a row, and of a user who sends too many frames. A
// connection that nobody ended is closed without an answer. The answer holds nothing of the user's: it is the one thing that is posted to a connection without a row, beside the notice
// that ends one.
func (r *request) end(ctx context.Context, why error) error {
	code, _ := codeOf(why)
	r.refused(ctx, code, "err", why)
	last := &wire.Error{RequestID: r.id, Code: code, Message: sentence(code)}
	if limited := (*chat.RateLimitedError)(nil); errors.As(why, &limited) {
		last.RetryAfterMS = max(1, limited.After.Milliseconds())
	}
	if errors.Is(why, chat.ErrNotFound) { // nobody ended the connection: a lost socket makes its client connect again
		last = nil
	}
	if err := lasthop.End(ctx, r.poster, map[chat.ConnectionID]*wire.Error{r.in.Connection: last}); err != nil {
		r.log.WarnContext(ctx, "end the connection of a refused frame", "err", err)
	}
	return nil
}
