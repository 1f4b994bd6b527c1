package apigateway_test

import (
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/coder/websocket"

	"carrel/infra/local/apigateway"
)

// BenchmarkEcho measures a frame in, an event to the fake function, its signed post, and a frame out.
func BenchmarkEcho(b *testing.B) {
	var m *apigatewaymanagementapi.Client
	g := start(b, config(functions{"default": echo(&m)}, "$default"))
	m = management(g, "AKIA1")
	conn := dial(b, g)
	b.ReportAllocs()
	for b.Loop() {
		write(b, conn, `{"type":"ping"}`)
		read(b, conn)
	}
}

// BenchmarkFrame measures the gateway alone: a frame in and an error frame out, without a function or a post.
func BenchmarkFrame(b *testing.B) {
	conn := dial(b, start(b, config(functions{})))
	b.ReportAllocs()
	for b.Loop() {
		write(b, conn, `{"type":"ping"}`)
		read(b, conn)
	}
}

func BenchmarkPost(b *testing.B) {
	g, conn, id := connected(b, nil)
	go func() {
		for {
			if _, _, err := conn.Read(b.Context()); err != nil {
				return
			}
		}
	}()
	m := management(g, "AKIA1")
	b.ReportAllocs()
	for b.Loop() {
		if err := post(b, m, id, `{"type":"pong"}`); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkConnect(b *testing.B) {
	c := config(functions{"authorize": answers(allow), "connect": answers(`{"statusCode":200}`)}, "$connect")
	c.Authorizer = "authorize"
	g := start(b, c)
	for b.Loop() {
		conn, _, err := websocket.Dial(b.Context(), g.URL(), nil)
		if err != nil {
			b.Fatal(err)
		}
		conn.CloseNow()
	}
}

// BenchmarkIdle reports the heap and stack of an idle connection. Its clients are bare TCP connections in the same
// process, which add almost nothing.
func BenchmarkIdle(b *testing.B) {
	const connections = 1000
	c := config(functions{"authorize": answers(allow), "connect": answers(`{"statusCode":200}`)}, "$connect")
	c.Authorizer = "authorize"
	for b.Loop() {
		g, err := apigateway.Start(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		before := inUse()
		for range connections {
			conn := bareDial(b, g)
			defer conn.Close()
		}
		b.ReportMetric((inUse()-before)/connections, "B/conn")
		if err := g.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func inUse() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse + m.StackInuse)
}

// bareDial upgrades a TCP connection without a WebSocket library, so that the client has no buffers.
func bareDial(b *testing.B, g *apigateway.Gateway) net.Conn {
	b.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimSuffix(strings.TrimPrefix(g.URL(), "ws://"), "/v1"), patience)
	if err != nil {
		b.Fatal(err)
	}
	const request = "GET /v1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := conn.Write([]byte(request)); err != nil {
		b.Fatal(err)
	}
	var answer [512]byte
	n, err := conn.Read(answer[:])
	if err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 101 ") {
		b.Fatalf("response %q, %v", answer[:n], err)
	}
	return conn
}
