package main

import (
	"context"
	"errors"
	"fmt"

	"carrel/shared/chat"
	"carrel/shared/store"
)

// erase makes one pass over the remaining items of a deleted thread. sweep invokes turn again until no item remains.
// erase also cancels the thread's runs that the deletion itself did not cancel.
func (h *handler) erase(ctx context.Context, u chat.User, s *store.Store, e store.Erasure) error {
	if deadline, ok := ctx.Deadline(); ok {
		within, cancel := context.WithDeadline(ctx, deadline.Add(-reserve))
		defer cancel()
		ctx = within
	}
	if _, err := s.CancelRuns(ctx, e.Thread); err != nil {
		return fmt.Errorf("turn: cancel a deleted thread's runs: %w", err)
	}
	runs, err := s.StartQueued(ctx)
	errs := []error{err}
	for _, run := range runs {
		errs = append(errs, h.invoker.Turn(ctx, u, run.ID))
	}
	errs = append(errs, s.Erase(ctx, e))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("turn: %w", err)
	}
	return nil
}
