package main

import (
	"context"
	"errors"

	"carrel/shared/chat"
	"carrel/shared/lasthop"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// violation is the error of a frame on a connection that is recorded for another user. Such a frame is not answered and
// changes nothing.
type violation struct{ guard monitor.Guard }

// Error names neither user.
func (violation) Error() string { return "the connection belongs to another user" }

// noConnection is the error of a frame on a connection without a record, with the reason. A record outlives its socket,
// so a connection without one was replaced, signed out or erased. The frame is refused, and the socket is closed.
type noConnection struct{ reason error }

// Error returns the reason.
func (e noConnection) Error() string { return e.reason.Error() }

// Unwrap returns the reason.
func (e noConnection) Unwrap() error { return e.reason }

// ownConnection reads the record of the connection, in the partition of the user that the authorizer names. It fails
// with a violation if the record was written for another user or connection, and with a noConnection without a record.
// Every frame passes this check, or the same check by watch, before anything is answered or changed.
func (r *request) ownConnection(ctx context.Context) (chat.Connection, error) {
	return r.own(ctx, func() (chat.Connection, error) { return r.store.Connection(ctx, r.in.Connection) })
}

// ownRows reads the selected rows and the record of the connection in one request, and checks the record as
// ownConnection does.
func (r *request) ownRows(ctx context.Context, selected store.Select) (*store.Rows, error) {
	selected.Connection = r.in.Connection
	var rows *store.Rows
	_, err := r.own(ctx, func() (c chat.Connection, err error) {
		if rows, err = r.store.Rows(ctx, selected); err != nil {
			return c, err
		}
		return rows.Connection()
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// own checks the record of the connection that read returns: see ownConnection.
func (r *request) own(ctx context.Context, read func() (chat.Connection, error)) (chat.Connection, error) {
	return r.read(func() (chat.Connection, error) {
		c, err := read()
		if errors.Is(err, chat.ErrNotFound) && !errors.Is(err, chat.ErrForeign) {
			return c, r.missing(ctx)
		}
		return c, asViolation(err)
	})
}

// missing returns the error of a connection without a record: a violation, or a noConnection with the reason.
func (r *request) missing(ctx context.Context) error {
	err := r.store.Lost(ctx, r.in.Connection)
	switch {
	case errors.Is(err, chat.ErrForeign):
		return violation{monitor.ConnectionOwner}
	case errors.Is(err, chat.ErrReplaced), errors.Is(err, chat.ErrSignedOut), errors.Is(err, chat.ErrErasing),
		errors.Is(err, chat.ErrNotFound):
		return noConnection{err}
	}
	return err
}

// watch points the connection at a thread, stores the cursor of the client, if it sent one, and returns the record. It
// fails like ownConnection if the connection belongs to another user or was ended.
func (r *request) watch(
	ctx context.Context, thread chat.ThreadID, n int64, applied *chat.Cursor,
) (chat.Connection, error) {
	c := chat.Connection{
		ID: r.in.Connection, Thread: thread, N: n, HelloBy: r.in.RequestID,
		Connected: r.in.ConnectedAt, TokenExpires: r.in.TokenExpires, SignedIn: r.in.SignIn.At,
	}
	if applied != nil {
		c.Acked = *applied
	}
	return r.read(func() (chat.Connection, error) {
		c, err := r.store.Watch(ctx, c)
		if errors.Is(err, chat.ErrReplaced) || errors.Is(err, chat.ErrSignedOut) ||
			errors.Is(err, chat.ErrRateLimited) {
			return c, noConnection{err}
		}
		return c, asViolation(err)
	})
}

// watchRun points the connection at the thread of a run, as watch does. If the connection watches the thread already,
// watchRun only reads the record, and the stored n stays lower than the frame's.
func (r *request) watchRun(ctx context.Context, thread chat.ThreadID, n int64) error {
	c, err := r.read(func() (chat.Connection, error) { return r.store.Connection(ctx, r.in.Connection) })
	if err == nil && c.N > 0 && c.Thread == thread {
		return nil
	}
	_, err = r.watch(ctx, thread, n, nil) // it makes all checks again
	return err
}

// read keeps the record that read returns for the check of the answers. The token of an answer is that of the frame.
func (r *request) read(read func() (chat.Connection, error)) (chat.Connection, error) {
	record, err := lasthop.Read(r.now, func() (chat.Connection, error) {
		c, err := read()
		c.TokenExpires = r.in.TokenExpires
		return c, err
	})
	if err != nil {
		return chat.Connection{}, err
	}
	r.record = record
	return record.Connection(), nil
}

// asViolation turns an error of the store about another user's connection into a violation, and returns others
// unchanged.
func asViolation(err error) error {
	switch {
	case len(chat.Foreign(err)) > 0:
		return violation{monitor.ConnectionRecord}
	case errors.Is(err, chat.ErrForeign):
		return violation{monitor.ConnectionOwner}
	}
	return err
}

// recordViolation records a violation with the user of the frame and the ids that the frame names.
func (r *request) recordViolation(ctx context.Context, v violation, f wire.ClientFrame) {
	about := []monitor.ID{monitor.Request(r.in.RequestID), monitor.Connection(r.in.Connection)}
	if f != nil {
		named := f.Named()
		about = append(about, monitor.Thread(named.Thread), monitor.Run(named.Run))
	}
	r.monitor.Violation(ctx, v.guard, r.in.User, about...)
}
