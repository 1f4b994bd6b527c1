package client

import (
	"context"
	"time"

	"carrel/shared/wire"
)

// SignOut ends all sessions of the user, on every device, and with cancelRuns all runs. The view is signed out then.
func (v *View) SignOut(now time.Time, cancelRuns bool) error {
	_, err := v.ask(now, "", signOutFrame(cancelRuns))
	return err
}

func signOutFrame(cancelRuns bool) *wire.SignOut {
	return &wire.SignOut{Header: header("signOut"), Everywhere: true, CancelRuns: cancelRuns}
}

// signedOut takes the news that the sessions were ended. A sign-out that was asked for here has its answer so, and all else
// will have none.
func (v *View) signedOut(f *wire.Error) {
	n := Notice{Code: f.Code, Message: f.Message}
	v.requests.answer("signOut", "", "signOut")
	v.notice(n)
	v.erasing = false
	v.close(SignedOut, n)
}

// SignOut ends all sessions of the user, on every device, and with cancelRuns all runs. It returns when that is done: then
// the State says SignedOut, and only a client with the token of a later sign-in can connect.
func (c *Client) SignOut(ctx context.Context, cancelRuns bool) error {
	_, err := c.ask(ctx, func(v *View, now time.Time) (*asked, error) { return v.ask(now, "", signOutFrame(cancelRuns)) })
	return err
}
