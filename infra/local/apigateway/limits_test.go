package apigateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"

	"carrel/infra/local/apigateway"
)

// rawDial returns a connection on which a test can send single frames, including frames that no WebSocket library
// sends.
func rawDial(t testing.TB, g *apigateway.Gateway) net.Conn {
	t.Helper()
	conn, _, _, err := ws.Dial(t.Context(), g.URL())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func frame(op ws.OpCode, fin bool, payload string) ws.Frame {
	return ws.MaskFrame(ws.NewFrame(op, fin, []byte(payload)))
}

func readFrame(conn net.Conn) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(conn); err != nil {
		return f, err
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(conn, f.Payload)
	return f, err
}

// readRawClose reads a close frame and returns its code. Nothing else may arrive before the end of the stream.
func readRawClose(t testing.TB, conn net.Conn) ws.StatusCode {
	t.Helper()
	f, err := readFrame(conn)
	if err != nil {
		t.Fatalf("no close frame: %v", err)
	}
	if f.Header.OpCode != ws.OpClose {
		t.Fatalf("not a close frame: %v %q", f.Header, f.Payload)
	}
	code, _ := ws.ParseCloseFrameData(f.Payload)
	if _, err := readFrame(conn); !errors.Is(err, io.EOF) {
		t.Errorf("after the close frame: %v, want EOF", err)
	}
	return code
}

func TestFrames_InvalidOrClosing(t *testing.T) {
	k32 := strings.Repeat("x", 32<<10)
	unmasked := ws.NewTextFrame([]byte("x"))
	reserved := frame(ws.OpText, true, "x")
	reserved.Header.Rsv = 4
	headerOnly := func(length int64) ws.Frame {
		return ws.Frame{Header: ws.Header{Fin: true, OpCode: ws.OpText, Masked: true, Length: length}}
	}
	text, more := ws.OpText, ws.OpContinuation
	for _, test := range []struct {
		name   string
		frames []ws.Frame
		want   ws.StatusCode
	}{
		{"frame over 32 KB", []ws.Frame{frame(text, true, k32+"x")}, 1009},
		{"header of a frame over 32 KB", []ws.Frame{headerOnly(32<<10 + 1)}, 1009},
		{"header that claims an exabyte", []ws.Frame{headerOnly(1 << 60)}, 1009},
		{"message over 128 KB", []ws.Frame{frame(text, false, k32), frame(more, false, k32),
			frame(more, false, k32), frame(more, false, k32), frame(more, true, "x")}, 1009},
		{"binary", []ws.Frame{frame(ws.OpBinary, true, "x")}, 1003},
		{"not UTF-8", []ws.Frame{frame(text, true, "a\xffb")}, 1007},
		{"not UTF-8 across frames", []ws.Frame{frame(text, false, "a\xc3"), frame(more, true, "b")}, 1007},
		{"not masked", []ws.Frame{unmasked}, 1002},
		{"reserved bit", []ws.Frame{reserved}, 1002},
		{"reserved opcode", []ws.Frame{frame(ws.OpCode(3), true, "x")}, 1002},
		{"continuation without a start", []ws.Frame{frame(more, true, "x")}, 1002},
		{"text inside a message", []ws.Frame{frame(text, false, "x"), frame(text, true, "x")}, 1002},
		{"long ping", []ws.Frame{frame(ws.OpPing, true, strings.Repeat("x", 126))}, 1002},
		{"close with half a code", []ws.Frame{frame(ws.OpClose, true, "x")}, 1002},
		{"close with a reserved code", []ws.Frame{frame(ws.OpClose, true, "\x03\xee")}, 1002},
		{"close with a code", []ws.Frame{frame(ws.OpClose, true, "\x0f\xa1bye")}, 4001},
		{"close without a code", []ws.Frame{frame(ws.OpClose, true, "")}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			called := make(chan []byte, 1)
			conn := rawDial(t, start(t, config(functions{"default": forwards(called)}, "$default")))
			for _, f := range test.frames {
				if err := ws.WriteFrame(conn, f); err != nil {
					t.Fatal(err)
				}
			}
			if got := readRawClose(t, conn); got != test.want {
				t.Errorf("closed with %d, want %d", got, test.want)
			}
			if len(called) > 0 {
				t.Error("a function received the message")
			}
		})
	}
}

func TestFrames_LargestMessage(t *testing.T) {
	called := make(chan []byte, 1)
	conn := rawDial(t, start(t, config(functions{"default": forwards(called)}, "$default")))
	k32 := strings.Repeat("é", 16<<10)
	for _, f := range []ws.Frame{
		frame(ws.OpText, true, k32),
		frame(ws.OpText, false, k32), frame(ws.OpContinuation, false, k32), frame(ws.OpPing, true, "between"),
		frame(ws.OpContinuation, false, k32), frame(ws.OpContinuation, true, k32),
	} {
		if err := ws.WriteFrame(conn, f); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := len(receive(t, called).Body), len(receive(t, called).Body); a+b != 160<<10 {
		t.Errorf("bodies of %d and %d bytes", a, b)
	}
	pong, err := readFrame(conn)
	if err != nil || pong.Header.OpCode != ws.OpPong || string(pong.Payload) != "between" {
		t.Errorf("the ping was answered with %v %q, %v", pong.Header, pong.Payload, err)
	}
}

func TestFrames_RestOfRejectedMessage(t *testing.T) {
	conn := rawDial(t, start(t, config(functions{})))
	if err := ws.WriteHeader(conn, ws.Header{Fin: true, OpCode: ws.OpText, Masked: true,
		Length: 128 << 10}); err != nil {
		t.Fatal(err)
	}
	if code := readRawClose(t, conn); code != 1009 {
		t.Errorf("closed with %d", code)
	}
	for range 4 {
		if _, err := conn.Write(make([]byte, 32<<10)); err != nil {
			t.Errorf("a client that writes before it reads would not get the close frame: %v", err)
		}
	}
}

func TestPost_SplitIntoFrames(t *testing.T) {
	events := make(chan []byte, 1)
	g := start(t, config(functions{"connect": forwards(events)}, "$connect"))
	conn := rawDial(t, g)
	id := receive(t, events).RequestContext.ConnectionID
	if err := post(t, management(g, "AKIA1"), id, strings.Repeat("x", 70<<10)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []ws.Header{{OpCode: ws.OpText, Length: 32 << 10},
		{OpCode: ws.OpContinuation, Length: 32 << 10}, {OpCode: ws.OpContinuation, Length: 6 << 10, Fin: true}} {
		f, err := readFrame(conn)
		if err != nil || f.Header != want {
			t.Fatalf("frame %d: %+v, %v; want %+v", i, f.Header, err, want)
		}
	}
}

func TestMessage_FailingFunction(t *testing.T) {
	c := config(functions{"fail": fails("x"), "default": answers(`null`),
		"slow": func(ctx context.Context, _ []byte) ([]byte, string, error) {
			<-ctx.Done()
			return nil, "", ctx.Err()
		}}, "fail", "slow", "gone", "$default")
	c.RouteSelectionExpression = "$request.body.type"
	c.IntegrationTimeout = 50 * time.Millisecond
	conn := dial(t, start(t, c))
	shape := regexp.MustCompile(`^\{"message": "Internal server error", "connectionId":"[\w-]{15}=", ` +
		`"requestId":"[\w-]{15}="\}$`)
	for _, kind := range []string{"fail", "slow", "gone"} {
		write(t, conn, `{"type":"ok"}`)
		write(t, conn, `{"type":"`+kind+`"}`)
		if got := read(t, conn); !shape.MatchString(got) {
			t.Errorf("%s: got %q", kind, got)
		}
	}
}

func TestMessage_Routes(t *testing.T) {
	keys := []string{"send", "7", "$default", "$connect"}
	received := make(chan []byte, 1)
	f := functions{}
	for _, key := range keys {
		f[strings.TrimPrefix(key, "$")] = forwards(received)
	}
	c := config(f, keys...)
	c.RouteSelectionExpression = "$request.body.type"
	g := start(t, c)
	conn := dial(t, g)
	receive(t, received)
	for body, want := range map[string]string{
		`{"type":"send"}`: "send", `{"type":7}`: "7", `{"type":"other"}`: "$default", `{"type":"$connect"}`: "$default",
		`{"type":["send"]}`: "$default", `{}`: "$default", `[]`: "$default", `no JSON`: "$default", `null`: "$default",
		``: "$default",
	} {
		write(t, conn, body)
		if e := receive(t, received); e.RequestContext.RouteKey != want || e.Body != body {
			t.Errorf("%s took the route %s with %q, want %s", body, e.RequestContext.RouteKey, e.Body, want)
		}
	}
	delete(c.Routes, "$default")
	conn = dial(t, start(t, c))
	receive(t, received)
	write(t, conn, `{"type":"other"}`)
	var refused struct{ Message, ConnectionID, RequestID string }
	if got := read(t, conn); json.Unmarshal([]byte(got), &refused) != nil || refused.Message != "Forbidden" ||
		refused.ConnectionID == "" || refused.RequestID == "" {
		t.Errorf("a message without a route: %q", got)
	}
	write(t, conn, `{"type":"send"}`)
	if e := receive(t, received); e.RequestContext.RouteKey != "send" {
		t.Errorf("after the Forbidden notice: %+v", e)
	}
}

func TestMessage_InFlightLimit(t *testing.T) {
	const most = 100
	var working atomic.Int64
	entered, others, release := make(chan struct{}, 2*most), make(chan []byte), make(chan struct{})
	g := start(t, config(functions{"default": func(ctx context.Context, event []byte) ([]byte, string, error) {
		if strings.Contains(string(event), `"other"`) {
			return forwards(others)(ctx, event)
		}
		working.Add(1)
		entered <- struct{}{}
		<-release
		return nil, "", nil
	}}, "$default"))
	conn := dial(t, g)
	for range most + 20 {
		write(t, conn, "x")
	}
	for range most {
		<-entered
	}
	// All frames have been sent. If the gateway let a 101st function start, it would be running by the time that
	// another socket has had 20 answers.
	other := dial(t, g)
	for range 20 {
		write(t, other, "other")
		receive(t, others)
	}
	if n := working.Load(); n != most {
		t.Errorf("%d functions run, want %d", n, most)
	}
	close(release)
	for range 20 {
		<-entered
	}
}

func TestIdleAndLife(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(*apigateway.Config)
		talking bool
	}{
		{"idle", func(c *apigateway.Config) { c.Idle = 50 * time.Millisecond }, false},
		{"active socket reaches its lifetime", func(c *apigateway.Config) { c.Life = 200 * time.Millisecond }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			disconnects := make(chan []byte, 1)
			c := config(functions{"default": answers(`{}`), "disconnect": forwards(disconnects)}, "$default",
				"$disconnect")
			test.change(&c)
			conn := dial(t, start(t, c))
			talk, quiet := context.WithCancel(t.Context())
			talked := make(chan struct{})
			go func() {
				defer close(talked)
				for test.talking && talk.Err() == nil && conn.Write(talk, websocket.MessageText, []byte("x")) == nil {
				}
			}()
			code, reason := readClose(t, conn)
			quiet()
			<-talked
			if code != websocket.StatusGoingAway || reason != "Going away" {
				t.Errorf("closed with %d %q", code, reason)
			}
			if e := receive(t, disconnects).RequestContext; e.DisconnectStatusCode != 1001 {
				t.Errorf("$disconnect received the code %d", e.DisconnectStatusCode)
			}
		})
	}
}
