package client

import (
	"strconv"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// flushCalls sends the first call of each thread. With again it also repeats unanswered ones.
func (v *View) flushCalls(again bool) {
	first := map[chat.ThreadID]bool{}
	for _, a := range v.requests.calls {
		if !first[a.thread] && (!a.sent || again) {
			a.sent = true
			v.send(a.frame)
		}
		first[a.thread] = true
	}
}

// flush sends all requests that may be sent now. With again it also repeats those without an answer. A run of another
// thread moves the connection to that thread, so these runs go first and a hello of the open thread follows.
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
			continue // the server may not know the run yet, and would not remember the cancel
		}
		if !c.sent || again {
			c.sent = true
			v.send(&wire.Cancel{Header: header("cancel." + string(c.id)), RunID: c.id})
		}
	}
	v.flushCalls(again)
	if q.list && (!q.listSent || again) {
		q.listSent = true
		v.send(&wire.Threads{Header: header("threads")})
	}
	if again && s.pinging {
		v.ping()
	}
}

// flushRuns sends, for each thread, the first run that selected accepts.
func (v *View) flushRuns(again bool, selected func(*pendingRun) bool) {
	first := map[chat.ThreadID]bool{}
	for _, r := range v.requests.runs {
		if r.thread == "" || first[r.thread] || !selected(r) {
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

// hello requests the events of the open thread after the cursor.
func (v *View) hello() {
	s := &v.socket
	s.n++
	s.hello, s.helloSince, s.wantHello = s.n, v.now, false
	v.send(v.helloFrame(s.n))
}

func (v *View) helloFrame(n int64) *wire.Hello {
	return &wire.Hello{Header: header("hello." + strconv.FormatInt(n, 10)), N: n, ThreadID: v.open.id,
		Cursor: v.open.sentCursor()}
}

// ping asks the server whether events were missed.
func (v *View) ping() {
	s := &v.socket
	s.pinging, s.pingSince, s.pingBase, s.pingedOut = true, v.now, v.now, v.requests.out()
	v.send(&wire.Ping{Header: header("ping"), ThreadID: v.open.id, Cursor: v.open.sentCursor()})
}

func (v *View) send(f wire.ClientFrame) {
	if data := v.encode(f); data != nil {
		v.actions.Frames = append(v.actions.Frames, data)
	}
}

// encode encodes a frame. The inputs are checked on entry, so an error is a bug of this package; it becomes a notice.
func (v *View) encode(f wire.ClientFrame) []byte {
	data, err := wire.EncodeClient(f)
	if err != nil {
		v.notice(Notice{Code: wire.CodeInternal, Message: err.Error()})
		return nil
	}
	return data
}
