package client

import (
	"context"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// stateErasing is the state of the accepted that answers an erase.
const stateErasing = "erasing"

const beingErased = "All that you have here is being erased."

// Runs asks for a page of the user's runs: limit of them (0: the server's default) behind the Before of another page ("":
// the newest).
func (v *View) Runs(now time.Time, before chat.ListCursor, limit int) error {
	_, err := v.ask(now, "", &wire.Runs{Header: header("runs"), Before: before, Limit: limit})
	return err
}

// Erase deletes all that the user has, for ever.
func (v *View) Erase(now time.Time) error {
	_, err := v.ask(now, "", &wire.Erase{Header: header("erase"), Confirm: true})
	return err
}

// runList takes the answer to a runs.
func (v *View) runList(f *wire.RunList) {
	if a := v.requests.answer("runs", "", f.RequestID); a != nil {
		a.runs = f
		v.answered()
	}
}

// eraseAccepted takes the answer to an erase: from now on the server refuses everything, so nothing more is sent.
func (v *View) eraseAccepted(f *wire.Accepted) {
	v.requests.answer("erase", "", f.RequestID)
	v.erasing, v.wanted, v.roll = true, false, nil
	v.dropRequests(Notice{Code: wire.CodeErasing, Message: beingErased})
	v.answered()
}

// checkErasing refuses what would be sent while an erase is under way, or after the sessions were ended.
func (v *View) checkErasing() error {
	if v.status == SignedOut {
		return &Refused{Code: wire.CodeSignedOut, Message: wire.LastFrame(wire.CodeSignedOut).Message}
	}
	if v.erasing && v.status != Erasing {
		return &Refused{Code: wire.CodeErasing, Message: beingErased}
	}
	return nil
}

// eraseDone takes the news that everything is erased.
func (v *View) eraseDone() {
	v.erased = true
	v.list = map[chat.ThreadID]wire.ThreadInfo{}
	v.open = v.newThread(v.open.id)
	v.threads = map[chat.ThreadID]*thread{v.open.id: v.open}
	v.close(Erasing, Notice{Code: wire.CodeErasing, Message: "All that you had here is erased."})
}

// eraseRefused takes a refusal because all is being erased.
func (v *View) eraseRefused(n Notice) {
	if !v.erasing { // else it is known, and the done still to come
		v.notice(n)
		v.close(Erasing, n)
	}
}

// close gives the socket up for good, or until a person acts.
func (v *View) close(status Status, n Notice) {
	v.dropRequests(n)
	v.socket = socket{}
	v.status, v.wanted, v.roll = status, false, nil
	v.wishes = Wishes{Close: true}
}

// dropRequests refuses what has no answer.
func (v *View) dropRequests(n Notice) {
	for _, a := range v.requests.asked {
		a.answered, a.refused = true, &wire.Error{Code: n.Code, Message: n.Message}
	}
	for _, r := range v.requests.runs {
		v.unanswer(r.id)
	}
	v.requests = requests{}
	v.socket.wantHello = false
}

// Answer asks for a run in the open thread that answers its open questions, all of them, and says the text if there is
// one. It returns the run's id at once; the answer shows in the state: the run leaves Sending.
func (c *Client) Answer(answers []agui.Resume, text string) (chat.RunID, error) {
	id := chat.RunID(NewID())
	return id, c.do(func(v *View, now time.Time) error { return v.Answer(now, id, answers, text) })
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
