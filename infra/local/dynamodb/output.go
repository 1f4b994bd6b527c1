package dynamodb

import (
	"bytes"
	"io"
	"sync"
)

// listening passes on what the child says, line by line, and closes seen when it says that it has bound its port: an
// answer from that port is then the child's and nobody else's. That line is not passed on, because it names the hidden
// address.
type listening struct {
	to   io.Writer
	seen chan struct{}

	mu   sync.Mutex
	rest []byte // a line that has begun
	done bool   // seen is closed
}

// Write takes a part of what the child says.
func (l *listening) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		end := bytes.IndexByte(l.rest, '\n') + 1
		if end == 0 {
			return len(p), nil
		}
		line := l.rest[:end]
		l.rest = l.rest[end:]
		if !l.done && bytes.Contains(line, []byte("listening on http://")) {
			l.done = true
			close(l.seen)
			continue
		}
		if err := l.pass(line); err != nil {
			return len(p), err
		}
	}
}

// flush passes on a last line without an end, once the child has ended.
func (l *listening) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := l.rest
	l.rest = nil
	return l.pass(rest)
}

func (l *listening) pass(text []byte) error {
	if l.to == nil || len(text) == 0 {
		return nil
	}
	_, err := l.to.Write(text)
	return err
}
