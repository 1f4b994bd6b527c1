package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"carrel/shared/chat"
	"carrel/shared/gateway"
	"carrel/shared/lasthop"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

type handler struct {
	table   *store.Table
	sender  lasthop.Closer // notifies and closes the connections that a new one replaces
	monitor *monitor.Monitor
	now     func() time.Time
	log     *slog.Logger
}

// Handle refuses the handshake if the event has no user, if the connection belongs to another user, or if the user
// sends too many frames. A browser cannot read the reason of a refusal: it sees only a socket that fails. For this
// reason a connection whose session has ended is accepted and not recorded, and the answer to its first hello states
// the reason.
func (h *handler) Handle(ctx context.Context, event json.RawMessage) (gateway.Answer, error) {
	in, err := gateway.ParseInbound(event)
	if errors.Is(err, chat.ErrNoUser) {
		h.log.WarnContext(ctx, "connect refused", "err", err)
		return gateway.Answer{StatusCode: http.StatusForbidden}, nil
	}
	if err != nil {
		return gateway.Answer{}, err
	}
	own, err := h.table.For(in.User)
	if err != nil {
		return gateway.Answer{}, err
	}
	replaced, err := own.Connect(ctx, chat.Connection{
		ID:           in.Connection,
		Thread:       chat.ThreadID(chat.NewID(h.now())),
		Connected:    in.ConnectedAt,
		TokenExpires: in.TokenExpires,
		SignedIn:     in.SignIn.At,
	})
	switch {
	case errors.Is(err, chat.ErrForeign):
		h.monitor.Violation(ctx, monitor.ConnectionOwner, in.User, monitor.Request(in.RequestID),
			monitor.Connection(in.Connection))
		return gateway.Answer{StatusCode: http.StatusForbidden}, nil
	case errors.Is(err, chat.ErrSignedOut), errors.Is(err, chat.ErrReplaced):
		h.log.InfoContext(ctx, "connection not recorded", "err", err)
	case errors.Is(err, chat.ErrRateLimited):
		h.log.WarnContext(ctx, "connect refused", "err", err)
		return gateway.Answer{StatusCode: http.StatusTooManyRequests}, nil
	case err != nil:
		return gateway.Answer{}, fmt.Errorf("record the connection: %w", err)
	}
	last := map[chat.ConnectionID]*wire.Error{}
	for _, id := range replaced {
		last[id] = wire.LastFrame(wire.CodeReplaced)
	}
	// The records of the replaced connections have been deleted, so Handle succeeds even if this fails.
	if err := lasthop.End(ctx, h.sender, last); err != nil {
		h.log.WarnContext(ctx, "close replaced connections", "err", err)
	}
	if slices.Contains(in.Subprotocols, wire.Subprotocol) {
		return gateway.OK(wire.Subprotocol), nil
	}
	return gateway.OK(""), nil
}
