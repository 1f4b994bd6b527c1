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

// Handle forgets the connection of the event. The owner that connect wrote decides whose it is; an authorizer's context
// that names somebody else is an isolation violation and removes nothing.
func (h *handler) Handle(ctx context.Context, event json.RawMessage) (gateway.Answer, error) {
	in, err := gateway.ParseInbound(event)
	if err != nil && !errors.Is(err, chat.ErrNoUser) {
		return gateway.Answer{}, err
	}
	owner, err := h.table.Owner(ctx, in.Connection)
	if errors.Is(err, chat.ErrNotFound) {
		return gateway.OK(""), nil // forgotten before
	}
	if err != nil {
		return gateway.Answer{}, fmt.Errorf("reading the connection's owner: %w", err)
	}
	if !in.User.IsZero() && in.User != owner {
		h.monitor.Violation(ctx, monitor.ConnectionOwner, in.User, monitor.Request(in.RequestID), monitor.Connection(in.Connection))
		return gateway.OK(""), nil
	}
	theirs, err := h.table.For(owner)
	if err != nil {
		return gateway.Answer{}, err
	}
	if err := theirs.Disconnect(ctx, in.Connection); err != nil {
		return gateway.Answer{}, fmt.Errorf("forgetting the connection: %w", err)
	}
	return gateway.OK(""), nil
}
