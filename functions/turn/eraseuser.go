package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"carrel/shared/chat"
	"carrel/shared/emit"
	"carrel/shared/gateway"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

const (
	stopWait = time.Second      // between two looks at runs that were asked to stop
	stopTime = 20 * time.Second // in which they are waited for; the next sweep asks again
)

// eraseUser makes one pass over everything of a user who asked to be erased. What it does not come to, a later
// invocation does: sweep asks until nothing is left.
func (h *handler) eraseUser(ctx context.Context, u chat.User, s *store.Store, log *slog.Logger) error {
	if deadline, ok := ctx.Deadline(); ok {
		within, cancel := context.WithDeadline(ctx, deadline.Add(-reserve))
		defer cancel()
		ctx = within
	}
	stopped, err := h.stopAll(ctx, s)
	if err == nil && stopped {
		err = s.EraseUser(ctx, func(cs []chat.Connection) error { return h.farewell(ctx, u, s, cs) })
	}
	switch {
	case errors.Is(err, chat.ErrNotFound):
		log.InfoContext(ctx, "nothing to do", "err", err)
		return nil
	case err != nil:
		return fmt.Errorf("turn: %w", err)
	case !stopped:
		log.WarnContext(ctx, "runs of a user who is to be erased still work")
	}
	return nil
}

// stopAll cancels all runs and waits until none works any more; false: some do.
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

// farewell tells the connections that all is done and closes them. One that cannot be told is closed all the same.
func (h *handler) farewell(ctx context.Context, u chat.User, s *store.Store, cs []chat.Connection) error {
	told := emit.Broadcast(ctx, emit.Recipients{User: u, Connections: s, Poster: h.poster, Now: h.now,
		Violation: func(id chat.ConnectionID) {
			h.monitor.Violation(ctx, monitor.ConnectionRecord, u, monitor.Request(gateway.RequestID(ctx)), monitor.Connection(id))
		},
	}, &wire.Done{})
	if told != nil {
		h.log.WarnContext(ctx, "telling those who are forgotten", "err", told)
	}
	var errs []error
	for _, c := range cs {
		errs = append(errs, h.poster.Close(ctx, c.ID))
	}
	return errors.Join(errs...)
}
