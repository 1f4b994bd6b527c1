package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"carrel/shared/chat"
	"carrel/shared/gateway"
	"carrel/shared/lasthop"
	"carrel/shared/monitor"
	"carrel/shared/store"
)

const (
	atOnce    = 16               // how many users are handled concurrently
	userTime  = 20 * time.Second // the time limit for one user
	startTime = 30 * time.Second // no user is started later; with userTime this is within the function's limit of 55 s
)

// invoker invokes turn asynchronously. invoke.Invoker implements it.
type invoker interface {
	Turn(ctx context.Context, u chat.User, run chat.RunID) error
	EraseThread(ctx context.Context, u chat.User, thread chat.ThreadID, epoch chat.Epoch) error
	EraseUser(ctx context.Context, u chat.User) error
}

// index lists the live runs and pending erasures. store.Table implements it.
type index interface {
	Due(ctx context.Context) ([]store.LiveEntry, error)
	LiveOf(ctx context.Context, of chat.OwnerHash) ([]store.LiveEntry, error)
}

// tables opens the part of one user, with credentials that reach only this part. usercreds.Tables implements it.
type tables interface {
	For(u chat.User) (*store.Store, error)
}

// handler repairs runs. It acts for each user through a store that reaches only that user's data.
type handler struct {
	live    index
	tables  tables
	poster  lasthop.Poster
	invoker invoker
	limits  chat.Limits
	monitor *monitor.Monitor
	log     *slog.Logger
	now     func() time.Time
}

// Handle handles the schedule and the failure records of turn. It implements the Lambda handler.
func (h *handler) Handle(ctx context.Context, event json.RawMessage) error {
	ev, err := gateway.ParseSweep(event)
	if err == nil {
		if ev.Failed == nil {
			err = h.scheduled(ctx)
		} else {
			err = h.failed(ctx, ev.Failed)
		}
	}
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	return nil
}

// scheduled handles all due entries of the index, beginning with the users whose entries are the oldest. The failure of
// one user, or an unreadable entry, does not prevent the others. scheduled returns all errors together.
func (h *handler) scheduled(ctx context.Context) error {
	started := h.now()
	due, err := h.live.Due(ctx)
	if err != nil {
		h.log.ErrorContext(ctx, "read the live index", "err", err)
	}
	var all sync.WaitGroup
	slots, failed := make(chan struct{}, atOnce), make(chan error, len(due))
	for _, entries := range byUser(due) {
		slots <- struct{}{}
		if h.now().Sub(started) >= startTime {
			h.log.WarnContext(ctx, "leave the remaining users to the next sweep", "entries", len(due))
			break
		}
		all.Go(func() {
			defer func() { <-slots }()
			user := entries[0].User
			if err := h.user(ctx, user, func(ctx context.Context, w *userSweep) error {
				return w.entries(ctx,
					entries)
			}); err != nil {
				h.log.ErrorContext(ctx, "handle the due entries of a user", "user", user, "err", err)
				failed <- fmt.Errorf("%s: %w", user, err)
			}
		})
	}
	all.Wait()
	close(failed)
	errs := []error{err}
	for err := range failed {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// failed handles a failure record. Another user may have a run with the same id, so it reads only the entries of the
// user whose turn failed. If that user has no entries, there is nothing to do.
func (h *handler) failed(ctx context.Context, f *gateway.FailedTurn) error {
	if f.Reason != gateway.ReasonRun {
		// The next scheduled sweep requests the erasure again.
		h.log.WarnContext(ctx, "an erasure failed")
		return nil
	}
	own, err := h.live.LiveOf(ctx, chat.OwnerHash(f.OwnerHash))
	if err != nil {
		h.log.ErrorContext(ctx, "read the live index", "err", err)
	}
	if len(own) > 0 {
		user := own[0].User
		if failed := h.user(ctx, user, func(ctx context.Context, w *userSweep) error {
			return w.failed(ctx,
				f)
		}); failed != nil {
			h.log.ErrorContext(ctx, "handle a failure record", "user", user, "run", string(f.Run), "err", failed)
			err = errors.Join(err, fmt.Errorf("%s: %w", user, failed))
		}
	}
	return err
}

// byUser groups entries by user. The groups have the order of the first entry of each user.
func byUser(due []store.LiveEntry) [][]store.LiveEntry {
	group := map[chat.User]int{}
	var users [][]store.LiveEntry
	for _, e := range due {
		n, known := group[e.User]
		if !known {
			n = len(users)
			group[e.User], users = n, append(users, nil)
		}
		users[n] = append(users[n], e)
	}
	return users
}

// user does the work for one user, starts or expires the queued runs that it affects, and reports the repairs.
func (h *handler) user(ctx context.Context, u chat.User, work func(context.Context, *userSweep) error) error {
	s, err := h.tables.For(u)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, userTime)
	defer cancel()
	w := &userSweep{handler: h, user: u, store: s, live: map[chat.RunID]bool{}, repairs: map[string][]string{}}
	errs := []error{work(ctx, w)}
	if w.freed || len(w.queued) > 0 {
		errs = append(errs, w.checkSlots(ctx), w.startQueued(ctx))
	}
	for _, run := range w.queued {
		errs = append(errs, w.expire(ctx, run))
	}
	errs = append(errs, w.broadcastThreads(ctx))
	w.report(ctx)
	return errors.Join(errs...)
}

// entries handles the due entries of the user.
func (w *userSweep) entries(ctx context.Context, entries []store.LiveEntry) error {
	var errs []error
	for _, e := range entries {
		if e.Run == "" {
			errs = append(errs, w.erase(ctx, e))
			continue
		}
		w.live[e.Run] = true
		errs = append(errs, w.checkRun(ctx, e.Run))
	}
	return errors.Join(errs...)
}
