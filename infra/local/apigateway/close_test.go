package apigateway_test

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/infra/local/apigateway"
)

func TestClose_RunningFunctions(t *testing.T) {
	working, cut, disconnects := make(chan []byte, 3), make(chan error, 3), make(chan []byte, 3)
	g := start(t, config(functions{
		"default": func(ctx context.Context, event []byte) ([]byte, string, error) {
			working <- event
			<-ctx.Done()
			cut <- ctx.Err()
			return nil, "", ctx.Err()
		},
		"disconnect": forwards(disconnects),
	}, "$default", "$disconnect"))
	var conns []*websocket.Conn
	for range 3 {
		conn := dial(t, g)
		write(t, conn, "x")
		receive(t, working)
		conns = append(conns, conn)
	}
	closed := make(chan error, 1)
	go func() { closed <- g.Close() }()
	for _, conn := range conns {
		if code, _ := readClose(t, conn); code != websocket.StatusGoingAway {
			t.Errorf("closed with %d", code)
		}
		<-cut
		if e := receive(t, disconnects).RequestContext; e.DisconnectStatusCode != 1001 {
			t.Errorf("$disconnect received the code %d", e.DisconnectStatusCode)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if left := stacks(); strings.Contains(left, "apigateway.(*socket)") ||
		strings.Contains(left, "apigateway.(*Gateway)") {
		t.Errorf("goroutines still run:\n%s", left)
	}
	if err := g.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestClose_DuringConnect(t *testing.T) {
	entered := make(chan struct{})
	g := start(t, config(functions{"connect": func(ctx context.Context, _ []byte) ([]byte, string, error) {
		close(entered)
		<-ctx.Done()
		return nil, "", ctx.Err()
	}}, "$connect"))
	answered := make(chan int)
	go func() {
		_, r, err := websocket.Dial(t.Context(), g.URL(), nil)
		if r == nil {
			t.Errorf("no response: %v", err)
			r = &http.Response{}
		}
		answered <- r.StatusCode
	}()
	<-entered
	closed := make(chan error, 1)
	go func() { closed <- g.Close() }()
	if status := <-answered; status != 502 {
		t.Errorf("status %d, want 502", status)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func stacks() string {
	b := make([]byte, 1<<20)
	return string(b[:runtime.Stack(b, true)])
}

func TestStart_ContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g, err := apigateway.Start(ctx, config(functions{}))
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, g)
	cancel()
	if code, _ := readClose(t, conn); code != websocket.StatusGoingAway {
		t.Errorf("closed with %d", code)
	}
	if _, r, err := websocket.Dial(t.Context(), g.URL(), nil); err == nil || r == nil ||
		r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a new connection: %v, %v", r, err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

func TestIdle_ResetByMessages(t *testing.T) {
	t.Parallel()
	const idle = time.Second
	received := make(chan []byte, 1)
	c := config(functions{"default": forwards(received)}, "$default")
	c.Idle = idle
	conn := dial(t, start(t, c))
	var last time.Time
	for began := time.Now(); time.Since(began) < idle*5/4; {
		last = time.Now()
		write(t, conn, "x")
		receive(t, received)
	}
	readClose(t, conn)
	if quiet := time.Since(last); quiet < idle {
		t.Errorf("closed %v after the last message, want at least %v", quiet, idle)
	}
}

func TestLog_Secrets(t *testing.T) {
	var lines atomic.Pointer[string]
	add := func(line string) {
		for {
			old := lines.Load()
			all := line + "\n"
			if old != nil {
				all = *old + all
			}
			if lines.CompareAndSwap(old, &all) {
				return
			}
		}
	}
	c := config(functions{"authorize": answers(allow), "connect": answers(`{"statusCode":200}`),
		"default": fails("sesame-error"), "disconnect": fails("sesame-error")}, "$connect", "$default", "$disconnect")
	c.Authorizer, c.Log = "authorize", add
	g := start(t, c)
	conn, _, err := websocket.Dial(t.Context(), g.URL()+"?token=sesame",
		&websocket.DialOptions{Subprotocols: []string{"bearer.sesame"},
			HTTPHeader: http.Header{"Authorization": {"Bearer sesame"}}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, conn, "sesame")
	read(t, conn)
	conn.Close(websocket.StatusNormalClosure, "sesame")
	if _, _, err := websocket.Dial(t.Context(), g.URL()+"2?token=sesame", nil); err == nil {
		t.Error("connected to another stage")
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	text := *lines.Load()
	if strings.Contains(text, "sesame") {
		t.Errorf("the log contains a secret:\n%s", text)
	}
	for _, want := range []string{"connected ", "closed ", "refused ", "$disconnect of "} {
		if !strings.Contains(text, want) {
			t.Errorf("the log has no line with %q:\n%s", want, text)
		}
	}
}
