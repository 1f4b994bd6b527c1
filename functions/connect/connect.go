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
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// sender tells and closes the connections that a new one replaces; gateway.Poster is one.
type sender interface {
	Post(ctx context.Context, id chat.ConnectionID, message []byte) error
	Close(ctx context.Context, id chat.ConnectionID) error
}

type handler struct {
	table   *store.Table
	sender  sender
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
		h.log.WarnContext(ctx, "connect refused", "reason", err.Error())
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
		h.log.InfoContext(ctx, "connection not recorded", "reason", err.Error()) // its first hello is told why
	case errors.Is(err, chat.ErrRateLimited):
		h.log.WarnContext(ctx, "connect refused", "reason", err.Error())
		return gateway.Answer{StatusCode: http.StatusTooManyRequests}, nil
	case err != nil:
		return gateway.Answer{}, fmt.Errorf("record the connection: %w", err)
	}
	for _, id := range replaced {
		h.replace(ctx, id)
	}
	if slices.Contains(in.Subprotocols, wire.Subprotocol) {
		return gateway.OK(wire.Subprotocol), nil
	}
	return gateway.OK(""), nil
}

// replace tells a connection that it is one too many, and closes it. Its record is gone already, so nothing depends on
// the outcome.
func (h *handler) replace(ctx context.Context, id chat.ConnectionID) {
	messages, err := wire.Encode(&wire.Error{
		Code:    wire.CodeReplaced,
		Message: "This window was disconnected because too many are open. Use it again to reconnect.",
	}, "replaced")
	for _, m := range messages {
		err = errors.Join(err, h.sender.Post(ctx, id, m))
	}
	err = errors.Join(err, h.sender.Close(ctx, id))
	if err != nil && !errors.Is(err, chat.ErrGone) {
		h.log.WarnContext(ctx, "a replaced connection was not told or closed", "reason", err.Error())
	}
}
