package apigateway

import (
	"syscall"
	"time"
)

// writeNow writes as many of the pending bytes as the system accepts without waiting. It does nothing while another
// goroutine writes.
// The caller holds mu, which writeNow releases while it writes.
func (s *socket) writeNow() {
	if s.busy {
		return
	}
	s.busy = true
	batch := s.takePending()
	s.mu.Unlock()
	written := s.tryWrite(batch)
	s.mu.Lock()
	s.writing = 0
	if s.ending != nil && !s.ending.sendClose {
		written = len(batch) // the socket was cut: pending frames are lost
	}
	if written < len(batch) {
		s.out = append(batch[written:], s.out...)
	}
	if s.busy = len(s.out) > 0 || s.ending != nil; s.busy {
		s.writePending()
	}
}

// tryWrite writes as much as the system takes without waiting and returns how much that is. It returns 0 if the
// connection is broken; the next write reports that.
func (s *socket) tryWrite(batch []byte) int {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return 0
	}
	written := 0
	err = raw.Write(func(fd uintptr) bool {
		written, _ = syscall.Write(int(fd), batch) // -1 if the buffer is full or the connection is broken
		return true                                // do not wait
	})
	if err != nil {
		return 0
	}
	return max(0, written)
}

// takePending removes and returns the pending frames. The caller holds mu.
func (s *socket) takePending() []byte {
	batch := s.out
	// The buffer is not reused, because most sockets are idle most of the time.
	s.out, s.writing = nil, len(batch)
	return batch
}

// writePending starts the goroutine that writes until nothing is pending. The caller holds mu and has set busy.
func (s *socket) writePending() {
	s.busy = true
	s.g.running.Go(func() {
		for {
			batch := s.nextBatch()
			if batch == nil {
				return
			}
			if _, err := s.conn.Write(batch); err != nil {
				s.end(abnormalClosure())
			}
		}
	})
}

// nextBatch returns the pending frames. If there are none, it returns nil, and the caller no longer writes. If the
// socket has also ended, it first closes the write half of the connection.
func (s *socket) nextBatch() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = 0
	deadline := time.Now().Add(writeTimeout)
	switch {
	case len(s.out) > 0:
	case s.ending != nil:
		s.conn.CloseWrite() // fails only if the client has closed the connection
		close(s.flush)
		return nil
	default:
		s.busy, deadline = false, time.Time{}
	}
	if s.ending == nil { // end has set a shorter one
		_ = s.conn.SetWriteDeadline(deadline) // fails on a closed connection, which the next write reports
	}
	if !s.busy {
		return nil
	}
	return s.takePending()
}
