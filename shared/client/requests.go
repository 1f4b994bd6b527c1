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

// call is a request that is answered once: a rename, a delete, a page of history or of runs, an erase or a sign-out. Of
// each thread only one call is sent at a time, and of the calls without a thread too, because API Gateway may run the
// frames of one socket in any order.
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

// call queues a request about a thread, or about none if id is "". It fails if the server would refuse the frame.
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

// answer removes the answered call and returns it. It matches the thread and the kind, or else the request id. It
// returns nil if no such call was sent.
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

// requests holds the requests without an answer. Each is idempotent, so each may be repeated.
type requests struct {
	runs     []*pendingRun // in the order of sending; only the first of each thread is sent
	cancels  []*pendingCancel
	calls    []*call
	list     bool
	listSent bool
	listed   map[chat.ThreadID]int64 // the rows at the time of the request, and their updated
}

// pendingRun is a run without an answer.
type pendingRun struct {
	id     chat.RunID
	thread chat.ThreadID // "" until a ready names it
	agent  string        // "": the default agent, or the agent that opened the interrupts
	text   string        // "": it only responds to interrupts
	resume []agui.Resume // responses to the thread's open interrupts
	n      int64         // on this socket; 0 if not sent on it
	ever   bool          // sent on some socket: the server may know the run
}

// pendingCancel is a cancel without an answer.
type pendingCancel struct {
	id   chat.RunID
	sent bool // on this socket
}

func (p *pendingRun) frame() *wire.Run {
	f := &wire.Run{Header: header("run." + string(p.id)), N: p.n, RunID: p.id, ThreadID: p.thread, Resume: p.resume,
		Agent: p.agent}
	if p.text != "" || p.resume == nil {
		f.Messages = []agui.Message{{ID: string(p.id) + ".1", Role: agui.RoleUser, Content: p.text}}
	}
	return f
}

// header returns the header for a request id, or an empty one if the id would be too long.
func header(requestID string) wire.Header {
	if len(requestID) > chat.MaxID {
		return wire.Header{}
	}
	return wire.Header{RequestID: requestID}
}

// unsent marks all requests as not sent: the socket is a new one.
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

// cancel records that a run shall stop. It returns true if the run was never sent: then it is only removed.
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

// thread returns the thread of an unanswered run, or "".
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

// ran removes an answered run, and reports whether it was there.
func (q *requests) ran(run chat.RunID) bool {
	had := len(q.runs)
	q.runs = slices.DeleteFunc(q.runs, func(r *pendingRun) bool { return r.id == run && r.ever })
	return len(q.runs) < had
}

// cancelled removes an answered cancel, and reports whether it was there.
func (q *requests) cancelled(run chat.RunID) bool {
	had := len(q.cancels)
	q.cancels = slices.DeleteFunc(q.cancels, func(c *pendingCancel) bool { return c.id == run })
	return len(q.cancels) < had
}

// out reports whether a request was sent on this socket and has no answer.
func (q *requests) out() bool {
	return q.listSent || slices.ContainsFunc(q.runs, func(r *pendingRun) bool { return r.n != 0 }) ||
		slices.ContainsFunc(q.cancels, func(c *pendingCancel) bool { return c.sent }) ||
		slices.ContainsFunc(q.calls, func(a *call) bool { return a.sent })
}
