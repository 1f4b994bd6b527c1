package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// edge is a gateway with one thread, in simulated time. It ends each socket after two hours, as API Gateway does, and
// rejects the frames of a socket whose token has expired.
type edge struct {
	t         *testing.T
	pipes     chan net.Conn
	mu        sync.Mutex
	conns     map[*websocket.Conn]*edgeConn
	log       []agui.Event
	active    chat.RunID
	tokenOK   bool
	tokens    int
	cut       int // sockets that the edge has ended
	handovers int // sockets that opened while another one was in use
	most      int // sockets that were open at the same time
}

type edgeConn struct {
	expires  time.Time
	answered bool // its hello was answered
}

const (
	socketLife = 2 * time.Hour
	tokenLife  = 50 * time.Minute
)

// Accept, Close and Addr make the edge a net.Listener whose connections are pipes.
func (e *edge) Accept() (net.Conn, error) {
	c, more := <-e.pipes
	if !more {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (e *edge) Close() error   { return nil }
func (e *edge) Addr() net.Addr { return &net.UnixAddr{Name: "edge"} }

func (e *edge) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	e.pipes <- far
	return near, nil
}

// token returns a token that is valid for tokenLife, or an error while the issuer is down.
func (e *edge) token(context.Context) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tokens++
	if !e.tokenOK {
		return "", errors.New("the issuer does not answer")
	}
	return fmt.Sprint(time.Now().Add(tokenLife).UnixMilli()), nil
}

func (e *edge) serve(w http.ResponseWriter, r *http.Request) {
	var ms int64
	if _, err := fmt.Sscan(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), &ms); err != nil {
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	ended := time.AfterFunc(socketLife, func() {
		e.mu.Lock()
		e.cut++
		e.mu.Unlock()
		_ = conn.CloseNow() // the error does not matter: the socket may be closed already
	})
	defer ended.Stop()
	e.opened(conn, time.UnixMilli(ms))
	defer e.closed(conn)
	for {
		_, data, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		e.receive(r.Context(), conn, data)
	}
}

func (e *edge) opened(conn *websocket.Conn, expires time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, other := range e.conns {
		if other.answered {
			e.handovers++
		}
	}
	e.conns[conn] = &edgeConn{expires: expires}
	e.most = max(e.most, len(e.conns))
}

func (e *edge) closed(conn *websocket.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, conn)
}

func (e *edge) receive(ctx context.Context, conn *websocket.Conn, data []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.conns[conn]
	frame, bad := wire.DecodeClient(data)
	switch f := frame.(type) {
	case nil:
		e.t.Errorf("decode a frame of the client: %s", bad.Message)
	case *wire.Hello:
		if time.Now().After(c.expires) {
			e.post(ctx, conn, &wire.Error{Code: wire.CodeTokenExpired, Message: "Sign in again."})
			return
		}
		c.answered = true
		ready := &wire.Ready{N: f.N, ThreadID: "t", Head: chat.Seq(len(e.log)), Recovered: f.Cursor != nil,
			ReconnectInMs: e.next(c)}
		if len(e.log) > 0 {
			ready.Epoch = "e"
		}
		if e.active != "" {
			ready.Active = &wire.RunState{RunID: e.active, ThreadID: "t", Status: chat.RunRunning}
		}
		e.post(ctx, conn, ready)
		from := chat.Seq(0)
		if f.Cursor != nil {
			from = f.Cursor.Seq
		}
		for seq := from + 1; seq <= chat.Seq(len(e.log)); seq++ {
			e.post(ctx, conn, e.event(seq))
		}
	case *wire.Ping:
		if time.Now().After(c.expires) {
			e.post(ctx, conn, &wire.Error{Code: wire.CodeTokenExpired, Message: "Sign in again."})
			return
		}
		pong := &wire.Pong{RequestID: f.RequestID, ThreadID: "t", Head: chat.Seq(len(e.log))}
		if len(e.log) > 0 {
			pong.Epoch = "e"
		}
		if e.active != "" {
			pong.Runs = []wire.RunState{{RunID: e.active, ThreadID: "t", Status: chat.RunRunning}}
		}
		e.post(ctx, conn, pong)
	}
}

// next returns the time in ms after which the client must open its next socket.
func (e *edge) next(c *edgeConn) int64 {
	return min(socketLife-10*time.Minute, time.Until(c.expires)-time.Minute).Milliseconds()
}

func (e *edge) event(seq chat.Seq) *wire.Events {
	run := e.log[seq-1].RunID
	return &wire.Events{ThreadID: "t", Epoch: "e", Seq: seq, RunID: run, Events: []agui.Event{e.log[seq-1]}}
}

func (e *edge) post(ctx context.Context, conn *websocket.Conn, f wire.ServerFrame) {
	messages, err := wire.Encode(f, "p")
	if err != nil {
		e.t.Errorf("encode: %v", err)
		return
	}
	for _, m := range messages {
		_ = conn.Write(ctx, websocket.MessageText, m) // the error does not matter: the next read fails too
	}
}

// say appends an event and posts it on all sockets that are in use and whose token is valid.
func (e *edge) say(ctx context.Context, event agui.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.log = append(e.log, event)
	for conn, c := range e.conns {
		if c.answered && time.Now().Before(c.expires) {
			e.post(ctx, conn, e.event(chat.Seq(len(e.log))))
		}
	}
}

// set sets the active run; "" means none.
func (e *edge) set(active chat.RunID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.active = active
}

// issuer makes the issuer of tokens available or unavailable.
func (e *edge) issuer(ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tokenOK = ok
}
