package client

import (
	"errors"
	"math"
	"slices"
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Receive handles one message of the current socket. It ignores unknown messages. A message of API Gateway itself means
// that a request may not have arrived.
func (v *View) Receive(now time.Time, message []byte) {
	v.now = now
	if !v.socket.open {
		return
	}
	v.receive(message, true)
	v.settle()
}

func (v *View) receive(message []byte, mayBePart bool) {
	frame, err := wire.DecodeServer(message)
	if err != nil {
		if errors.Is(err, wire.ErrGateway) {
			v.retry()
		}
		return
	}
	switch f := frame.(type) {
	case *wire.Ready:
		v.ready(f)
	case *wire.Snapshot:
		v.snapshot(f)
	case *wire.Events:
		v.events(f)
	case *wire.Pong:
		v.pong(f)
	case *wire.Accepted:
		v.accepted(f)
	case *wire.Rejected:
		v.rejected(f)
	case *wire.Ended:
		v.ended(f.RunID)
	case *wire.Thread:
		v.row(f.ThreadInfo)
	case *wire.ThreadList:
		v.rows(f)
	case *wire.Done:
		v.done(f)
	case *wire.HistoryPage:
		v.page(f)
	case *wire.RunList:
		v.runList(f)
	case *wire.Error:
		v.refused(f)
	case *wire.Part:
		if mayBePart {
			v.part(f)
		}
	}
}

func (v *View) ready(f *wire.Ready) {
	s := &v.socket
	if f.N < s.had || f.N > s.n {
		return
	}
	v.attempt = 0 // the server answers, for whichever thread
	if v.open.id == "" && f.ThreadID != "" {
		v.name(f.ThreadID)
	}
	if f.ThreadID != v.open.id {
		return // of a previously open thread
	}
	s.had = f.N
	if f.N >= s.hello {
		s.hello = 0
	}
	if !s.answered {
		s.answered, v.status = true, Ready
		if f.ReconnectInMs > 0 {
			v.scheduleHandover(time.Duration(min(f.ReconnectInMs,
				math.MaxInt64/int64(time.Millisecond))) * time.Millisecond)
		}
	}
	v.limits, v.agents = f.Limits, f.Agents
	s.quiet, s.pingBase = v.now, v.now
	v.open.ready(f)
	v.progress(v.open.drain())
	if f.Active != nil {
		v.requests.ran(f.Active.RunID)
	}
	for _, w := range f.Queued {
		v.requests.ran(w.RunID)
	}
	v.answered()
}

// name gives the open thread, and the runs that were sent to it, the id that the connect allocated.
func (v *View) name(id chat.ThreadID) {
	v.open.id = id
	v.threads[id] = v.open
	for _, r := range v.requests.runs {
		if r.thread == "" {
			r.thread = id
		}
	}
}

func (v *View) snapshot(f *wire.Snapshot) {
	s := &v.socket
	if f.N < s.had || f.N > s.n || f.ThreadID != v.open.id {
		return
	}
	s.had = f.N
	if v.open.snapshot(f) {
		v.open.drain()
		v.progress(true)
	}
}

func (v *View) events(f *wire.Events) {
	if f.ThreadID == v.open.id && f.ThreadID != "" {
		// A worker that was frozen when its thread was deleted may still send events.
		v.progress(!v.gone[f.ThreadID] && v.open.take(f, v.socket.n))
	}
	// The server knows the run, even if its accepted was lost. That is so for a held frame too.
	answered := v.requests.ran(f.RunID)
	if v.over[f.RunID] {
		answered = v.requests.cancelled(f.RunID) || answered
	}
	if answered {
		v.answered()
	}
	if f.Row != nil {
		v.row(*f.Row)
	}
}

// progress restarts the gap timer after something was applied. The pause grows with the silence before it, so that slow
// pages of a long replay are not requested again.
func (v *View) progress(made bool) {
	if made {
		v.socket.gapPause = v.patience()
		v.socket.quiet = v.now
	}
}

// patience returns twice the silence that ends now, within the bounds of the gap timer.
func (v *View) patience() time.Duration {
	s := &v.socket
	if !s.lagging {
		return gapLeast
	}
	return min(max(2*v.now.Sub(s.quiet), gapLeast), gapMost)
}

func (v *View) pong(f *wire.Pong) {
	s, t := &v.socket, v.open
	s.pinging, s.pingBase = false, v.now
	v.answered()
	if s.pingedOut && v.requests.out() { // a request from before the ping still has no answer: it was lost
		v.retry()
	}
	if f.ThreadID != t.id || t.id == "" {
		return
	}
	var theirs []chat.RunID
	for _, r := range f.Runs {
		if r.ThreadID == t.id && !v.over[r.RunID] {
			theirs = append(theirs, r.RunID)
		}
	}
	active, ours := t.runs()
	if active != "" {
		ours = append(ours, active)
	}
	slices.Sort(theirs)
	slices.Sort(ours)
	switch {
	case f.Epoch != t.cursor.Epoch, !slices.Equal(theirs, ours):
		s.wantHello = s.wantHello || s.hello == 0
	case f.Epoch != "":
		t.head = max(t.head, min(f.Head, maxSeq))
		if !t.gap() {
			v.compare(f.ThreadID, f.Interrupted)
		}
	}
}

// flooded handles the error that the user sends too many frames. The server closes the socket and refuses the next one
// until the time in the error. The next socket then repeats the requests without an answer.
func (v *View) flooded(f *wire.Error) {
	v.notice(Notice{Code: f.Code, Message: f.Message, RetryAfterMS: f.RetryAfterMS})
	v.waitFor(f)
	v.actions.Close = true
	v.lose()
}

// part handles a piece of a long frame, and the frame once it is whole. A part that does not fit discards the frame,
// which leaves a gap.
func (v *View) part(f *wire.Part) {
	s := &v.socket
	s.gapPause = max(s.gapPause, v.patience())
	s.quiet = v.now
	whole, err := s.joiner.Add(f)
	switch {
	case err != nil:
		delete(s.parts, f.ID)
		v.open.incomplete = true
	case whole == nil:
		s.parts[f.ID] = v.now
	default:
		delete(s.parts, f.ID)
		v.receive(whole, false)
	}
}
