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
	"carrel/shared/emit"
	"carrel/shared/gateway"
	"carrel/shared/monitor"
	"carrel/shared/store"
)

const (
	atOnce    = 16               // users at a time
	userTime  = 20 * time.Second // one user's share of a sweep
	startTime = 30 * time.Second // no user is started later: with userTime this fits into the function's 55 s
)

// invoker invokes turn for a run, asynchronously; gateway.Invoker is one.
type invoker interface {
	Turn(ctx context.Context, u chat.User, run chat.RunID) error
	EraseThread(ctx context.Context, u chat.User, thread chat.ThreadID, epoch chat.Epoch) error
	EraseUser(ctx context.Context, u chat.User) error
}

// index is the index of what is live; store.Table is one.
type index interface {
	Due(ctx context.Context) ([]store.LiveEntry, error)
	LiveOf(ctx context.Context, of chat.OwnerHash) ([]store.LiveEntry, error)
}

// tables opens a user's part of the table, with credentials for that part alone; usercreds.Tables is one.
type tables interface {
	For(u chat.User) (*store.Store, error)
}

// handler looks after runs. It acts for each user through that user's own store.
type handler struct {
	live    index
	tables  tables
	poster  emit.Poster
	invoker invoker
	limits  chat.Limits
	monitor *monitor.Monitor
	log     *slog.Logger
	now     func() time.Time
}

// Handle is the Lambda handler.
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

// scheduled looks after everything that is due, the users whose entries are oldest first. One user's failure, or an entry
// that cannot be read, stops no other's; all of them make its error.
func (h *handler) scheduled(ctx context.Context) error {
	begun := h.now()
	due, err := h.live.Due(ctx)
	if err != nil {
		h.log.ErrorContext(ctx, "read the live index", "err", err)
	}
	var all sync.WaitGroup
	slots, failed := make(chan struct{}, atOnce), make(chan error, len(due))
	for _, entries := range byUser(due) {
		slots <- struct{}{}
		if h.now().Sub(begun) >= startTime {
			h.log.WarnContext(ctx, "leave the remaining users to the next sweep", "entries", len(due))
			break
		}
		all.Go(func() {
			defer func() { <-slots }()
			user := entries[0].User
			if err := h.user(ctx, user, func(ctx context.Context, w *watch) error { return w.entries(ctx, entries) }); err != nil {
				h.log.ErrorContext(ctx, "look after a user's runs", "user", user, "err", err)
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

// failed acts on a failure record. Another user's run may have the same id: only the entries of the user whose turn
// failed are looked at. If that user has none, nothing is left to do.
func (h *handler) failed(ctx context.Context, f *gateway.FailedTurn) error {
	if f.Reason != gateway.ReasonRun {
		h.log.WarnContext(ctx, "an erasure failed") // the next sweep by the schedule asks for it again
		return nil
	}
	own, err := h.live.LiveOf(ctx, chat.OwnerHash(f.OwnerHash))
	if err != nil {
		h.log.ErrorContext(ctx, "read the live index", "err", err)
	}
	if len(own) > 0 {
		user := own[0].User
		if failed := h.user(ctx, user, func(ctx context.Context, w *watch) error { return w.failed(ctx, f) }); failed != nil {
			h.log.ErrorContext(ctx, "act on a failure record", "user", user, "run", string(f.Run), "err", failed)
			err = errors.Join(err, fmt.Errorf("%s: %w", user, failed))
		}
	}
	return err
}

// byUser groups entries by user, in the order of each user's oldest.
func byUser(due []store.LiveEntry) [][]store.LiveEntry {
	place := map[chat.User]int{}
	var users [][]store.LiveEntry
	for _, e := range due {
		n, known := place[e.User]
		if !known {
			n = len(users)
			place[e.User], users = n, append(users, nil)
		}
		users[n] = append(users[n], e)
	}
	return users
}

// user does work for one user, starts the queued runs that may start because of it, and reports the results.
func (h *handler) user(ctx context.Context, u chat.User, work func(context.Context, *watch) error) error {
	s, err := h.tables.For(u)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, userTime)
	defer cancel()
	w := &watch{handler: h, user: u, store: s, live: map[chat.RunID]bool{}, found: map[string][]string{}}
	errs := []error{work(ctx, w)}
	if w.freed || len(w.waiting) > 0 {
		errs = append(errs, w.checkSlots(ctx), w.startQueued(ctx))
	}
	for _, run := range w.waiting {
		errs = append(errs, w.expire(ctx, run))
	}
	errs = append(errs, w.tellRows(ctx))
	w.report(ctx)
	return errors.Join(errs...)
}

// entries looks at the user's entries that are due.
func (w *watch) entries(ctx context.Context, entries []store.LiveEntry) error {
	var errs []error
	for _, e := range entries {
		if e.Run == "" {
			errs = append(errs, w.erase(ctx, e))
			continue
		}
		w.live[e.Run] = true
		errs = append(errs, w.look(ctx, e.Run))
	}
	return errors.Join(errs...)
}
