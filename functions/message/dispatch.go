package main

import (
	"context"
	"fmt"

	"carrel/shared/store"
	"carrel/shared/wire"
)

// precondition is what dispatch checks before it calls the handler of a frame.
type precondition int

const (
	noPrecondition  precondition = iota // the handler itself checks the connection and the run queue
	connectionIsOwn                     // the connection is its user's
	accountIsOpen                       // the connection is its user's, and the user is not being erased
)

// selection says which rows a handler needs. dispatch reads them in one request, with those of the precondition.
type selection func(wire.Named) store.Select

func noRows(wire.Named) store.Select { return store.Select{} }

func theRun(ids wire.Named) store.Select { return store.Select{Run: ids.Run} }

func theThread(ids wire.Named) store.Select { return store.Select{Thread: ids.Thread} }

func theSessions(wire.Named) store.Select { return store.Select{Sessions: true} }

func theQueue(wire.Named) store.Select { return store.Select{Queue: true} }

// frameHandler handles the frames of one type.
type frameHandler struct {
	typ    wire.Type
	first  precondition
	rows   selection
	handle func(*request, context.Context, wire.ClientFrame) error
}

// frameHandlers has a row for each frame of a client. TestDispatch_EveryType names a type without one.
func frameHandlers() []frameHandler {
	return []frameHandler{
		handles(wire.TypeHello, noPrecondition, noRows, (*request).hello),
		handles(wire.TypeRun, noPrecondition, noRows, (*request).run),
		handles(wire.TypePing, noPrecondition, noRows, (*request).ping),
		handles(wire.TypeThreads, noPrecondition, noRows, (*request).threads),
		handles(wire.TypeRuns, noPrecondition, noRows, (*request).runs),
		handles(wire.TypeErase, connectionIsOwn, theQueue, (*request).erase),
		handles(wire.TypeSignOut, connectionIsOwn, theSessions, (*request).signOut),
		handles(wire.TypeCancel, accountIsOpen, theRun, (*request).cancel),
		handles(wire.TypeHistory, accountIsOpen, theThread, (*request).history),
		handles(wire.TypeRename, accountIsOpen, theThread, (*request).rename),
		handles(wire.TypeDelete, accountIsOpen, theThread, (*request).delete),
	}
}

func handles[F wire.ClientFrame](
	t wire.Type, p precondition, s selection, h func(*request, context.Context, F) error,
) frameHandler {
	return frameHandler{t, p, s, func(r *request, ctx context.Context, f wire.ClientFrame) error {
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
		selected := h.rows(f.Named())
		selected.Queue = selected.Queue || h.first >= accountIsOpen
		if r.rows, err = r.ownRows(ctx, selected); err != nil {
			return err
		}
	}
	if h.first >= accountIsOpen {
		if err := r.rows.Open(); err != nil {
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
