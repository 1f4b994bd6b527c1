package apigateway

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
)

// readBuffer is large enough for the usual frame. Larger payloads are read directly, without the buffer.
const readBuffer = 512

// sendError is the reason why a message was not sent.
type sendError string

const (
	errGone sendError = "the connection is closed"
	errFull sendError = "the client's buffer is full"
)

func (r sendError) Error() string { return string(r) }

// socket is one connection. It has a goroutine that reads and finally ends it, and one per running function. A message
// is written by the goroutine that sends it. If the system does not take all of it at once, a goroutine for the rest
// runs until nothing is pending. So an idle socket costs one small stack and readBuffer.
type socket struct {
	g *Gateway
	peer
	conn   *net.TCPConn
	slots  chan struct{} // capacity inFlightLimit: one element per running function
	ended  chan struct{} // closed when ending begins
	flush  chan struct{} // closed when the socket has ended and nothing is pending
	random *rand.Rand    // delays of Reorder, or nil; used by the reader only
	dead   atomic.Bool   // set by the fault HalfOpen: all messages are silently dropped
	counts counts
	active atomic.Int64 // time of the last message in either direction, in Unix nanoseconds

	mu      sync.Mutex
	out     []byte // pending frames
	busy    bool   // a goroutine writes to the socket now
	writing int    // bytes that this goroutine has taken and not yet written
	ending  *ending
	timer   *time.Timer
}

// ending describes how a socket ends. Only the first ending of a socket counts.
type ending struct {
	code      ws.StatusCode
	reason    string
	sendClose bool // send a close frame after all pending frames; otherwise pending frames are lost
}

func newSocket(g *Gateway, p peer, conn *net.TCPConn) *socket {
	s := &socket{
		g:     g,
		peer:  p,
		conn:  conn,
		slots: make(chan struct{}, inFlightLimit),
		ended: make(chan struct{}),
		flush: make(chan struct{}),
		busy:  true, // until the 101 response is written
	}
	s.touch()
	return s
}

// serve sends the 101 response, reads until the socket ends, and runs $disconnect.
func (s *socket) serve(r *bufio.Reader, switching []byte) {
	if s.g.register(s) {
		s.open(switching)
		s.end(s.read(r))
		// Read and drop the rest of a rejected message: closing the connection now would reset it, and the client might
		// lose the close frame. The client or closeGrace ends this.
		io.Copy(io.Discard, r)
		<-s.flush
	} else {
		s.end(ending{ws.StatusGoingAway, "Going away", false})
	}
	s.conn.Close()
	s.g.logf("closed %s after %s: %d", s.id, s.age(), s.ending.code) // without the reason: it may be the client's text
	s.g.meterClose(s.id)
	s.g.disconnect(&s.peer, *s.ending)
}

func (s *socket) open(switching []byte) {
	s.g.logf("connected %s from %s", s.id, s.sourceIP)
	s.g.meterOpen(s.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	// A post that arrives before the 101 response is written follows it.
	s.out = append(switching, s.out...)
	if s.ending == nil {
		s.timer = time.AfterFunc(min(s.g.c.Idle, s.g.c.Life), s.expire)
	}
	s.writePending()
}

// expire ends the socket if it reached its idle timeout or lifetime. Otherwise it sets the timer to the next of the
// two.
func (s *socket) expire() {
	now := time.Now()
	left := min(time.Unix(0, s.active.Load()).Add(s.g.c.Idle).Sub(now), s.connected.Add(s.g.c.Life).Sub(now))
	if left <= 0 {
		s.end(ending{ws.StatusGoingAway, "Going away", true})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending == nil {
		s.timer.Reset(left)
	}
}

func (s *socket) touch() { s.active.Store(time.Now().UnixNano()) }

// send sends a message, or keeps it for a client that reads slowly. It returns errGone or errFull if nothing of the
// message is sent.
func (s *socket) send(message []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch pending := len(s.out) + s.writing; {
	case s.ending != nil:
		return errGone
	case pending > 0 && pending+len(message) > outboundLimit:
		return errFull
	}
	// AWS sends frames of at most 32 KB and splits longer messages.
	opcode := ws.OpText
	for len(message) > frameLimit {
		s.frame(ws.NewFrame(opcode, false, message[:frameLimit]))
		message, opcode = message[frameLimit:], ws.OpContinuation
	}
	s.frame(ws.NewFrame(opcode, true, message))
	s.touch()
	s.writeNow()
	return nil
}

// pong answers a ping. A client that does not read gets no pong, so that pings cannot grow its buffer without limit.
func (s *socket) pong(payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending == nil && len(s.out)+s.writing < outboundLimit {
		s.frame(ws.NewPongFrame(payload))
		s.writeNow()
	}
}

// frame appends a frame to the pending ones. The caller holds mu.
func (s *socket) frame(f ws.Frame) {
	s.out = slices.Grow(s.out, ws.MaxHeaderSize+len(f.Payload))
	ws.WriteFrame((*buffer)(&s.out), f) // appending does not fail
}

type buffer []byte

func (b *buffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// end begins the socket's end, unless it has begun already: the socket accepts no more posts, the reader stops, and the
// connection is cut after closeGrace.
func (s *socket) end(e ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != nil {
		return
	}
	s.ending = &e
	deadline := time.Now()
	if e.sendClose {
		deadline = deadline.Add(closeGrace)
		body := ws.NewCloseFrameBody(e.code, e.reason)
		if e.code == ws.StatusNoStatusRcvd {
			body = nil
		}
		s.frame(ws.NewCloseFrame(body))
	} else {
		s.out = nil
	}
	if err := s.conn.SetDeadline(deadline); err != nil {
		s.conn.Close()
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	close(s.ended)
	if !s.busy {
		s.writePending()
	}
	s.g.unregister(s)
}
