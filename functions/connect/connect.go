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
	"carrel/shared/emit"
	"carrel/shared/gateway"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

type handler struct {
	table   *store.Table
	sender  emit.Closer // notifies and closes the connections that a new one replaces
	monitor *monitor.Monitor
	now     func() time.Time
	log     *slog.Logger
}

// Handle refuses a handshake without a user, one on a connection of another user, and those of a user who sends too many
// frames. A browser sees of any refusal only a failed socket. A connection of a session that was ended is therefore
// accepted and not recorded: its first hello is answered with the reason.
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
		h.monitor.Violation(ctx, monitor.ConnectionOwner, in.User, monitor.Request(in.RequestID), monitor.Connection(in.Connection))
		return gateway.Answer{StatusCode: http.StatusForbidden}, nil
	case errors.Is(err, chat.ErrSignedOut), errors.Is(err, chat.ErrReplaced):
		h.log.InfoContext(ctx, "connection not recorded", "err", err) // the answer to its first hello says why
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
	if err := emit.End(ctx, h.sender, last); err != nil { // their records are removed already, so a failure changes nothing
		h.log.WarnContext(ctx, "end a replaced connection", "err", err)
	}
	if slices.Contains(in.Subprotocols, wire.Subprotocol) {
		return gateway.OK(wire.Subprotocol), nil
	}
	return gateway.OK(""), nil
}
