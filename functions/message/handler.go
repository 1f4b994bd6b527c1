package main

import (
	"context"
	"crypto/rand"
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
	"carrel/shared/wire"
)

// invoker invokes turn for a run, asynchronously; gateway.Invoker is one.
type invoker interface {
	Turn(ctx context.Context, u chat.User, run chat.RunID) error
	Forget(ctx context.Context, u chat.User) error
}

// handler answers the frames of clients. It is shared by all requests and holds no user's anything.
type handler struct {
	table   *store.Table
	poster  emit.Poster
	invoker invoker
	agent   func(name string) error // chat.ErrUnknownAgent for one that does not exist; "" is the default
	limits  chat.Limits
	jitter  func() time.Duration // how long before its two hours a connection is to be renewed: 5 to 15 minutes
	monitor *monitor.Monitor
	log     *slog.Logger
	now     func() time.Time
}

// request is one frame of one user's connection on its way.
type request struct {
	*handler
	in     gateway.Inbound
	id     string // the frame's requestId
	posted int    // messages that were
	store  *store.Store
	log    *slog.Logger
}

// Handle is the Lambda handler. What is wrong with a frame is told in a frame; only a failure of what lies below is an
// error, for which API Gateway sends a frame of its own that makes the client ask again.
func (h *handler) Handle(ctx context.Context, event json.RawMessage) (gateway.Answer, error) {
	in, err := gateway.ParseInbound(event)
	if err != nil {
		return gateway.Answer{}, fmt.Errorf("message: %w", err)
	}
	s, err := h.table.For(in.User)
	if err != nil {
		return gateway.Answer{}, fmt.Errorf("message: %w", err)
	}
	log := h.log.With("user", in.User, "request", in.RequestID)
	r := &request{handler: h, in: in, store: s, log: log}
	if err := r.serve(ctx); err != nil {
		log.ErrorContext(ctx, "frame failed", "err", err)
		return gateway.Answer{}, fmt.Errorf("message: %w", err)
	}
	return gateway.OK(""), nil
}

func (r *request) serve(ctx context.Context) error {
	f, bad := wire.DecodeClient(r.in.Body)
	if bad != nil {
		r.refused(ctx, bad.Code)
		return r.answer(ctx, bad)
	}
	r.id = f.Request().RequestID
	if !r.now().Before(r.in.TokenExpires) {
		r.refused(ctx, wire.CodeTokenExpired)
		return r.refuse(ctx, wire.CodeTokenExpired)
	}
	err := r.dispatch(ctx, f)
	code, ok := codeOf(err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errViolation):
		r.monitor.Violation(ctx, "connection", r.in.User)
		return nil // and nothing is posted
	case !ok:
		return err
	}
	r.refused(ctx, code, "err", err)
	if run, ok := f.(*wire.Run); ok && code != wire.CodeBadFrame {
		return r.answer(ctx, rejection(run, code, err))
	}
	return r.refuse(ctx, code)
}

func (r *request) dispatch(ctx context.Context, f wire.ClientFrame) error {
	switch f := f.(type) {
	case *wire.Hello:
		return r.hello(ctx, f)
	case *wire.Run:
		return r.run(ctx, f)
	case *wire.Ping:
		return r.ping(ctx, f)
	}
	if err := r.checkOwner(ctx); err != nil { // which the others do as they write or read the row
		return err
	}
	switch f := f.(type) {
	case *wire.Forget:
		return r.forget(ctx)
	case *wire.Threads:
		return r.threads(ctx, f)
	}
	if err := r.store.Open(ctx); err != nil { // as the others see when they read the desk
		return err
	}
	switch f := f.(type) {
	case *wire.Cancel:
		return r.cancel(ctx, f)
	case *wire.History:
		return r.history(ctx, f)
	case *wire.Rename:
		return r.rename(ctx, f)
	case *wire.Delete:
		return r.delete(ctx, f)
	case *wire.Runs:
		return r.runs(ctx, f)
	}
	return fmt.Errorf("no handler for %T", f)
}

// checkOwner compares the authorizer's user with the one who is recorded for this connection. A row that is missing is
// none of somebody else: rows expire.
func (r *request) checkOwner(ctx context.Context) error {
	owner, err := r.table.Owner(ctx, r.in.Connection)
	if errors.Is(err, chat.ErrNotFound) {
		return nil
	}
	if err == nil && owner != r.in.User {
		return errViolation
	}
	return err
}

// watch points this connection at a thread, keeps what its client has of it, if that is said, and returns its row. A row
// that is another user's is a violation.
func (r *request) watch(ctx context.Context, thread chat.ThreadID, n int64, has *chat.Cursor) (chat.Connection, error) {
	c := chat.Connection{
		ID: r.in.Connection, Thread: thread, N: n,
		Connected: r.in.ConnectedAt, TokenExpires: r.in.TokenExpires,
	}
	if has != nil {
		c.Acked = *has
	}
	row, err := r.store.Watch(ctx, c)
	if errors.Is(err, chat.ErrNotFound) {
		return row, errViolation
	}
	return row, err
}

// refused tells an operator of a refusal: whose it is in the log, by their hash, and how many there are as a metric. Of a
// frame that cannot be read nothing is said but its code: what is in it is the sender's.
func (r *request) refused(ctx context.Context, code wire.Code, more ...any) {
	r.log.InfoContext(ctx, "frame refused", append([]any{"code", string(code)}, more...)...)
	r.monitor.Count(monitor.FramesRefused, 1)
}

func (r *request) refuse(ctx context.Context, code wire.Code) error {
	return r.answer(ctx, &wire.Error{RequestID: r.id, Code: code, Message: sentence(code)})
}

// answer posts frames to the connection that asked, in order. One that has gone or does not read asks again when it
// is back.
func (r *request) answer(ctx context.Context, frames ...wire.ServerFrame) error {
	_, err := r.deliver(ctx, frames...)
	return err
}

// deliver is answer, and tells whether the connection was reached.
func (r *request) deliver(ctx context.Context, frames ...wire.ServerFrame) (reached bool, err error) {
	for _, f := range frames {
		messages, err := wire.Encode(f, rand.Text())
		if err != nil {
			return false, err
		}
		for _, m := range messages {
			err := emit.Post(ctx, r.poster, r.in.Connection, m)
			if errors.Is(err, chat.ErrGone) || errors.Is(err, chat.ErrSlow) {
				r.log.DebugContext(ctx, "answer not delivered", "err", err)
				return false, nil
			}
			if err != nil {
				return false, err
			}
			r.posted++
		}
	}
	return true, nil
}

// tell posts frames to all of the user's connections that they concern. What fails there heals by the clients' pings.
func (r *request) tell(ctx context.Context, frames ...wire.ServerFrame) {
	a := emit.Audience{Connections: r.store, Poster: r.poster, Now: r.now}
	if err := emit.Tell(ctx, a, frames...); err != nil {
		r.log.WarnContext(ctx, "telling the user's connections", "err", err)
	}
}

// invoke starts a run that has a seat. A failure leaves it admitted: sweep finds it past its deadline.
func (r *request) invoke(ctx context.Context, run chat.RunID) {
	if err := r.invoker.Turn(ctx, r.in.User, run); err != nil {
		r.log.ErrorContext(ctx, "invoking turn", "run", string(run), "err", err)
	}
}
