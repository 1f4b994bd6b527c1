package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"carrel/shared/chat"
	"carrel/shared/gateway"
	"carrel/shared/monitor"
	"carrel/shared/store"
)

type handler struct {
	table   *store.Table
	monitor *monitor.Monitor
	log     *slog.Logger
}

// Handle deletes the connection of the event. The connection belongs to the owner that connect recorded. If the
// authorizer's context names another user, Handle records an isolation violation and deletes nothing.
func (h *handler) Handle(ctx context.Context, event json.RawMessage) (gateway.Answer, error) {
	in, err := gateway.ParseInbound(event)
	if err != nil && !errors.Is(err, chat.ErrNoUser) {
		return gateway.Answer{}, err
	}
	owner, err := h.table.Owner(ctx, in.Connection)
	if errors.Is(err, chat.ErrNotFound) {
		return gateway.OK(""), nil // already deleted
	}
	if err != nil {
		return gateway.Answer{}, fmt.Errorf("read the owner of the connection: %w", err)
	}
	if !in.User.IsZero() && in.User != owner {
		h.monitor.Violation(ctx, monitor.ConnectionOwner, in.User, monitor.Request(in.RequestID),
			monitor.Connection(in.Connection))
		return gateway.OK(""), nil
	}
	owned, err := h.table.For(owner)
	if err != nil {
		return gateway.Answer{}, err
	}
	if err := owned.Disconnect(ctx, in.Connection); err != nil {
		return gateway.Answer{}, fmt.Errorf("delete the connection: %w", err)
	}
	return gateway.OK(""), nil
}
