package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrel/shared/chat"
	"carrel/shared/engine"
)

const (
	renewEvery  = 6 * time.Second
	renewAgain  = time.Second // after a renewal that failed
	renewTime   = 3 * time.Second
	leaseMargin = 5 * time.Second // the work stops when less time than this is left of the lease
	cancelEvery = 2 * time.Second
)

// startHeartbeat starts two goroutines beside the run's work: one renews the lease, and one watches for a cancel
// request.
func (t *turn) startHeartbeat() error {
	if err := t.uc.Go("renew the lease", t.heartbeat); err != nil {
		return err
	}
	if t.lease.Run().CancelRequested {
		t.uc.Cancel(engine.ErrCancelled)
		return nil
	}
	return t.uc.Go("watch for a cancel request", t.watchCancel)
}

// heartbeat renews the lease until the work ends. If the lease is lost, or is about to expire and cannot be renewed, it
// cancels the work. Nothing more is written then, because another worker ends the run.
func (t *turn) heartbeat(ctx context.Context) {
	wait := renewEvery
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.after(wait):
		}
		err := t.renew(ctx)
		switch {
		case err == nil:
			wait = renewEvery
			continue
		case ctx.Err() != nil:
			return
		case errors.Is(err, chat.ErrLeaseLost):
			t.uc.Cancel(err)
			return
		}
		t.log.WarnContext(ctx, "renew the lease", "err", err)
		if !t.now().Before(t.lease.Expires().Add(-leaseMargin)) {
			t.uc.Cancel(fmt.Errorf("%w: it could not be renewed in time: %w", chat.ErrLeaseLost, err))
			return
		}
		wait = renewAgain
	}
}

func (t *turn) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	return t.lease.Renew(ctx)
}

// watchCancel cancels the work when the user has requested it.
func (t *turn) watchCancel(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.after(cancelEvery):
		}
		read, cancel := context.WithTimeout(ctx, renewTime)
		requested, err := t.lease.CancelRequested(read)
		cancel()
		switch {
		case requested:
			t.uc.Cancel(engine.ErrCancelled)
			return
		case errors.Is(err, chat.ErrLeaseLost):
			t.uc.Cancel(err)
			return
		case err != nil && ctx.Err() == nil:
			t.log.WarnContext(ctx, "read the cancel request", "err", err)
		}
	}
}
