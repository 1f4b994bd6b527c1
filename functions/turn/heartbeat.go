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
	renewAgain  = time.Second // after one that failed
	renewTime   = 3 * time.Second
	leaseMargin = 5 * time.Second // no work goes on with less of the lease left
	cancelEvery = 2 * time.Second
)

// startHeartbeat starts what goes on beside the run's work: renewing the lease, and looking for the user's wish to stop.
func (t *turn) startHeartbeat() error {
	if err := t.uc.Go("renew the lease", t.heartbeat); err != nil {
		return err
	}
	if t.held.Run().CancelRequested {
		t.uc.Cancel(engine.ErrCancelled)
		return nil
	}
	return t.uc.Go("look for a cancel", t.watchCancel)
}

// heartbeat extends the lease until the work ends. Once the claim is past, or can no longer be held for sure, the work is
// cancelled and nothing more is written: the run is another's to end.
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
		t.log.WarnContext(ctx, "renewing the lease", "err", err)
		if !t.now().Before(t.held.Expires().Add(-leaseMargin)) {
			t.uc.Cancel(fmt.Errorf("%w: its lease could not be renewed: %w", chat.ErrLeaseLost, err))
			return
		}
		wait = renewAgain
	}
}

func (t *turn) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	return t.held.Renew(ctx)
}

// watchCancel stops the work when the user has asked for it.
func (t *turn) watchCancel(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.after(cancelEvery):
		}
		read, cancel := context.WithTimeout(ctx, renewTime)
		requested, err := t.held.CancelRequested(read)
		cancel()
		switch {
		case requested:
			t.uc.Cancel(engine.ErrCancelled)
			return
		case errors.Is(err, chat.ErrLeaseLost):
			t.uc.Cancel(err)
			return
		case err != nil && ctx.Err() == nil:
			t.log.WarnContext(ctx, "looking for a cancel", "err", err)
		}
	}
}
