package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"carrel/shared/agent"
	"carrel/shared/chat"
	"carrel/shared/emit"
	"carrel/shared/gateway"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

// invoker invokes turn for a run, asynchronously; gateway.Invoker is one.
type invoker interface {
	Turn(ctx context.Context, u chat.User, run chat.RunID) error
}

// poster posts to connections and closes them; gateway.Poster is one.
type poster interface {
	emit.Poster
	Close(ctx context.Context, id chat.ConnectionID) error
}

// tables opens a user's part of the table, with credentials for that part alone; usercreds.Tables is one.
type tables interface {
	For(u chat.User) (*store.Store, error)
}

// handler does runs. It is shared by all invocations and holds no user's anything.
type handler struct {
	tables  tables
	agents  *agent.Registry
	tools   *tool.Registry
	poster  poster
	invoker invoker
	limits  chat.Limits
	monitor *monitor.Monitor
	gauge   *usercontext.Gauge // of this process
	log     *slog.Logger
	now     func() time.Time
	after   func(time.Duration) <-chan time.Time
	tenancy gateway.Tenancy
}

// Handle is the Lambda handler. An event that comes twice, or for a run that somebody else has or that is over, is
// done with at once. An error makes the failure destination look after the run.
func (h *handler) Handle(ctx context.Context, event json.RawMessage) error {
	request := cmp.Or(gateway.RequestID(ctx), "unknown")
	user, ev, err := gateway.ParseTurn(ctx, event, h.tenancy)
	var two *gateway.TwoUsersError
	if errors.As(err, &two) {
		h.monitor.Violation(ctx, monitor.Tenant, two.User, monitor.Run(ev.Run), monitor.Request(request))
	}
	if err != nil {
		return fmt.Errorf("turn: %w", err)
	}
	s, err := h.tables.For(user)
	if err != nil {
		return fmt.Errorf("turn: %w", err)
	}
	log := h.log.With("user", user, "request", request)
	if ev.Reason == gateway.ReasonEraseThread {
		log.InfoContext(ctx, "erasing a deleted thread")
		return h.erase(ctx, user, s, store.Erasure{Thread: ev.Thread, Epoch: ev.Epoch})
	}
	if ev.Reason == gateway.ReasonEraseUser {
		log.InfoContext(ctx, "erasing a user")
		return h.eraseUser(ctx, user, s, log)
	}
	log = log.With("run", string(ev.Run))
	held, err := s.Claim(ctx, ev.Run)
	if errors.Is(err, chat.ErrForeign) {
		h.monitor.Violation(ctx, monitor.Tenant, user, monitor.Run(ev.Run), monitor.Request(request))
		return fmt.Errorf("turn: claim: %w", err)
	}
	if errors.Is(err, chat.ErrNotClaimed) || errors.Is(err, chat.ErrNotFound) {
		log.InfoContext(ctx, "nothing to do", "err", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("turn: claim: %w", err)
	}
	t := &turn{handler: h, user: user, store: s, held: held, log: log}
	if err := t.open(ctx, request); err != nil {
		return fmt.Errorf("turn: %w", err)
	}
	defer t.close(ctx)
	err = t.do(ctx)
	if errors.Is(err, chat.ErrLeaseLost) {
		log.WarnContext(ctx, "the claim is past", "err", err)
		return nil // the run is somebody else's now
	}
	if err != nil {
		return fmt.Errorf("turn: %w", err)
	}
	return nil
}

// open builds the run's user context. It ends when the run's time is over, which its first attempt began, and early
// enough for the run to be ended properly before Lambda ends the invocation.
func (t *turn) open(ctx context.Context, request string) error {
	left := t.limits.RunTime
	if started := t.held.Run().Started; !started.IsZero() {
		left -= t.now().Sub(started)
	}
	work, stop := context.WithTimeoutCause(ctx, left, usercontext.ErrTimeLimit)
	if deadline, ok := ctx.Deadline(); ok {
		limited, over := context.WithDeadlineCause(work, deadline.Add(-reserve), usercontext.ErrTimeLimit)
		first := stop
		work, stop = limited, func() { over(); first() }
	}
	uc, err := usercontext.New(work, usercontext.Config{
		User: t.user, Thread: t.held.Run().Thread, Run: t.held.Run().ID, Request: request,
		Grants: t.held.Input().Grants, Limits: t.limits, Now: t.now, Gauge: t.gauge,
	})
	if err != nil {
		stop()
		return err
	}
	t.uc, t.stop = uc, stop
	return nil
}

// close ends the user context. What is left of the run after that is a defect, and counted.
func (t *turn) close(ctx context.Context) {
	defer t.stop()
	t.measureClose(ctx, t.uc.Close(ctx))
}
