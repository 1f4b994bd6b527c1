package client

import (
	"context"
	"errors"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Rename gives a thread a title and waits for the answer.
func (c *Client) Rename(ctx context.Context, id chat.ThreadID, title string) error {
	_, err := c.ask(ctx, func(v *View, now time.Time) (*asked, error) {
		return v.ask(now, id, &wire.Rename{Header: header("rename." + string(id)), ThreadID: id, Title: title})
	})
	return err
}

// Delete takes a thread away for good and waits for the answer.
func (c *Client) Delete(ctx context.Context, id chat.ThreadID) error {
	_, err := c.ask(ctx, func(v *View, now time.Time) (*asked, error) {
		return v.ask(now, id, &wire.Delete{Header: header("delete." + string(id)), ThreadID: id})
	})
	return err
}

// History asks for about limit messages of the open thread's runs that began below before (0: the newest) and waits for
// the answer, which says where to go on.
func (c *Client) History(ctx context.Context, before chat.Seq, limit int) (wire.HistoryPage, error) {
	a, err := c.ask(ctx, func(v *View, now time.Time) (*asked, error) {
		if v.open.id == "" {
			return nil, errors.New("client: no thread is open yet")
		}
		return v.ask(now, v.open.id, &wire.History{Header: header("history"), ThreadID: v.open.id, Before: before, Limit: limit})
	})
	if err != nil {
		return wire.HistoryPage{}, err
	}
	return *a.page, nil
}

// Respond asks for a run in the open thread that answers its open questions, all of them, and says the text if there is
// one. It returns the run's id at once; the answer shows in the state: the run leaves Sending.
func (c *Client) Respond(answers []agui.Resume, text string) (chat.RunID, error) {
	id := chat.RunID(NewID())
	return id, c.do(func(v *View, now time.Time) error { return v.Respond(now, id, answers, text) })
}

// Runs asks for a page of the user's runs, newest first, and waits for the answer: limit of them (0: the server's default)
// behind the Before of another page ("": the newest).
func (c *Client) Runs(ctx context.Context, before chat.ListCursor, limit int) (wire.RunList, error) {
	a, err := c.ask(ctx, func(v *View, now time.Time) (*asked, error) {
		return v.ask(now, "", &wire.Runs{Header: header("runs"), Before: before, Limit: limit})
	})
	if err != nil {
		return wire.RunList{}, err
	}
	return *a.runs, nil
}

// Erase deletes all that the user has, for ever, and waits until that is durable. When it is done the state says Erased.
func (c *Client) Erase(ctx context.Context) error {
	_, err := c.ask(ctx, func(v *View, now time.Time) (*asked, error) {
		return v.ask(now, "", &wire.Erase{Header: header("erase"), Confirm: true})
	})
	return err
}

// SignOut ends all sessions of the user, on every device, and with cancelRuns all runs. It returns when that is done: then
// the State says SignedOut, and only a client with the token of a later sign-in can connect.
func (c *Client) SignOut(ctx context.Context, cancelRuns bool) error {
	_, err := c.ask(ctx, func(v *View, now time.Time) (*asked, error) { return v.ask(now, "", signOutFrame(cancelRuns)) })
	return err
}
