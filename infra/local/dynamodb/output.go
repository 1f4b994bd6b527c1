package dynamodb

import (
	"bytes"
	"io"
	"sync"
)

// listening forwards the child's output line by line. It closes seen when the child reports that it listens on its
// port: from then on a response from that port can only be the child's. It drops that line, because it contains the
// hidden address.
type listening struct {
	to   io.Writer
	seen chan struct{}

	mu   sync.Mutex
	rest []byte // an unfinished line
	done bool   // seen is closed
}

// Write adds a part of the child's output.
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
		if err := l.forward(line); err != nil {
			return len(p), err
		}
	}
}

// flush forwards a last line without a newline. It is called when the child has exited.
func (l *listening) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := l.rest
	l.rest = nil
	return l.forward(rest)
}

func (l *listening) forward(text []byte) error {
	if l.to == nil || len(text) == 0 {
		return nil
	}
	_, err := l.to.Write(text)
	return err
}
