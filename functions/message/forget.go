package main

import (
	"context"

	"carrel/shared/wire"
)

// stateClosing is of the answer to forget: the mark is durable, and done comes when everything is erased.
const stateClosing = "closing"

// forget marks the user as one who is to be erased. From then on everything that they ask for is refused; turn erases,
// and sweep asks it again until nothing is left. A repeat is answered like the first.
func (r *request) forget(ctx context.Context) error {
	if err := r.store.Forget(ctx); err != nil {
		return err
	}
	err := r.answer(ctx, &wire.Accepted{RequestID: r.id, State: stateClosing})
	if failed := r.invoker.Forget(ctx, r.in.User); failed != nil {
		r.log.ErrorContext(ctx, "invoking turn to forget a user", "err", failed)
	}
	return err
}
