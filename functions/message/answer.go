package main

import (
	"context"
	"errors"

	"carrel/shared/chat"
	"carrel/shared/lasthop"
	"carrel/shared/wire"
)

// records is the source of the records that the answers of a request are checked by: the record of its own connection.
type records struct{ *request }

// Latest implements lasthop.Source. Before the first read it returns the zero Record, which is too old.
func (r records) Latest(chat.ConnectionID) (lasthop.Record, error) { return r.record, nil }

// Renew implements lasthop.Source. It makes all checks of the frame's connection again.
func (r records) Renew(ctx context.Context, _ chat.ConnectionID) (lasthop.Record, error) {
	_, err := r.ownConnection(ctx)
	if errors.As(err, &noConnection{}) {
		err = lasthop.ErrRefused
	}
	return r.record, err
}

// answer posts frames to the connection that sent the request, in order. It is not an error if the connection cannot be
// reached: the client repeats the request when it is back.
func (r *request) answer(ctx context.Context, frames ...wire.ServerFrame) error {
	_, err := r.deliver(ctx, frames...)
	return err
}

// deliver is answer, and reports whether the connection received all frames.
func (r *request) deliver(ctx context.Context, frames ...wire.ServerFrame) (reached bool, err error) {
	sender := &lasthop.Sender{
		User: r.in.User, Source: records{r}, Poster: r.poster, Now: r.now,
		Tried: func(_ int, err error) {
			if err == nil {
				r.posted++
			}
		},
	}
	for _, f := range frames {
		err := sender.Send(ctx, r.in.Connection, lasthop.NewReply(f, r.watching))
		if errors.Is(err, chat.ErrGone) {
			// A frame that is handled after the $disconnect of its connection has written the records again. No other
			// event removes them.
			if err := r.store.Disconnect(ctx, r.in.Connection); err != nil {
				return false, err
			}
		}
		if errors.Is(err, chat.ErrGone) || errors.Is(err, chat.ErrSlow) || errors.Is(err, lasthop.ErrRefused) {
			r.log.DebugContext(ctx, "deliver an answer", "err", err)
			r.tokenExpired = r.tokenExpired || errors.Is(err, lasthop.ErrTokenExpired)
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}
