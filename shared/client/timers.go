package client

import (
	"time"

	"carrel/shared/wire"
)

// The times of the protocol.
const (
	gapLeast     = 250 * time.Millisecond
	gapMost      = 5 * time.Second
	answerWithin = 10 * time.Second // a hello or ping without an answer for so long means a lost socket
	partWithin   = 5 * time.Second  // a frame in parts is discarded without a further part for so long
	pingBusy     = 15 * time.Second
	pingIdle     = 5 * time.Minute
	retryLeast   = 500 * time.Millisecond
	retryMost    = 20 * time.Second
	backoffLeast = time.Second
	handoverMin  = 30 * time.Second
	handoverRare = time.Hour

	retryAfterMost = time.Hour // a server with a wrong clock must not lock a client out for ever
)

// socket is the state of one connection.
type socket struct {
	open       bool
	n          int64 // of the last hello or run
	had        int64 // the highest n of a ready or snapshot
	wantHello  bool
	hello      int64 // n of the hello without an answer, or 0
	helloSince time.Time
	pinging    bool
	pingSince  time.Time
	pingedOut  bool      // a request had no answer when the ping was sent
	pingBase   time.Time // the next ping is due an interval after it
	busy       bool      // at the end of the last input
	lagging    bool      // a gap existed at the end of the last input
	quiet      time.Time // the time of the last progress
	gapPause   time.Duration
	joiner     wire.Joiner
	parts      map[string]time.Time // the time of each incomplete frame's last part
	retryAt    time.Time            // zero: not running
	retries    int
	handoverAt time.Time // zero: none
	answered   bool      // a ready has arrived
}

// Start requests the first socket.
func (v *View) Start(now time.Time) {
	v.now = now
	v.connect(0)
}

// Opened reports that a socket is open and in use from now on. It replaces an open socket, which the caller closes; the
// caller passes nothing of that socket to the view any more.
func (v *View) Opened(now time.Time) {
	v.now = now
	v.socket = socket{open: true, wantHello: true}
	v.socket.begin(now)
	v.status, v.wanted, v.handover = Connecting, false, nil
	v.requests.unsent()
	for _, t := range v.threads {
		t.reconnected(0)
	}
	v.settle()
}

// Lost reports that the current socket is lost, or, without one, that the attempt to open one has failed.
func (v *View) Lost(now time.Time) {
	v.now = now
	if v.socket.open {
		v.lose()
		return
	}
	v.Failed(now)
}

// Failed reports that the attempt to open a socket has failed, or that the next socket is lost.
func (v *View) Failed(now time.Time) {
	v.now, v.wanted, v.handover = now, false, nil
	switch {
	case v.status == Replaced, v.status == Erasing, v.status == SignedOut:
	case v.socket.open: // the old one still works, and a failing source of tokens must not be called too often
		v.socket.handoverAt = v.freeAt().Add(max(backoffLeast, v.backoff()))
	default:
		v.status = Lost
		v.connect(v.backoff())
	}
}

// lose ends the use of the current socket. It promotes the next socket if that is open, and otherwise requests one if
// none is being opened.
func (v *View) lose() {
	v.socket = socket{}
	if v.erasing {
		v.status, v.wanted = Erasing, false
		return
	}
	v.status = Lost
	switch {
	case v.handover != nil:
		v.promote()
	case !v.wanted:
		v.connect(v.backoff())
	}
}

// connect requests a socket after a pause, which begins when the server accepts sockets again.
func (v *View) connect(after time.Duration) {
	v.wanted, v.handover = true, nil
	v.actions.Connect, v.actions.After = true, v.freeAt().Add(after).Sub(v.now)
}

// waitFor stores the time until which the server refuses sockets.
func (v *View) waitFor(f *wire.Error) {
	v.refusedUntil = v.now.Add(time.Duration(min(f.RetryAfterMS, retryAfterMost.Milliseconds())) * time.Millisecond)
}

// freeAt returns the time from which the server accepts sockets.
func (v *View) freeAt() time.Time {
	if v.refusedUntil.After(v.now) {
		return v.refusedUntil
	}
	return v.now
}

// backoff returns the pause before the next attempt. It has full jitter from the first attempt on, because usually many
// clients lose their sockets at once.
func (v *View) backoff() time.Duration {
	v.attempt++
	return v.jitter(backoffLeast, v.attempt-1)
}

// jitter returns a random part of least doubled so many times, at most retryMost.
func (v *View) jitter(least time.Duration, doubled int) time.Duration {
	d := min(least<<min(doubled, 10), retryMost)
	return time.Duration(v.random() * float64(d))
}

type timer struct {
	at   time.Time
	fire func()
}

// Next returns the time at which Tick is due, and false if no timer runs.
func (v *View) Next() (time.Time, bool) {
	t := v.next()
	return t.at, t.fire != nil
}

// Tick fires the timers that are due, in order, each at its own time.
func (v *View) Tick(now time.Time) {
	for {
		t := v.next()
		if t.fire == nil || t.at.After(now) {
			break
		}
		if t.at.After(v.now) {
			v.now = t.at
		}
		t.fire()
		v.settle()
	}
	v.now = now
}

// next returns the timer that is due first.
func (v *View) next() timer {
	s := &v.socket
	var first timer
	add := func(on bool, at time.Time, fire func()) {
		if on && (first.fire == nil || at.Before(first.at)) {
			first = timer{at, fire}
		}
	}
	if !s.open || v.erasing {
		return first
	}
	giveUp := func() {
		v.actions.Close = true
		v.lose()
	}
	add(s.hello != 0, s.helloSince.Add(answerWithin), giveUp)
	add(s.pinging, s.pingSince.Add(answerWithin), giveUp)
	for id, at := range s.parts {
		add(true, at.Add(partWithin), func() {
			s.joiner.Drop(id)
			delete(s.parts, id)
			v.open.incomplete = true
		})
	}
	add(!s.retryAt.IsZero(), s.retryAt, func() {
		s.retryAt = time.Time{}
		s.retries++
		v.flush(true)
	})
	quiet := s.hello == 0 && v.status == Ready
	add(quiet && v.open.gap(), s.quiet.Add(s.gapPause), func() {
		s.gapPause = min(2*s.gapPause, gapMost)
		v.hello()
	})
	interval := pingIdle
	if v.busy() {
		interval = pingBusy
	}
	add(quiet && !s.pinging, s.pingBase.Add(interval), v.ping)
	add(!s.handoverAt.IsZero() && !v.wanted, s.handoverAt, func() {
		s.handoverAt = time.Time{}
		v.connect(0)
	})
	if v.handover != nil {
		add(true, v.handover.since.Add(answerWithin), func() { v.Failed(v.now) })
	}
	return first
}

// busy reports whether a run of the open thread is running, queued or being sent.
func (v *View) busy() bool {
	active, queued := v.open.runs()
	if active != "" || len(queued) > 0 {
		return true
	}
	for _, r := range v.requests.runs {
		if r.thread == v.open.id {
			return true
		}
	}
	return false
}

// settle ends each input: it sends the requests that may be sent, and starts the timers of a new gap or a first run.
func (v *View) settle() {
	s := &v.socket
	v.flush(false)
	gap, busy := v.open.gap(), v.busy()
	switch {
	case !gap:
		s.gapPause = gapLeast
	case !s.lagging:
		s.quiet = v.now
	}
	if busy && !s.busy {
		s.pingBase = v.now
	}
	s.lagging, s.busy = gap, busy
}

// retry starts the timer that repeats the requests without an answer.
func (v *View) retry() {
	if s := &v.socket; s.retryAt.IsZero() {
		s.retryAt = v.now.Add(v.jitter(retryLeast, s.retries))
	}
}
