package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"carrel/shared/chat"
	"carrel/shared/emit"
	"carrel/shared/gateway"
	"carrel/shared/monitor"
	"carrel/shared/store"
)

// userTime is what one user's share of a sweep may take.
const userTime = 20 * time.Second

// invoker invokes turn for a run, asynchronously; gateway.Invoker is one.
type invoker interface {
	Turn(ctx context.Context, u chat.User, run chat.RunID) error
	Erase(ctx context.Context, u chat.User, thread chat.ThreadID, epoch chat.Epoch) error
	Forget(ctx context.Context, u chat.User) error
}

// index is the index of what is live; store.Table is one.
type index interface {
	Live(ctx context.Context) ([]store.LiveEntry, error)
}

// tables opens a user's part of the table, with credentials for that part alone; asuser.Tables is one.
type tables interface {
	For(u chat.User) (*store.Store, error)
}

// handler looks after runs. It acts for one user after the other, each through that user's own store.
type handler struct {
	live    index
	tables  tables
	poster  emit.Poster
	invoker invoker
	limits  chat.Limits
	monitor *monitor.Monitor
	log     *slog.Logger
	now     func() time.Time
	after   func(time.Duration) <-chan time.Time
}

// Handle is the Lambda handler. One user's failure stops no other's; all of them make its error.
func (h *handler) Handle(ctx context.Context, event json.RawMessage) error {
	ev, err := gateway.ParseSweep(event)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	if ev.Failed != nil && (ev.Failed.Reason == gateway.ReasonErase || ev.Failed.Reason == gateway.ReasonForget) {
		h.log.WarnContext(ctx, "an erasure failed") // the next sweep by the schedule asks for it again
		return nil
	}
	live, err := h.live.Live(ctx)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	if ev.Failed != nil {
		if live, err = h.failed(ctx, of(live, ev.Failed)); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	var errs []error
	for user, entries := range byUser(live) {
		if err := h.user(ctx, user, entries, ev.Failed != nil); err != nil {
			h.log.ErrorContext(ctx, "a user's runs", "user", user, "reason", err.Error())
			errs = append(errs, fmt.Errorf("sweep: %s: %w", user, err))
		}
	}
	return errors.Join(errs...)
}

// failed are those of the runs that the failed turn may have left, after their leases are past: one whose worker lives
// has renewed its own by then, and keeps its run. A run whose lease was past before and that may have another attempt is
// left to the schedule: that turn failed before it had claimed the run, and another asked for at once would fail as fast,
// again and again.
func (h *handler) failed(ctx context.Context, live []store.LiveEntry) ([]store.LiveEntry, error) {
	var left []store.LiveEntry
	var last time.Time
	for _, e := range live {
		s, err := h.tables.For(e.User)
		if err != nil {
			return nil, err
		}
		run, err := s.Run(ctx, e.Run)
		if err != nil && !errors.Is(err, chat.ErrNotFound) {
			return nil, err
		}
		if run.Status == chat.RunRunning && run.Lease.Before(h.now()) && run.Attempts < h.limits.Attempts {
			continue
		}
		left = append(left, e)
		if run.Status == chat.RunRunning && run.Lease.After(last) {
			last = run.Lease
		}
	}
	if last.IsZero() {
		return left, nil
	}
	select {
	case <-h.after(last.Sub(h.now()) + time.Millisecond): // the lease is past only after its last moment
		return left, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a lease: %w", ctx.Err())
	}
}

// of is the run of a failed turn, if it lives. Another user's may have the same id.
func of(live []store.LiveEntry, failed *gateway.TurnEvent) []store.LiveEntry {
	var found []store.LiveEntry
	for _, e := range live {
		if e.Run == failed.Run && e.User.Hash() == failed.Of {
			found = append(found, e)
		}
	}
	return found
}

func byUser(live []store.LiveEntry) map[chat.User][]store.LiveEntry {
	users := map[chat.User][]store.LiveEntry{}
	for _, e := range live {
		users[e.User] = append(users[e.User], e)
	}
	return users
}

// user looks after one user's runs and then starts what may start. failed says that turn has failed at them.
func (h *handler) user(ctx context.Context, u chat.User, entries []store.LiveEntry, failed bool) error {
	s, err := h.tables.For(u)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, userTime)
	defer cancel()
	w := &watch{handler: h, user: u, store: s, live: map[chat.RunID]bool{}, found: map[string][]string{}}
	var errs []error
	for _, e := range entries {
		if e.Run == "" {
			errs = append(errs, w.erase(ctx, e))
			continue
		}
		w.live[e.Run] = true
		errs = append(errs, w.look(ctx, e.Run, failed))
	}
	if w.freed || len(w.waiting) > 0 {
		errs = append(errs, w.checkSeats(ctx), w.startWaiting(ctx))
	}
	for _, run := range w.waiting {
		errs = append(errs, w.expire(ctx, run))
	}
	errs = append(errs, w.tellRows(ctx))
	w.report(ctx)
	return errors.Join(errs...)
}
