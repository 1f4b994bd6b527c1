package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// stateErasing is the state in the answer to erase: the request is durable, and done follows when everything is erased.
const stateErasing = "erasing"

// recentSignIn is the greatest age of the sign-in of a user who erases everything. It protects a session that was left
// open.
const recentSignIn = 5 * time.Minute

// eraseAuth is the parameter EraseAuth: what a user whose tokens have no auth_time must do to erase everything.
type eraseAuth string

const (
	eraseBySignIn  eraseAuth = "signIn"  // they cannot, because no token proves a recent sign-in
	eraseByConfirm eraseAuth = "confirm" // the field confirm of the frame is enough
)

// parseEraseAuth reads EraseAuth. Nothing is signIn, which refuses.
func parseEraseAuth(text string) (eraseAuth, error) {
	switch a := eraseAuth(text); a {
	case "":
		return eraseBySignIn, nil
	case eraseBySignIn, eraseByConfirm:
		return a, nil
	}
	return "", fmt.Errorf("%q is neither %s nor %s", text, eraseBySignIn, eraseByConfirm)
}

// erase stores that the user is to be erased. From then on all requests of the user are refused. turn erases the data,
// and sweep invokes it again until none is left. A repeated request gets the same answer and needs no new sign-in.
func (r *request) erase(ctx context.Context, _ *wire.Erase) error {
	if no := r.mayErase(); no != nil {
		switch err := r.rows.Open(); {
		case err == nil:
			r.countRefusal(ctx, no.Code)
			return r.answer(ctx, no)
		case !errors.Is(err, chat.ErrErasing):
			return err
		}
	}
	if err := r.rows.RequestErasure(ctx); err != nil {
		return err
	}
	err := r.answer(ctx, &wire.Accepted{RequestID: r.id, State: stateErasing})
	if failed := r.invoker.EraseUser(ctx, r.in.User); failed != nil {
		r.log.ErrorContext(ctx, "invoke turn to erase a user", "err", failed)
	}
	return err
}

// mayErase returns why the user of this token may not erase everything now; nil if they may.
func (r *request) mayErase() *wire.Error {
	signIn := r.in.SignIn
	switch {
	case signIn.Proven && r.now().Sub(signIn.At) <= recentSignIn:
		return nil
	case signIn.Proven:
		return &wire.Error{RequestID: r.id, Code: wire.CodeReauthenticate, Message: sentence(wire.CodeReauthenticate)}
	case r.eraseAuth == eraseByConfirm:
		return nil
	}
	return &wire.Error{RequestID: r.id, Code: wire.CodeDenied,
		Message: "The sign-in service does not say when you signed in. " +
			"The operator can allow you to delete everything all the same, with the parameter EraseAuth=confirm."}
}
