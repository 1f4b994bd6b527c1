package stack_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/stack"

	"github.com/coder/websocket"
)

// Sockets of the burst, and how many handshakes run at the same time.
const (
	busy, closing = 50, 500
	dialling      = 16
)

// TestStack_ManySocketsClose closes 500 sockets at once while 50 others send messages. It is less than an account's
// limit of concurrent invocations, so AWS would lose nothing: every message is answered once and in its place, and
// every $disconnect event reaches its function.
func TestStack_ManySocketsClose(t *testing.T) {
	r := start(t, stack.Config{Root: site(t), State: t.TempDir()})
	sockets := r.dialMany(busy + closing)
	talk := func() int { return r.Meters().Read().Functions["Talk"].Invocations }
	if n := talk(); n != busy+closing {
		t.Fatalf("%d sockets opened with %d $connect events", busy+closing, n)
	}
	closed, errs := make(chan struct{}), make([]error, busy)
	messages := make([]int, busy)
	var all sync.WaitGroup
	for i, conn := range sockets[:busy] {
		all.Go(func() { messages[i], errs[i] = converse(r.ctx, conn, i, closed) })
	}
	for _, conn := range sockets[busy:] {
		all.Go(func() { _ = conn.CloseNow() }) // the result does not matter: the connection is closed
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for r.Meters().Read().Connections.Open > busy && r.ctx.Err() == nil {
		<-poll.C
	}
	close(closed)
	all.Wait()
	want := busy + closing + closing
	for i, err := range errs {
		if err != nil {
			t.Error(err)
		}
		want += messages[i]
	}
	for talk() < want && r.ctx.Err() == nil && !t.Failed() {
		if log, err := os.ReadFile(r.Log()); err != nil || bytes.Contains(log, []byte("$disconnect of")) {
			t.Fatalf("a $disconnect event is lost: the log says why (%v)", err)
		}
		<-poll.C
	}
	if n := talk(); n != want {
		t.Errorf("the function received %d events, want %d", n, want)
	}
}

// dialMany opens sockets, dialling of them at a time.
func (r *running) dialMany(n int) []*websocket.Conn {
	r.Helper()
	token, sockets := r.token("alice"), make([]*websocket.Conn, n)
	var all sync.WaitGroup
	free := make(chan struct{}, dialling)
	for i := range sockets {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			sockets[i], _, _ = websocket.Dial(r.ctx, r.Endpoints().WebSocket,
				&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
		})
	}
	all.Wait()
	for i, conn := range sockets {
		if conn == nil {
			r.Fatalf("socket %d did not open", i)
		}
		r.Cleanup(func() { _ = conn.CloseNow() }) // the test may have closed it already
	}
	return sockets
}

// converse sends one message after another and checks the answer of each, until the other sockets are closed, and at
// least ten times.
func converse(ctx context.Context, conn *websocket.Conn, i int, closed <-chan struct{}) (n int, err error) {
	for done := false; n < 10 || !done; n++ {
		select {
		case <-closed:
			done = true
		default:
		}
		message := fmt.Sprintf("%d of socket %d", n, i)
		if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
			return n, fmt.Errorf("send %q: %w", message, err)
		}
		_, answer, err := conn.Read(ctx)
		if err != nil || string(answer) != "you said $default "+message {
			return n, fmt.Errorf("the answer to %q is %q (error %v)", message, answer, err)
		}
	}
	return n, nil
}
