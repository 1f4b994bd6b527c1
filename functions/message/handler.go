package main

import (
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
	"carrel/shared/wire"
)

// invoker invokes turn asynchronously. invoke.Invoker implements it.
type invoker interface {
	Turn(ctx context.Context, u chat.User, run chat.RunID) error
	EraseUser(ctx context.Context, u chat.User) error
}

// handler answers the frames of clients. All requests share it. The only data of users that it holds are the rates of
// their frames, under a one-way hash.
type handler struct {
	table   *store.Table
	poster  lasthop.Closer
	invoker invoker
	agents  *agent.Set
	limits  chat.Limits
	jitter  func() time.Duration // how long before the end of its two hours a connection is renewed: 5 to 15 minutes
	monitor *monitor.Monitor
	log     *slog.Logger
	now     func() time.Time

	eraseAuth eraseAuth
	frames    *frameLimits
}

// request is one frame of one connection while it is answered.
type request struct {
	*handler
	in     gateway.Inbound
	id     string // the frame's requestId
	posted int    // messages that were posted
	store  *store.Store
	rows   *store.Rows // what dispatch has read for the frame's handler
	log    *slog.Logger

	record       lasthop.Record // the record of the connection as last read; zero: not read yet
	watching     chat.ThreadID  // answers are posted only while the connection watches this thread; "": in any case
	tokenExpired bool           // the token expired before an answer could be posted
}

// Handle is the Lambda handler. A faulty frame is answered with an error frame. Handle returns an error only if the
// store or AWS fails. API Gateway then sends its own error frame, and the client repeats the request.
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
		return gateway.OK(""), r.overLimit(ctx, v, wait)
	}
	if err := r.serve(ctx); err != nil {
		log.ErrorContext(ctx, "answer a frame", "err", err)
		return gateway.Answer{}, fmt.Errorf("message: %w", err)
	}
	return gateway.OK(""), nil
}

func (r *request) serve(ctx context.Context) error {
	f, bad := wire.DecodeClient(r.in.Body)
	err := r.respond(ctx, f, bad)
	if v := (violation{}); errors.As(err, &v) {
		r.recordViolation(ctx, v, f)
		return nil // without an answer
	}
	if e := (noConnection{}); errors.As(err, &e) {
		return r.refuseAndClose(ctx, e)
	}
	return err
}

// respond answers a frame. If the token has expired, or expires before the answer is posted, the answer is
// token_expired, even to a frame that cannot be decoded.
func (r *request) respond(ctx context.Context, f wire.ClientFrame, bad *wire.Error) error {
	if bad != nil {
		r.id = bad.RequestID
	} else {
		r.id = f.Request().RequestID
	}
	if !r.now().Before(r.in.TokenExpires) {
		return r.refuseExpired(ctx)
	}
	err := r.reply(ctx, f, bad)
	if err == nil && r.tokenExpired {
		return r.refuseExpired(ctx)
	}
	return err
}

// reply answers a frame with its result or with the reason for its refusal.
func (r *request) reply(ctx context.Context, f wire.ClientFrame, bad *wire.Error) error {
	if bad != nil {
		if _, err := r.ownConnection(ctx); err != nil {
			return err
		}
		r.countRefusal(ctx, bad.Code)
		return r.answer(ctx, bad)
	}
	err := r.dispatch(ctx, f)
	code, ok := codeOf(err)
	if err == nil || !ok || errors.As(err, &noConnection{}) {
		return err
	}
	r.countRefusal(ctx, code, "err", err)
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

// refuseExpired answers a frame whose token expired before the frame could be answered.
func (r *request) refuseExpired(ctx context.Context) error {
	if _, err := r.ownConnection(ctx); err != nil {
		return err
	}
	r.watching = ""
	r.countRefusal(ctx, wire.CodeTokenExpired)
	return r.refuse(ctx, wire.CodeTokenExpired)
}

// countRefusal reports a refusal to the operator: in the log with the hash of the user, and as a metric. The content of
// a frame that cannot be decoded is not logged.
func (r *request) countRefusal(ctx context.Context, code wire.Code, more ...any) {
	r.log.InfoContext(ctx, "refuse a frame", append([]any{"code", string(code)}, more...)...)
	r.monitor.Count(monitor.FramesRefused, 1)
}

func (r *request) refuse(ctx context.Context, code wire.Code) error {
	return r.answer(ctx, &wire.Error{RequestID: r.id, Code: code, Message: sentence(code)})
}

// broadcast posts frames to the user's connections that may receive them. A client that misses one recovers with its
// next ping.
func (r *request) broadcast(ctx context.Context, frames ...wire.ServerFrame) {
	a := lasthop.Recipients{User: r.in.User, Connections: r.store, Poster: r.poster, Now: r.now,
		Violation: func(id chat.ConnectionID) {
			r.monitor.Violation(ctx, monitor.ConnectionRecord, r.in.User, monitor.Request(r.in.RequestID),
				monitor.Connection(id))
		}}
	if err := lasthop.Broadcast(ctx, a, frames...); err != nil {
		r.log.WarnContext(ctx, "broadcast to the user's connections", "err", err)
	}
}

// startRun invokes turn for a run that has a slot. If that fails, the run stays admitted, and sweep finds it after its
// deadline.
func (r *request) startRun(ctx context.Context, run chat.RunID) {
	if err := r.invoker.Turn(ctx, r.in.User, run); err != nil {
		r.log.ErrorContext(ctx, "invoke turn", "run", string(run), "err", err)
	}
}
