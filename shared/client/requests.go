package client

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// asked is a rename, a delete, a page of history or of runs, or an erase that was asked for. Of each thread only one is
// out at a time, and one of those that concern no thread: API Gateway may run the frames of one socket in any order.
type call struct {
	frame    wire.ClientFrame
	thread   chat.ThreadID
	sent     bool // on this socket
	answered bool
	page     *wire.HistoryPage // the answer to a history
	runs     *wire.RunList     // the answer to a runs
	refused  *wire.Error
}

func (a *call) id() string { return a.frame.Request().RequestID }

func (v *View) call(now time.Time, id chat.ThreadID, f wire.ClientFrame) (*call, error) {
	if _, err := wire.EncodeClient(f); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if err := v.checkErasing(); err != nil {
		return nil, err
	}
	v.now = now
	v.act()
	a := &call{frame: f, thread: id}
	v.requests.calls = append(v.requests.calls, a)
	v.settle()
	return a, nil
}

// answer takes what was asked off, and returns it: of that thread, or, without one, of that request id. It is nil if
// nothing like it is out.
func (q *requests) answer(kind string, thread chat.ThreadID, id string) *call {
	for i, a := range q.calls {
		if a.sent && (a.id() == id || thread != "" && a.thread == thread && strings.HasPrefix(a.id(), kind)) {
			q.calls = slices.Delete(q.calls, i, i+1)
			a.answered = true
			return a
		}
	}
	return nil
}

// requests are what was asked and has no answer yet. Each is idempotent, so each may be sent again.
type requests struct {
	runs     []*pendingRun // in the order of their sending; of a thread only the first is out
	cancels  []*pendingCancel
	calls    []*call
	list     bool
	listSent bool
	listed   map[chat.ThreadID]int64 // the rows that were there when the list was asked for, and their updated
}

type pendingRun struct {
	id     chat.RunID
	thread chat.ThreadID // "" until a ready names it
	text   string        // "": it only answers
	resume []agui.Resume // answers to the thread's open questions
	n      int64         // on this socket; 0 if not sent on it
	ever   bool          // sent on any socket: the server may know of it
}

type pendingCancel struct {
	id   chat.RunID
	sent bool // on this socket
}

func (p *pendingRun) frame() *wire.Run {
	f := &wire.Run{Header: header("run." + string(p.id)), N: p.n, RunID: p.id, ThreadID: p.thread, Resume: p.resume}
	if p.text != "" || p.resume == nil {
		f.Messages = []agui.Message{{ID: string(p.id) + ".1", Role: agui.RoleUser, Content: p.text}}
	}
	return f
}

// header names a request; a name that would be too long is left out.
func header(requestID string) wire.Header {
	if len(requestID) > chat.MaxID {
		return wire.Header{}
	}
	return wire.Header{RequestID: requestID}
}

// unsent forgets what went out on a socket that is no more.
func (q *requests) unsent() {
	for _, r := range q.runs {
		r.n = 0
	}
	for _, c := range q.cancels {
		c.sent = false
	}
	for _, a := range q.calls {
		a.sent = false
	}
	q.listSent = false
}

// cancel notes that a run shall stop, and reports whether it was not sent: the server never learns of it then.
func (q *requests) cancel(run chat.RunID) bool {
	for i, r := range q.runs {
		if r.id == run && !r.ever {
			q.runs = slices.Delete(q.runs, i, i+1)
			return true
		}
	}
	if !slices.ContainsFunc(q.cancels, func(c *pendingCancel) bool { return c.id == run }) {
		q.cancels = append(q.cancels, &pendingCancel{id: run})
	}
	return false
}

// thread is that of a run that has no answer yet, or "".
func (q *requests) thread(run chat.RunID) chat.ThreadID {
	for _, r := range q.runs {
		if r.id == run {
			return r.thread
		}
	}
	return ""
}

// pending reports whether a run has no answer yet.
func (q *requests) pending(run chat.RunID) bool {
	return slices.ContainsFunc(q.runs, func(r *pendingRun) bool { return r.id == run })
}

// ran takes a run off that was answered, and reports whether it was there.
func (q *requests) ran(run chat.RunID) bool {
	had := len(q.runs)
	q.runs = slices.DeleteFunc(q.runs, func(r *pendingRun) bool { return r.id == run && r.ever })
	return len(q.runs) < had
}

// cancelled takes a cancel off that was answered, and reports whether it was there.
func (q *requests) cancelled(run chat.RunID) bool {
	had := len(q.cancels)
	q.cancels = slices.DeleteFunc(q.cancels, func(c *pendingCancel) bool { return c.id == run })
	return len(q.cancels) < had
}

// out reports whether anything was sent on this socket that has no answer.
func (q *requests) out() bool {
	return q.listSent || slices.ContainsFunc(q.runs, func(r *pendingRun) bool { return r.n != 0 }) ||
		slices.ContainsFunc(q.cancels, func(c *pendingCancel) bool { return c.sent }) ||
		slices.ContainsFunc(q.calls, func(a *call) bool { return a.sent })
}
