package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"carrel/shared/chat"
	"carrel/shared/gateway"
	"carrel/shared/lasthop"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

const (
	stopWait = time.Second      // between two checks whether the cancelled runs have ended
	stopTime = 20 * time.Second // how long one invocation waits for them; the next sweep invokes turn again
)

// eraseUser makes one pass over all items of a user who requested to be erased. sweep invokes turn again until no item
// remains.
func (h *handler) eraseUser(ctx context.Context, u chat.User, s *store.Store, log *slog.Logger) error {
	if deadline, ok := ctx.Deadline(); ok {
		within, cancel := context.WithDeadline(ctx, deadline.Add(-reserve))
		defer cancel()
		ctx = within
	}
	stopped, err := h.stopAll(ctx, s)
	if err == nil && stopped {
		err = s.EraseUser(ctx, func(cs []chat.Connection) error { return h.closeConnections(ctx, u, s, cs) })
	}
	switch {
	case errors.Is(err, chat.ErrNotFound):
		log.InfoContext(ctx, "skip the event: nothing to do", "err", err)
		return nil
	case err != nil:
		return fmt.Errorf("turn: %w", err)
	case !stopped:
		log.WarnContext(ctx, "erase a user: some runs have not ended")
	}
	return nil
}

// stopAll cancels all runs and waits until they have ended. It returns false if some still work after stopTime.
func (h *handler) stopAll(ctx context.Context, s *store.Store) (bool, error) {
	for waited := time.Duration(0); ; waited += stopWait {
		working, err := s.StopAll(ctx)
		if err != nil || working == 0 || waited >= stopTime {
			return working == 0, err
		}
		select {
		case <-h.after(stopWait):
		case <-ctx.Done():
			return false, fmt.Errorf("wait for runs to stop: %w", context.Cause(ctx))
		}
	}
}

// closeConnections notifies the user's connections that the erasure is done, and closes them. It also closes the
// connections that it could not notify.
func (h *handler) closeConnections(ctx context.Context, u chat.User, s *store.Store, cs []chat.Connection) error {
	err := lasthop.Broadcast(ctx, lasthop.Recipients{User: u, Connections: s, Poster: h.poster, Now: h.now,
		Violation: func(id chat.ConnectionID) {
			h.monitor.Violation(ctx, monitor.ConnectionRecord, u,
				monitor.Request(gateway.RequestID(ctx)), monitor.Connection(id))
		},
	}, &wire.Done{})
	if err != nil {
		h.log.WarnContext(ctx, "notify the connections of an erased user", "err", err)
	}
	var errs []error
	for _, c := range cs {
		errs = append(errs, h.poster.Close(ctx, c.ID))
	}
	return errors.Join(errs...)
}
