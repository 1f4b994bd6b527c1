package dynamodb

import (
	"bytes"
	"io"
	"sync"
)

// listening passes on what the child says and closes seen when it says that it has bound its port: an answer from that
// port is then the child's and nobody else's.
type listening struct {
	to   io.Writer
	seen chan struct{}

	mu   sync.Mutex
	head []byte // what has been said so far; nil once seen is closed
	done bool
}

func (l *listening) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.done {
		l.head = append(l.head, p...)
		if bytes.Contains(l.head, []byte("listening on http://")) {
			l.head, l.done = nil, true
			close(l.seen)
		}
	}
	if l.to == nil {
		return len(p), nil
	}
	return l.to.Write(p)
}
