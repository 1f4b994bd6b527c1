package main

import (
	"context"
	"errors"

	"carrel/shared/chat"
	"carrel/shared/lasthop"
	"carrel/shared/wire"
)

// refuseAndClose refuses a frame and closes its socket. It serves frames on a connection without a record, and users
// who send too many frames. If the connection was never ended, it is closed without an answer. The answer is posted
// without a record, like the notice that ends a connection, so it must hold no data of the user.
func (r *request) refuseAndClose(ctx context.Context, why error) error {
	code, _ := codeOf(why)
	r.countRefusal(ctx, code, "err", why)
	last := &wire.Error{RequestID: r.id, Code: code, Message: sentence(code)}
	if limited := (*chat.RateLimitedError)(nil); errors.As(why, &limited) {
		last.RetryAfterMS = max(1, limited.After.Milliseconds())
	}
	// the connection was not ended: the client connects again when its socket closes
	if errors.Is(why, chat.ErrNotFound) {
		last = nil
	}
	if err := lasthop.End(ctx, r.poster, map[chat.ConnectionID]*wire.Error{r.in.Connection: last}); err != nil {
		r.log.WarnContext(ctx, "end the connection of a refused frame", "err", err)
	}
	return nil
}
