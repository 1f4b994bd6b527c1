package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"carrel/shared/chat"
	"carrel/shared/gateway"
	"carrel/shared/lasthop"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// invoker invokes turn for a run, asynchronously; gateway.Invoker is one.
type invoker interface {
	Turn(ctx context.Context, u chat.User, run chat.RunID) error
	EraseUser(ctx context.Context, u chat.User) error
}

// handler answers the frames of clients. It is shared by all requests. Of users it holds nothing but the rates of their
// frames, by a one-way hash.
type handler struct {
	table   *store.Table
	poster  lasthop.Closer
	invoker invoker
	agent   func(name string) error // chat.ErrUnknownAgent for one that does not exist; "" is the default
	limits  chat.Limits
	jitter  func() time.Duration // how long before its two hours a connection is to be renewed: 5 to 15 minutes
	monitor *monitor.Monitor
	log     *slog.Logger
	now     func() time.Time

	eraseAuth eraseAuth
	frames    *frameLimits
}

// request is one frame of one user's connection on its way.
type request struct {
	*handler
	in     gateway.Inbound
	id     string // the frame's requestId
	posted int    // messages that were
	store  *store.Store
	log    *slog.Logger

	record       lasthop.Record // the record of the connection as last read; zero: not read yet
	watching     chat.ThreadID  // answers are posted only while the connection watches this thread; "": in any case
	tokenExpired bool           // the token expired before an answer could be posted
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
	if v, wait := h.frames.take(in.User, h.now()); v != served {
		return gateway.OK(""), r.limited(ctx, v, wait)
	}
	if err := r.serve(ctx); err != nil {
		log.ErrorContext(ctx, "frame failed", "err", err)
		return gateway.Answer{}, fmt.Errorf("message: %w", err)
	}
	return gateway.OK(""), nil
}

func (r *request) serve(ctx context.Context) error {
	f, bad := wire.DecodeClient(r.in.Body)
	err := r.do(ctx, f, bad)
	if v := (violation{}); errors.As(err, &v) {
		r.recordViolation(ctx, v, f)
		return nil // and nothing is posted
	}
	if e := (noConnection{}); errors.As(err, &e) {
		return r.end(ctx, e)
	}
	return err
}

// do answers a frame, or says that its token is past: also of one that cannot be read, and if it became so meanwhile.
func (r *request) do(ctx context.Context, f wire.ClientFrame, bad *wire.Error) error {
	if bad != nil {
		r.id = bad.RequestID
	} else {
		r.id = f.Request().RequestID
	}
	if !r.now().Before(r.in.TokenExpires) {
		return r.tooLate(ctx)
	}
	err := r.reply(ctx, f, bad)
	if err == nil && r.tokenExpired {
		return r.tooLate(ctx)
	}
	return err
}

// reply answers a frame, or says why it cannot be answered.
func (r *request) reply(ctx context.Context, f wire.ClientFrame, bad *wire.Error) error {
	if bad != nil {
		if _, err := r.ownConnection(ctx); err != nil {
			return err
		}
		r.refused(ctx, bad.Code)
		return r.answer(ctx, bad)
	}
	err := r.dispatch(ctx, f)
	code, ok := codeOf(err)
	if err == nil || !ok || errors.As(err, &noConnection{}) {
		return err
	}
	r.refused(ctx, code, "err", err)
	if taken := (*store.TakenError)(nil); errors.As(err, &taken) {
		return r.answer(ctx, takenID(r.id, taken))
	}
	if errors.Is(err, store.ErrBadCursor) {
		return r.answer(ctx, badCursor(r.id))
	}
	if run, ok := f.(*wire.Run); ok && code != wire.CodeBadFrame {
		return r.answer(ctx, rejection(run, code, err))
	}
	return r.refuse(ctx, code)
}

// tooLate answers a frame whose connection's token is past, or became so before it could be answered.
func (r *request) tooLate(ctx context.Context) error {
	if _, err := r.ownConnection(ctx); err != nil {
		return err
	}
	r.watching = ""
	r.refused(ctx, wire.CodeTokenExpired)
	return r.refuse(ctx, wire.CodeTokenExpired)
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

// tell posts frames to all of the user's connections that they concern. What fails there heals by the clients' pings.
func (r *request) tell(ctx context.Context, frames ...wire.ServerFrame) {
	a := lasthop.Recipients{User: r.in.User, Connections: r.store, Poster: r.poster, Now: r.now,
		Violation: func(id chat.ConnectionID) {
			r.monitor.Violation(ctx, monitor.ConnectionRecord, r.in.User, monitor.Request(r.in.RequestID), monitor.Connection(id))
		}}
	if err := lasthop.Broadcast(ctx, a, frames...); err != nil {
		r.log.WarnContext(ctx, "telling the user's connections", "err", err)
	}
}

// invoke starts a run that has a seat. A failure leaves it admitted: sweep finds it past its deadline.
func (r *request) invoke(ctx context.Context, run chat.RunID) {
	if err := r.invoker.Turn(ctx, r.in.User, run); err != nil {
		r.log.ErrorContext(ctx, "invoking turn", "run", string(run), "err", err)
	}
}
