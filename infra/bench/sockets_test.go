package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// server is where a program takes sockets and posts.
type server struct {
	WebSocket, Connections string
	KeyID, Secret          string
	header                 http.Header // of a handshake
	dialect                dialect
}

// dialect is how a server differs from API Gateway.
type dialect struct {
	// shared says that one post reaches all sockets of a name.
	shared bool
	// greet performs what follows the handshake, and returns what a post names to reach the socket.
	greet func(c *listener) (target string, err error)
	// answer returns the response to a message of the server's own, such as a ping, or nil.
	answer func(message []byte) []byte
}

// listener is a socket that checks its messages: each arrives exactly once, and none that is for another name.
type listener struct {
	name, target string
	conn         net.Conn
	in           *bufio.Reader
	dialect      dialect

	mu       sync.Mutex
	seen     []bool // by the number of a message
	left     int    // messages that have not arrived
	complete chan struct{}
	failed   error
}

// listen opens a socket and closes it when the test ends.
func listen(t testing.TB, s server, name string) *listener {
	t.Helper()
	l, err := dialSocket(t.Context(), s, name)
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(l.read)
	t.Cleanup(func() {
		_ = l.conn.Close() // it may be closed already
		reading.Wait()
	})
	return l
}

// dialSocket opens a socket.
func dialSocket(ctx context.Context, s server, name string) (*listener, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, in, _, err := ws.Dialer{Header: ws.HandshakeHeaderHTTP(s.header)}.Dial(ctx, s.WebSocket)
	if err != nil {
		return nil, fmt.Errorf("open socket %s: %w", name, err)
	}
	if in == nil {
		in = bufio.NewReader(conn)
	}
	l := &listener{name: name, conn: conn, in: in, dialect: s.dialect}
	err = conn.SetReadDeadline(time.Now().Add(patience))
	if err == nil {
		l.target, err = s.dialect.greet(l)
	}
	if err = errors.Join(err, conn.SetReadDeadline(time.Time{})); err != nil {
		return nil, errors.Join(fmt.Errorf("greet on socket %s: %w", name, err), conn.Close())
	}
	return l, nil
}

// next reads one message.
func (l *listener) next() ([]byte, error) {
	for {
		h, err := ws.ReadHeader(l.in)
		if err != nil {
			return nil, err
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(l.in, payload); err != nil {
			return nil, err
		}
		switch h.OpCode {
		case ws.OpText:
			return payload, nil
		case ws.OpPing:
			if err := wsutil.WriteClientMessage(l.conn, ws.OpPong, payload); err != nil {
				return nil, err
			}
		case ws.OpClose:
			return nil, fmt.Errorf("the server closed socket %s: %q", l.name, payload)
		}
	}
}

// write sends one message.
func (l *listener) write(message string) error {
	return wsutil.WriteClientText(l.conn, []byte(message))
}

// read checks messages until the socket ends.
func (l *listener) read() {
	for {
		message, err := l.next()
		if err == nil && l.dialect.answer != nil {
			if answer := l.dialect.answer(message); answer != nil {
				err = l.write(string(answer))
			}
		}
		if err != nil {
			l.fail(err)
			return
		}
		l.check(message)
	}
}

// expect prepares the socket for messages 0 to n-1.
func (l *listener) expect(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen, l.left, l.complete = make([]bool, n), n, make(chan struct{})
}

// await waits until all expected messages have arrived. It fails the test if one is lost, repeated or foreign.
func (l *listener) await(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	complete := l.complete
	l.mu.Unlock()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-complete:
	case <-late.C:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil || l.left > 0 {
		t.Fatalf("socket %s lacks %d messages: %v", l.name, l.left, l.failed)
	}
}

// check records the numbered messages in a frame: a server may join several in one.
func (l *listener) check(frame []byte) {
	for {
		_, rest, found := bytes.Cut(frame, []byte(`"to":"`))
		if !found {
			return
		}
		to, rest, _ := bytes.Cut(rest, []byte(`","n":`))
		digits, rest, ended := bytes.Cut(rest, []byte(`,`))
		n, err := strconv.Atoi(string(digits))
		switch {
		case err != nil || !ended:
			l.fail(fmt.Errorf("socket %s received %.200q", l.name, frame))
		case string(to) != l.name:
			l.fail(fmt.Errorf("socket %s received message %d of socket %s", l.name, n, to))
		default:
			l.arrive(n)
		}
		frame = rest
	}
}

func (l *listener) arrive(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case n >= len(l.seen):
		l.failed = errors.Join(l.failed, fmt.Errorf("socket %s received message %d of an earlier round", l.name, n))
	case l.seen[n]:
		l.failed = errors.Join(l.failed, fmt.Errorf("socket %s received message %d twice", l.name, n))
	default:
		l.seen[n] = true
		if l.left--; l.left == 0 {
			close(l.complete)
		}
	}
}

func (l *listener) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil && l.left > 0 {
		close(l.complete)
		l.left = 0
	}
	l.failed = errors.Join(l.failed, err)
}
