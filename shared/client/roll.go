package client

import (
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// maxGreeted is more than a hello is answered with. What does not fit is asked for again.
const maxGreeted = 256

// roll is the next socket while the last one is in use: it is open, has said hello, and takes over once that is
// answered.
type roll struct {
	thread chat.ThreadID // that its hello named
	epoch  chat.Epoch    // of the view's then
	since  time.Time
	frames [][]byte // what came on it
	joiner wire.Joiner
	end    *wire.Error // it said that the sessions were ended, or that the user sends too many frames
}

// Offered tells that the next socket is open. If one is in use that stays so until this one's hello, the wish
// Greeting, is answered: what comes on this one is told by ReceiveNext, and Failed that it is gone.
func (v *View) Offered(now time.Time) {
	if !v.socket.open {
		v.Opened(now)
		return
	}
	v.now = now
	if v.erasing {
		v.wanted = false
		return
	}
	v.roll = &roll{thread: v.open.id, epoch: v.open.cursor.Epoch, since: now}
	v.wishes.Greeting = v.encode(v.helloFrame(1))
}

// ReceiveNext takes one message of the socket that was offered.
func (v *View) ReceiveNext(now time.Time, message []byte) {
	if v.roll == nil {
		return
	}
	v.now = now
	switch answered, refused := v.roll.take(message); {
	case v.roll.end != nil && v.roll.end.Code == wire.CodeSignedOut:
		v.signedOut(v.roll.end)
	case refused:
		if end := v.roll.end; end != nil {
			v.waitFor(end)
		}
		v.Failed(now)
	case answered:
		v.takeOver()
	}
}

// take reports whether the socket is answered now, or is of no use.
func (r *roll) take(message []byte) (answered, refused bool) {
	frame, err := wire.DecodeServer(message)
	if p, isPart := frame.(*wire.Part); isPart {
		whole, bad := r.joiner.Add(p)
		if bad != nil || whole == nil {
			r.keep(message)
			return false, bad != nil
		}
		frame, err = wire.DecodeServer(whole)
	}
	if err != nil {
		return false, true
	}
	switch f := frame.(type) {
	case *wire.Error:
		if f.Code == wire.CodeSignedOut || f.Code == wire.CodeRateLimited {
			r.end = f
		}
		return false, true
	case *wire.Ready:
		r.frames = append(r.frames, message)
		return true, false
	}
	r.keep(message)
	return false, false
}

func (r *roll) keep(message []byte) {
	if len(r.frames) < maxGreeted {
		r.frames = append(r.frames, message)
	}
}

// takeOver makes the socket that was offered the one in use.
func (v *View) takeOver() {
	r := v.roll
	v.roll, v.wanted = nil, false
	v.wishes.Frames, v.wishes.Close, v.wishes.Switch = nil, false, true
	if v.status != Ready {
		v.status = Connecting
	}
	v.socket = socket{open: true, n: 1, hello: 1, helloSince: r.since, wantHello: r.thread != v.open.id}
	v.socket.begin(v.now)
	v.requests.unsent()
	for _, t := range v.threads {
		t.reconnected(1)
	}
	if v.open.cursor.Epoch != r.epoch { // learned since: the answer to that hello may be older
		v.open.adopted = 1
	}
	v.settle()
	for _, message := range r.frames {
		if v.socket.open {
			v.receive(message, true)
			v.settle()
		}
	}
}

// begin sets the clocks of a socket that is in use from now on.
func (s *socket) begin(now time.Time) {
	s.gapPause, s.parts, s.pingBase, s.quiet = gapLeast, map[string]time.Time{}, now, now
}

// handOver sets when the next socket is wanted. A wait that is too short is lengthened, twice as long each time: a
// server's wrong clock must not make sockets follow each other for ever.
func (v *View) handOver(in time.Duration) {
	least := max(v.soonest, handoverMin)
	if in < least {
		v.socket.handover, v.soonest = v.now.Add(least), min(2*least, handoverRare)
	} else {
		v.socket.handover, v.soonest = v.now.Add(in), handoverMin
	}
}
