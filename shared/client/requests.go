package client

import (
	"slices"
	"strconv"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// requests are what was asked and has no answer yet. Each is idempotent, so each may be sent again.
type requests struct {
	runs     []*pendingRun // in the order of their sending; of a thread only the first is out
	cancels  []*pendingCancel
	asked    []*asked
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
	for _, a := range q.asked {
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
		slices.ContainsFunc(q.asked, func(a *asked) bool { return a.sent })
}

// flush sends what may be sent and was not. With again it also repeats what has no answer. A run moves the connection
// to its thread, so those of other threads come first and a hello brings it back.
func (v *View) flush(again bool) {
	s, q := &v.socket, &v.requests
	if !s.open || v.erasing {
		return
	}
	v.flushRuns(again, func(r *pendingRun) bool { return r.thread != v.open.id })
	if s.wantHello || again && s.hello != 0 {
		v.hello()
	}
	v.flushRuns(again, func(r *pendingRun) bool { return r.thread == v.open.id })
	for _, c := range q.cancels {
		if q.pending(c.id) {
			continue // the server may not know the run yet, and remembers no cancel
		}
		if !c.sent || again {
			c.sent = true
			v.send(&wire.Cancel{Header: header("cancel." + string(c.id)), RunID: c.id})
		}
	}
	v.flushAsked(again)
	if q.list && (!q.listSent || again) {
		q.listSent = true
		v.send(&wire.Threads{Header: header("threads")})
	}
	if again && s.pinging {
		v.ping()
	}
}

// flushRuns sends the first run of each thread that is wanted here.
func (v *View) flushRuns(again bool, wanted func(*pendingRun) bool) {
	first := map[chat.ThreadID]bool{}
	for _, r := range v.requests.runs {
		if r.thread == "" || first[r.thread] || !wanted(r) {
			continue
		}
		first[r.thread] = true
		if r.n != 0 && !again {
			continue
		}
		if r.n == 0 {
			v.socket.n++
			r.n, r.ever = v.socket.n, true
			v.socket.wantHello = v.socket.wantHello || r.thread != v.open.id
		}
		v.send(r.frame())
	}
}

// hello asks for the open thread from the cursor on.
func (v *View) hello() {
	s := &v.socket
	s.n++
	s.hello, s.helloSince, s.wantHello = s.n, v.now, false
	v.send(v.helloFrame(s.n))
}

func (v *View) helloFrame(n int64) *wire.Hello {
	return &wire.Hello{Header: header("hello." + strconv.FormatInt(n, 10)), N: n, ThreadID: v.open.id, Cursor: v.open.ask()}
}

// ping asks whether anything was missed.
func (v *View) ping() {
	s := &v.socket
	s.pinging, s.pingSince, s.pingBase, s.pingedOut = true, v.now, v.now, v.requests.out()
	v.send(&wire.Ping{Header: header("ping"), ThreadID: v.open.id, Cursor: v.open.ask()})
}

func (v *View) send(f wire.ClientFrame) {
	if data := v.encode(f); data != nil {
		v.wishes.Frames = append(v.wishes.Frames, data)
	}
}

// encode encodes a frame. Inputs are checked where they come in, so one that cannot be encoded is a mistake of this
// package; it is shown, not swallowed.
func (v *View) encode(f wire.ClientFrame) []byte {
	data, err := wire.EncodeClient(f)
	if err != nil {
		v.notice(Notice{Code: wire.CodeInternal, Message: err.Error()})
		return nil
	}
	return data
}
