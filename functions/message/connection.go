package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"carrel/shared/chat"
	"carrel/shared/emit"
	"carrel/shared/monitor"
	"carrel/shared/wire"
)

// recordGood is how long after it was asked for a record of the connection is posted by.
const recordGood = time.Second

// violation is a disagreement about whose connection this is: nothing is posted for it, and nothing changes.
type violation struct{ guard monitor.Guard }

// Error does not say whose it is.
func (violation) Error() string { return "the connection belongs to another user" }

// errMoved is a post that is not to be any more: its connection has gone, or has asked for something else.
var errMoved = errors.New("the connection is not what it was when it asked")

// errPast is one whose token has become past since it asked.
var errPast = fmt.Errorf("%w: its token is past", errMoved)

// rowless is a frame on a connection without a row, and why there is none. A row outlives its socket, so a connection
// without one was replaced, signed out or erased. The frame is refused, and the socket is closed.
type rowless struct{ why error }

// Error returns the reason.
func (e rowless) Error() string { return e.why.Error() }

// Unwrap makes it the reason.
func (e rowless) Unwrap() error { return e.why }

// mine reads this connection's row and compares whose it is with what the authorizer says: by what the row says, or else by
// the owner record. It fails with rowless if there is none. Every frame goes by this or by watch before anything is answered.
func (r *request) mine(ctx context.Context) (chat.Connection, error) {
	at := r.now()
	row, err := r.store.Connection(ctx, r.in.Connection)
	if errors.Is(err, chat.ErrNotFound) && !errors.Is(err, chat.ErrForeign) {
		return row, r.withoutRow(ctx)
	}
	if err != nil {
		return row, disagreement(err)
	}
	if row.Owner == "" { // one of before rows said whose they are
		owner, err := r.table.Owner(ctx, r.in.Connection)
		if err == nil && owner != r.in.User {
			return row, violation{monitor.ConnectionOwner}
		}
		if err != nil && !errors.Is(err, chat.ErrNotFound) {
			return row, err
		}
	}
	r.row, r.at = row, at
	return row, nil
}

// withoutRow is the error of a connection without a row: a violation, or rowless with the reason.
func (r *request) withoutRow(ctx context.Context) error {
	err := r.store.Lost(ctx, r.in.Connection)
	switch {
	case errors.Is(err, chat.ErrForeign):
		return violation{monitor.ConnectionOwner}
	case errors.Is(err, chat.ErrReplaced), errors.Is(err, chat.ErrSignedOut), errors.Is(err, chat.ErrClosed), errors.Is(err, chat.ErrNotFound):
		return rowless{err}
	}
	return err
}

// watch points this connection at a thread, keeps what its client has of it, if that is said, and returns its row.
func (r *request) watch(ctx context.Context, thread chat.ThreadID, n int64, has *chat.Cursor) (chat.Connection, error) {
	c := chat.Connection{
		ID: r.in.Connection, Thread: thread, N: n, HelloBy: r.in.RequestID,
		Connected: r.in.ConnectedAt, TokenExpires: r.in.TokenExpires, SignedIn: r.in.SignIn.At,
	}
	if has != nil {
		c.Acked = *has
	}
	at := r.now()
	row, err := r.store.Watch(ctx, c)
	if errors.Is(err, chat.ErrReplaced) || errors.Is(err, chat.ErrSignedOut) || errors.Is(err, chat.ErrRateLimited) {
		return row, rowless{err}
	}
	if err != nil {
		return row, disagreement(err)
	}
	r.row, r.at = row, at
	return row, nil
}

// disagreement makes a violation of what the store says of another's connection.
func disagreement(err error) error {
	switch {
	case len(chat.Foreign(err)) > 0:
		return violation{monitor.ConnectionRecord}
	case errors.Is(err, chat.ErrForeign):
		return violation{monitor.ConnectionOwner}
	}
	return err
}

// violated records a violation: of whom, and which ids the frame named.
func (r *request) violated(ctx context.Context, v violation, f wire.ClientFrame) {
	about := []monitor.ID{monitor.Request(r.in.RequestID), monitor.Connection(r.in.Connection)}
	if f != nil {
		named := f.Named()
		about = append(about, monitor.Thread(named.Thread), monitor.Run(named.Run))
	}
	r.monitor.Violation(ctx, v.guard, r.in.User, about...)
}

// checked is the Poster to the connection that asks: each try goes by a record of it that is not too old.
type checked struct{ *request }

// Post posts one message, or fails with errMoved or a violation.
func (c checked) Post(ctx context.Context, id chat.ConnectionID, message []byte) error {
	if err := c.current(ctx); err != nil {
		return err
	}
	return c.poster.Post(ctx, id, message)
}

// current sees to it that the connection is still this user's, watches the thread that the answer is about, if it is about
// one, and that its token is not past, unless that is the answer. It reads the record again if that is a second old.
func (r *request) current(ctx context.Context) error {
	if r.now().Sub(r.at) > recordGood {
		if _, err := r.mine(ctx); errors.As(err, &rowless{}) {
			return errMoved
		} else if err != nil {
			return err
		}
	}
	if !r.late && !r.now().Before(r.in.TokenExpires) {
		return errPast
	}
	if r.thread != "" && r.thread != r.row.Thread {
		return errMoved
	}
	return nil
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
			err := emit.Post(ctx, checked{r}, r.in.Connection, m)
			if errors.Is(err, chat.ErrGone) {
				// A frame that came behind its $disconnect has made the records again, and nothing else would remove them.
				if err := r.store.Disconnect(ctx, r.in.Connection); err != nil {
					return false, err
				}
			}
			if errors.Is(err, chat.ErrGone) || errors.Is(err, chat.ErrSlow) || errors.Is(err, errMoved) {
				r.log.DebugContext(ctx, "answer not delivered", "err", err)
				r.past = r.past || errors.Is(err, errPast)
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
