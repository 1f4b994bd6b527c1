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

// readBuffer holds the usual frame; a larger payload is read past it.
const readBuffer = 512

// refused is why a message was not taken.
type refused string

const (
	errGone refused = "the connection is closed"
	errFull refused = "the client's buffer is full"
)

func (r refused) Error() string { return string(r) }

// socket is one connection: a goroutine that reads and at last ends it, one that writes, and one for each function that
// works for it. Idle it costs two small stacks and readBuffer.
type socket struct {
	g *Gateway
	peer
	conn   *net.TCPConn
	slots  chan struct{} // inFlightLimit of them: functions at work
	ended  chan struct{} // closed when ending begins
	flush  chan struct{} // closed when the writer is done
	dice   *rand.Rand    // of reordering; the reader's alone
	dead   atomic.Bool   // by a fault on request, and nobody knows
	counts counts
	active atomic.Int64 // when the last message came or went, in Unix nanoseconds

	mu      sync.Mutex
	wake    sync.Cond
	out     []byte // frames that wait for the writer
	writing int    // bytes that it has taken and not yet written
	ending  *ending
	timer   *time.Timer
}

// ending is how a socket ends. The first wins.
type ending struct {
	code   ws.StatusCode
	reason string
	tell   bool // with a close frame, after all that waits; else what waits is lost
}

func newSocket(g *Gateway, p peer, conn *net.TCPConn) *socket {
	s := &socket{
		g:     g,
		peer:  p,
		conn:  conn,
		slots: make(chan struct{}, inFlightLimit),
		ended: make(chan struct{}),
		flush: make(chan struct{}),
	}
	s.wake.L = &s.mu
	s.touch()
	return s
}

// serve sends the 101 answer, reads until the socket ends, and runs $disconnect.
func (s *socket) serve(r *bufio.Reader, switching []byte) {
	if s.g.register(s) {
		s.open(switching)
		s.end(s.read(r))
		// What a refused message still has on its way is read and dropped: closing on it would reset the connection and
		// could take the close frame from the client. The end of it is the client's, or closeGrace.
		io.Copy(io.Discard, r)
		<-s.flush
	} else {
		s.end(ending{ws.StatusGoingAway, "Going away", false})
	}
	s.conn.Close()
	s.g.logf("closed %s after %s: %d", s.id, s.age(), s.ending.code) // the reason may be the client's words
	s.g.meterClose(s.id)
	s.g.disconnect(&s.peer, *s.ending)
}

func (s *socket) open(switching []byte) {
	s.g.logf("connected %s from %s", s.id, s.sourceIP)
	s.g.meterOpen(s.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	// The answer goes through the writer like all else: a post that came before it was written waits behind it.
	s.out = append(switching, s.out...)
	if s.ending == nil {
		s.timer = time.AfterFunc(min(s.g.c.Idle, s.g.c.Life), s.expire)
	}
	s.g.running.Go(s.write)
}

// expire ends the socket if one of its times is over, or looks again when the next can be.
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

// send puts a message into the outbound buffer. It fails with errGone and errFull, and then nothing of it is sent.
func (s *socket) send(message []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch waiting := len(s.out) + s.writing; {
	case s.ending != nil:
		return errGone
	case waiting > 0 && waiting+len(message) > outboundLimit:
		return errFull
	}
	// AWS's frames are of at most 32 KB; a longer message comes in several.
	opcode := ws.OpText
	for len(message) > frameLimit {
		s.frame(ws.NewFrame(opcode, false, message[:frameLimit]))
		message, opcode = message[frameLimit:], ws.OpContinuation
	}
	s.frame(ws.NewFrame(opcode, true, message))
	s.touch()
	return nil
}

// pong answers a ping, unless the client does not read: then it gets what it asks for late or never.
func (s *socket) pong(payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending == nil && len(s.out)+s.writing < outboundLimit {
		s.frame(ws.NewPongFrame(payload))
	}
}

// frame appends a frame to what the writer will take. The caller holds mu.
func (s *socket) frame(f ws.Frame) {
	s.out = slices.Grow(s.out, ws.MaxHeaderSize+len(f.Payload))
	ws.WriteFrame((*buffer)(&s.out), f) // appending does not fail
	s.wake.Signal()
}

type buffer []byte

func (b *buffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// end begins the socket's end, unless it has begun: nothing can be posted to it any more, the reader stops, and after
// closeGrace the connection is cut.
func (s *socket) end(e ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != nil {
		return
	}
	s.ending = &e
	deadline := time.Now()
	if e.tell {
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
	s.wake.Signal()
	s.g.unregister(s)
}

// write writes what waits, all of it at once, until the socket has ended and nothing waits; then it closes its half.
func (s *socket) write() {
	defer close(s.flush)
	for {
		batch := s.take()
		if batch == nil {
			s.conn.CloseWrite() // fails only if the client was faster
			return
		}
		if _, err := s.conn.Write(batch); err != nil {
			s.end(abandoned())
			return
		}
	}
}

// take waits for something to write. nil means that there will be nothing more.
func (s *socket) take() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = 0
	for len(s.out) == 0 {
		if s.ending != nil {
			return nil
		}
		s.wake.Wait()
	}
	batch := s.out
	// Not kept for the next: most sockets are idle most of the time.
	s.out, s.writing = nil, len(batch)
	if s.ending == nil {
		if err := s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return nil
		}
	}
	return batch
}
