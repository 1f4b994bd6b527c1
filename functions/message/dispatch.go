package main

import (
	"context"
	"fmt"

	"carrel/shared/wire"
)

// precondition is what dispatch checks before it calls the handler of a frame.
type precondition int

const (
	noPrecondition  precondition = iota // the handler itself reads or writes the connection's row and the run queue
	connectionIsOwn                     // the connection is its user's
	accountIsOpen                       // the connection is its user's, and the user is not being erased
)

// frameHandler handles the frames of one type.
type frameHandler struct {
	typ    wire.Type
	first  precondition
	handle func(*request, context.Context, wire.ClientFrame) error
}

// frameHandlers has a row for each frame of a client. TestDispatch_EveryType names a type without one.
func frameHandlers() []frameHandler {
	return []frameHandler{
		handles(wire.TypeHello, noPrecondition, (*request).hello),
		handles(wire.TypeRun, noPrecondition, (*request).run),
		handles(wire.TypePing, noPrecondition, (*request).ping),
		handles(wire.TypeErase, connectionIsOwn, (*request).erase),
		handles(wire.TypeSignOut, connectionIsOwn, (*request).signOut),
		handles(wire.TypeThreads, connectionIsOwn, (*request).threads),
		handles(wire.TypeRuns, connectionIsOwn, (*request).runs),
		handles(wire.TypeCancel, accountIsOpen, (*request).cancel),
		handles(wire.TypeHistory, accountIsOpen, (*request).history),
		handles(wire.TypeRename, accountIsOpen, (*request).rename),
		handles(wire.TypeDelete, accountIsOpen, (*request).delete),
	}
}

func handles[F wire.ClientFrame](t wire.Type, p precondition, h func(*request, context.Context, F) error) frameHandler {
	return frameHandler{t, p, func(r *request, ctx context.Context,
		f wire.ClientFrame) error {
		return h(r, ctx, f.(F))
	}}
}

// dispatch calls the handler of a frame once its precondition holds.
func (r *request) dispatch(ctx context.Context, f wire.ClientFrame) error {
	h, err := handlerOf(f.Request().Type)
	if err != nil {
		return err
	}
	if h.first >= connectionIsOwn {
		if _, err := r.ownConnection(ctx); err != nil {
			return err
		}
	}
	if h.first >= accountIsOpen {
		if err := r.store.Open(ctx); err != nil {
			return err
		}
	}
	return h.handle(r, ctx, f)
}

func handlerOf(t wire.Type) (frameHandler, error) {
	for _, h := range frameHandlers() {
		if h.typ == t {
			return h, nil
		}
	}
	return frameHandler{}, fmt.Errorf("no row in frameHandlers for a frame of type %s", t)
}
