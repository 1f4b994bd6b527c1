package client

import (
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// maxHandoverFrames is more than the server's answer to a hello has. The client requests the rest again.
const maxHandoverFrames = 256

// handover is the next socket while the last one is in use. It is open and has sent hello, and it is promoted with its
// ready.
type handover struct {
	thread chat.ThreadID // in its hello
	epoch  chat.Epoch    // of the view at that time
	since  time.Time
	frames [][]byte // received on it, for the promotion
	joiner wire.Joiner
	end    *wire.Error // signed_out or rate_limited, if the server sent one of these
}

// Offered reports that the next socket is open. Without a socket in use it is like Opened. Otherwise the socket in use
// stays so until the hello of the next one, Actions.Hello, is answered. Call ReceiveNext for the messages of the next
// socket, and Failed when it is lost.
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
	v.handover = &handover{thread: v.open.id, epoch: v.open.cursor.Epoch, since: now}
	v.actions.Hello = v.encode(v.helloFrame(1))
}

// ReceiveNext takes one message of the next socket.
func (v *View) ReceiveNext(now time.Time, message []byte) {
	if v.handover == nil {
		return
	}
	v.now = now
	switch answered, refused := v.handover.take(message); {
	case v.handover.end != nil && v.handover.end.Code == wire.CodeSignedOut:
		v.signedOut(v.handover.end)
	case refused:
		if end := v.handover.end; end != nil {
			v.waitFor(end)
		}
		v.Failed(now)
	case answered:
		v.promote()
	}
}

// take reports whether the server has answered the hello, and whether it has refused the socket.
func (h *handover) take(message []byte) (answered, refused bool) {
	frame, err := wire.DecodeServer(message)
	if p, isPart := frame.(*wire.Part); isPart {
		whole, bad := h.joiner.Add(p)
		if bad != nil || whole == nil {
			h.keep(message)
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
			h.end = f
		}
		return false, true
	case *wire.Ready:
		h.frames = append(h.frames, message)
		return true, false
	}
	h.keep(message)
	return false, false
}

func (h *handover) keep(message []byte) {
	if len(h.frames) < maxHandoverFrames {
		h.frames = append(h.frames, message)
	}
}

// promote makes the next socket the one in use, and takes the messages that it has received.
func (v *View) promote() {
	h := v.handover
	v.handover, v.wanted = nil, false
	v.actions.Frames, v.actions.Close, v.actions.Promote = nil, false, true
	if v.status != Ready {
		v.status = Connecting
	}
	v.socket = socket{open: true, n: 1, hello: 1, helloSince: h.since, wantHello: h.thread != v.open.id}
	v.socket.begin(v.now)
	v.requests.unsent()
	for _, t := range v.threads {
		t.reconnected(1)
	}
	if v.open.cursor.Epoch != h.epoch { // the answer to that hello may be older than this epoch
		v.open.adopted = 1
	}
	v.settle()
	for _, message := range h.frames {
		if v.socket.open {
			v.receive(message, true)
			v.settle()
		}
	}
}

// begin starts the timers of a socket that is in use from now on.
func (s *socket) begin(now time.Time) {
	s.gapPause, s.parts, s.pingBase, s.quiet = gapLeast, map[string]time.Time{}, now, now
}

// scheduleHandover sets the time of the next handover. It lengthens a wait that is too short, and doubles the
// lengthened wait each time, so that a server with a wrong clock cannot cause an endless sequence of sockets.
func (v *View) scheduleHandover(in time.Duration) {
	least := max(v.soonest, handoverMin)
	if in < least {
		v.socket.handoverAt, v.soonest = v.now.Add(least), min(2*least, handoverRare)
	} else {
		v.socket.handoverAt, v.soonest = v.now.Add(in), handoverMin
	}
}
