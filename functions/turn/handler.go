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
	"carrel/shared/gateway"
	"carrel/shared/lasthop"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

// invoker invokes turn for a run, asynchronously. invoke.Invoker implements it.
type invoker interface {
	Turn(ctx context.Context, u chat.User, run chat.RunID) error
}

// tables opens one user's part of the table, with credentials that reach only that part. usercreds.Tables implements
// it.
type tables interface {
	For(u chat.User) (*store.Store, error)
}

// handler executes runs. All invocations of the process share it, so it holds no user's data.
type handler struct {
	tables  tables
	agents  *agent.Registry
	tools   *tool.Registry
	sources []tool.Source // tools that are known at run time only
	poster  lasthop.Closer
	invoker invoker
	limits  chat.Limits
	monitor *monitor.Monitor
	gauge   *usercontext.Gauge // counts the user contexts of this process
	log     *slog.Logger
	now     func() time.Time
	after   func(time.Duration) <-chan time.Time
	tenancy gateway.Tenancy
	works   time.Duration // how long one invocation works on a run; 0: usercontext.MaxRunTime
}

// Handle is the Lambda handler. It returns nil at once for a repeated event, for a run that another worker has leased,
// and for a run that has ended. If it returns an error, Lambda invokes the failure destination, sweep, for the run.
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
		log.InfoContext(ctx, "erase a deleted thread")
		return h.erase(ctx, user, s, store.Erasure{Thread: ev.Thread, Epoch: ev.Epoch})
	}
	if ev.Reason == gateway.ReasonEraseUser {
		log.InfoContext(ctx, "erase a user")
		return h.eraseUser(ctx, user, s, log)
	}
	log = log.With("run", string(ev.Run))
	lease, err := s.Claim(ctx, ev.Run)
	if errors.Is(err, chat.ErrForeign) {
		h.monitor.Violation(ctx, monitor.Tenant, user, monitor.Run(ev.Run), monitor.Request(request))
		return fmt.Errorf("turn: claim: %w", err)
	}
	if errors.Is(err, chat.ErrNotClaimed) || errors.Is(err, chat.ErrNotFound) {
		log.InfoContext(ctx, "skip the event: nothing to do", "err", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("turn: claim: %w", err)
	}
	t := &turn{handler: h, user: user, store: s, lease: lease, log: log}
	if err := t.open(ctx, request); err != nil {
		return fmt.Errorf("turn: %w", err)
	}
	defer t.close(ctx)
	err = t.execute(ctx)
	if errors.Is(err, chat.ErrLeaseLost) {
		log.WarnContext(ctx, "stop the run: the lease is lost", "err", err)
		return nil // another worker has the run now
	}
	if err != nil {
		return fmt.Errorf("turn: %w", err)
	}
	return nil
}

// open builds the run's user context. The context ends at the run's time limit, which counts from the start of the
// first attempt. It also ends some seconds before the invocation's deadline (reserve), so that turn can still end the
// run.
func (t *turn) open(ctx context.Context, request string) error {
	in, limits := t.lease.Input(), t.limits
	if a, err := t.agents.Agent(in.Agent, in.Grants); err == nil { // if not, prepare reports it and the run fails
		limits = a.Limits.Within(limits)
	}
	left := limits.RunTime
	if started := t.lease.Run().Started; !started.IsZero() {
		left -= t.now().Sub(started)
	}
	t.handOver = t.planHandOver(ctx, left)
	limits.RunTime = min(limits.RunTime, usercontext.MaxRunTime)
	work, stop := context.WithTimeoutCause(ctx, left, usercontext.ErrTimeLimit)
	if deadline, ok := ctx.Deadline(); ok {
		limited, stopDeadline := context.WithDeadlineCause(work, deadline.Add(-reserve), usercontext.ErrTimeLimit)
		stopRunTime := stop
		work, stop = limited, func() { stopDeadline(); stopRunTime() }
	}
	uc, err := usercontext.New(work, usercontext.Config{
		User: t.user, Thread: t.lease.Run().Thread, Run: t.lease.Run().ID, Request: request,
		Grants: in.Grants, Limits: limits, Now: t.now, Gauge: t.gauge,
	})
	if err != nil {
		stop()
		return err
	}
	t.uc, t.stop = uc, stop
	return nil
}

// close ends the user context. Goroutines or resources that remain after that are a defect, and are counted.
func (t *turn) close(ctx context.Context) {
	defer t.stop()
	t.measureClose(ctx, t.uc.Close(ctx))
}
