package client

import (
	"context"
	"errors"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// The frames of the calls. A call's requestId is its key: only one call of a key is unanswered at a time.

func renameFrame(id chat.ThreadID, title string) *wire.Rename {
	return &wire.Rename{Header: header("rename." + string(id)), ThreadID: id, Title: title}
}

func deleteFrame(id chat.ThreadID) *wire.Delete {
	return &wire.Delete{Header: header("delete." + string(id)), ThreadID: id}
}

func runsFrame(before chat.ListCursor, limit int) *wire.Runs {
	return &wire.Runs{Header: header("runs"), Before: before, Limit: limit}
}

func eraseFrame() *wire.Erase { return &wire.Erase{Header: header("erase"), Confirm: true} }

func signOutFrame(cancelRuns bool) *wire.SignOut {
	return &wire.SignOut{Header: header("signOut"), Everywhere: true, CancelRuns: cancelRuns}
}

// Rename gives a thread a title. It refuses a title that the server would refuse.
func (v *View) Rename(now time.Time, id chat.ThreadID, title string) error {
	_, err := v.call(now, id, renameFrame(id, title))
	return err
}

// Delete deletes a thread. It refuses a bad id.
func (v *View) Delete(now time.Time, id chat.ThreadID) error {
	_, err := v.call(now, id, deleteFrame(id))
	return err
}

// Runs requests a page of the user's runs: limit of them (0: the server's default), from the Before of another page
// ("": the newest).
func (v *View) Runs(now time.Time, before chat.ListCursor, limit int) error {
	_, err := v.call(now, "", runsFrame(before, limit))
	return err
}

// Erase deletes everything of the user, for ever.
func (v *View) Erase(now time.Time) error {
	_, err := v.call(now, "", eraseFrame())
	return err
}

// SignOut ends all sessions of the user, on every device, and with cancelRuns cancels all runs. The view's status is
// SignedOut once that is done.
func (v *View) SignOut(now time.Time, cancelRuns bool) error {
	_, err := v.call(now, "", signOutFrame(cancelRuns))
	return err
}

// Rename gives a thread a title and waits for the answer.
func (c *Client) Rename(ctx context.Context, id chat.ThreadID, title string) error {
	_, err := c.send(ctx, id, renameFrame(id, title))
	return err
}

// Delete deletes a thread for good and waits for the answer.
func (c *Client) Delete(ctx context.Context, id chat.ThreadID) error {
	_, err := c.send(ctx, id, deleteFrame(id))
	return err
}

// History requests about limit messages of the open thread, of runs that began before the sequence number before (0:
// the newest messages), and waits for the answer. The page's Before is the one to continue with.
func (c *Client) History(ctx context.Context, before chat.Seq, limit int) (wire.HistoryPage, error) {
	a, err := c.call(ctx, func(v *View, now time.Time) (*call, error) {
		id := v.open.id
		if id == "" {
			return nil, errors.New("client: request the history: no thread is open yet")
		}
		return v.call(now, id, &wire.History{Header: header("history"), ThreadID: id, Before: before, Limit: limit})
	})
	if err != nil {
		return wire.HistoryPage{}, err
	}
	return *a.page, nil
}

// Respond requests a run in the open thread that responds to all of its open interrupts and, if text is not empty,
// sends the text. It returns the run's id at once. When the run leaves Sending, the server has answered it.
func (c *Client) Respond(responses []agui.Resume, text string) (chat.RunID, error) {
	id := chat.RunID(NewID())
	return id, c.do(func(v *View, now time.Time) error { return v.Respond(now, id, responses, text) })
}

// Runs requests a page of the user's runs, newest first, and waits for the answer: limit of them (0: the server's
// default), from the Before of another page ("": the newest).
func (c *Client) Runs(ctx context.Context, before chat.ListCursor, limit int) (wire.RunList, error) {
	a, err := c.send(ctx, "", runsFrame(before, limit))
	if err != nil {
		return wire.RunList{}, err
	}
	return *a.runs, nil
}

// Erase deletes everything of the user, for ever, and waits until that is durable. State.Erased is true when everything
// is deleted.
func (c *Client) Erase(ctx context.Context) error {
	_, err := c.send(ctx, "", eraseFrame())
	return err
}

// SignOut ends all sessions of the user, on every device, and with cancelRuns cancels all runs. It returns when that is
// done: the status is then SignedOut, and only a client with the token of a later sign-in can connect.
func (c *Client) SignOut(ctx context.Context, cancelRuns bool) error {
	_, err := c.send(ctx, "", signOutFrame(cancelRuns))
	return err
}
