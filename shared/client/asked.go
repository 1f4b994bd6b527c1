package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// asked is a rename, a delete, a page of history or of runs, or an erase that was asked for. Of each thread only one is
// out at a time, and one of those that concern no thread: API Gateway may run the frames of one socket in any order.
type asked struct {
	frame    wire.ClientFrame
	thread   chat.ThreadID
	sent     bool // on this socket
	answered bool
	page     *wire.HistoryPage // the answer to a history
	runs     *wire.RunList     // the answer to a runs
	refused  *wire.Error
}

func (a *asked) id() string { return a.frame.Request().RequestID }

// Rename gives a thread a title. One that the server would refuse is refused here.
func (v *View) Rename(now time.Time, id chat.ThreadID, title string) error {
	_, err := v.ask(now, id, &wire.Rename{Header: header("rename." + string(id)), ThreadID: id, Title: title})
	return err
}

// Delete takes a thread away. A bad id is refused.
func (v *View) Delete(now time.Time, id chat.ThreadID) error {
	_, err := v.ask(now, id, &wire.Delete{Header: header("delete." + string(id)), ThreadID: id})
	return err
}

func (v *View) ask(now time.Time, id chat.ThreadID, f wire.ClientFrame) (*asked, error) {
	if _, err := wire.EncodeClient(f); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if err := v.checkErasing(); err != nil {
		return nil, err
	}
	v.now = now
	v.act()
	a := &asked{frame: f, thread: id}
	v.requests.asked = append(v.requests.asked, a)
	v.settle()
	return a, nil
}

// flushAsked sends the first of each thread.
func (v *View) flushAsked(again bool) {
	first := map[chat.ThreadID]bool{}
	for _, a := range v.requests.asked {
		if !first[a.thread] && (!a.sent || again) {
			a.sent = true
			v.send(a.frame)
		}
		first[a.thread] = true
	}
}

// answer takes what was asked off, and returns it: of that thread, or, without one, of that request id. It is nil if
// nothing like it is out.
func (q *requests) answer(kind string, thread chat.ThreadID, id string) *asked {
	for i, a := range q.asked {
		if a.sent && (a.id() == id || thread != "" && a.thread == thread && strings.HasPrefix(a.id(), kind)) {
			q.asked = slices.Delete(q.asked, i, i+1)
			a.answered = true
			return a
		}
	}
	return nil
}

// done takes the answer to a rename or a delete; without a thread everything is erased.
func (v *View) done(f *wire.Done) {
	if f.ThreadID == "" {
		v.eraseDone()
		return
	}
	kind, _, _ := strings.Cut(f.RequestID, ".")
	a := v.requests.answer(kind, f.ThreadID, f.RequestID)
	if a == nil {
		return
	}
	if _, deleted := a.frame.(*wire.Delete); deleted {
		v.deleted(f.ThreadID)
	}
	v.answered()
}

// page takes the answer to a history.
func (v *View) page(f *wire.HistoryPage) {
	if a := v.requests.answer("history", f.ThreadID, f.RequestID); a != nil {
		a.page = f
		v.answered()
	}
}

// refusedAsked takes a refusal. A thread that there is none of has no row.
func (v *View) refusedAsked(f *wire.Error) {
	a := v.requests.answer("", "", f.RequestID)
	if a == nil {
		return
	}
	a.refused = f
	if f.Code == wire.CodeNotFound {
		delete(v.list, a.thread)
	}
}

// deleted takes a thread's row away for good: its id is not used again. The open one is asked for once more, which
// empties it.
func (v *View) deleted(id chat.ThreadID) {
	delete(v.list, id)
	if v.gone[id] {
		return
	}
	v.gone[id] = true
	if id == v.open.id {
		v.socket.wantHello = true
	}
}

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

// ask asks and waits until it is answered. A refusal is a *Refused.
func (c *Client) ask(ctx context.Context, f func(*View, time.Time) (*asked, error)) (*asked, error) {
	var a *asked
	err := c.do(func(v *View, now time.Time) (err error) {
		a, err = f(v, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	for answered := false; !answered; {
		changed := c.Changes()
		if err := c.look(func() { answered = a.answered }); err != nil {
			return nil, err
		}
		if answered {
			break
		}
		select {
		case <-changed:
		case <-c.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("client: wait for an answer: %w", ctx.Err())
		}
	}
	if a.refused != nil {
		return nil, &Refused{Code: a.refused.Code, Message: a.refused.Message}
	}
	return a, nil
}

// Refused is the server's refusal of a request. Its message is written for a person.
type Refused struct {
	Code    wire.Code
	Message string
}

func (r *Refused) Error() string { return string(r.Code) + ": " + r.Message }
