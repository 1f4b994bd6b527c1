package loopback_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"carrel/infra/local/loopback"
)

// serve runs a server until the test ends. It responds with 204 to each request that passes the guard.
func serve(t *testing.T, c loopback.Config) (addr string) {
	t.Helper()
	l, err := loopback.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	s := l.Server(c)
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr()
}

// status sends a request's head unchanged and returns the status of the response.
func status(t *testing.T, addr, head string) int {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return roundTrip(t, conn, head)
}

func roundTrip(t *testing.T, conn net.Conn, head string) int {
	t.Helper()
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func TestGuard_Host(t *testing.T) {
	addr := serve(t, loopback.Config{})
	_, port, _ := net.SplitHostPort(addr)
	for host, want := range map[string]int{
		addr: 204, "localhost:" + port: 204, "LOCALHOST:" + port: 204, "127.0.0.1": 204, "localhost": 204,
		"localhost:8080": 204, // a forwarded port
		"":               403, "evil.example": 403, "evil.example:" + port: 403, "127.0.0.1.evil.example:" + port: 403,
		"localhost.evil.example":              403,
		"127.0.0.1:" + port + ".evil.example": 403, "127.1:" + port: 403, "2130706433:" + port: 403,
		"0.0.0.0:" + port: 403, "127.0.0.2:" + port: 403, "localhost.:" + port: 403,
		"evil.example@127.0.0.1:" + port: 400, "[::1]:" + port: 403, "127.0.0.1:1:1": 403,
	} {
		if got := status(t, addr, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); got != want {
			t.Errorf("Host %q: %d, want %d", host, got, want)
		}
	}
	if got := status(t, addr, "GET / HTTP/1.0\r\n\r\n"); got != 403 {
		t.Errorf("no Host: %d, want 403", got)
	}
	if got := status(t, addr, "GET http://evil.example/ HTTP/1.1\r\nHost: "+addr+"\r\n\r\n"); got != 403 {
		t.Errorf("a foreign host in the request line: %d, want 403", got)
	}
}

func TestGuard_OriginAndSite(t *testing.T) {
	addr := serve(t, loopback.Config{Origins: []string{"http://127.0.0.1:3000"},
		Opens: func(path string) bool { return path == "/signin" }})
	const navigation = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
	for _, c := range []struct {
		request, headers string
		want             int
	}{
		{"GET /", "", 204},
		{"POST /", "Origin: http://" + addr + "\r\n", 204},
		{"POST /", "Origin: http://127.0.0.1:3000\r\nSec-Fetch-Site: cross-site\r\n", 204},
		{"POST /", "Origin: http://127.0.0.1:3001\r\nSec-Fetch-Site: same-site\r\n", 403},
		{"POST /", "Origin: https://127.0.0.1:3000\r\n", 403},
		{"POST /", "Origin: http://127.0.0.1:3000.evil.example\r\n", 403},
		{"GET /", "Origin: https://evil.example\r\n", 403},
		{"OPTIONS /", "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n", 403},
		{"POST /", "Origin: null\r\nSec-Fetch-Site: same-origin\r\n", 403},
		{"POST /", "Origin: \r\n", 403},
		{"POST /", "Origin: http://127.0.0.1:3000\r\nOrigin: https://evil.example\r\n", 403},
		{"GET /", "Sec-Fetch-Site: none\r\n", 204},
		{"GET /", "Sec-Fetch-Site: same-origin\r\n", 204},
		{"GET /", "Sec-Fetch-Site: same-site\r\n", 403},
		{"GET /", "Sec-Fetch-Site: cross-site\r\n", 403},
		{"GET /", "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n", 403},
		{"GET /", "Sec-Fetch-Site: of-tomorrow\r\n", 403},
		{"GET /", "Sec-Fetch-Site: cross-site\r\n" + navigation, 403},
		{"GET /signin", "Sec-Fetch-Site: cross-site\r\n" + navigation, 204},
		{"GET /signin", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n", 403},
		{"GET /signin", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n", 403},
		{"POST /signin", "Sec-Fetch-Site: cross-site\r\n" + navigation, 403},
		{"GET /signin", "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n" + navigation, 403},
	} {
		if got := status(t, addr, c.request+" HTTP/1.1\r\nHost: "+addr+"\r\n"+c.headers+"\r\n"); got != c.want {
			t.Errorf("%s with %q: %d, want %d", c.request, c.headers, got, c.want)
		}
	}
}

func TestGuard_HeadSize(t *testing.T) {
	const limit = 10240
	addr := serve(t, loopback.Config{MaxHead: limit})
	head := func(size int) string {
		before, after := "GET / HTTP/1.1\r\nHost: "+addr+"\r\nX-Junk: ", "\r\n\r\n"
		return before + strings.Repeat("j", size-len(before)-len(after)) + after
	}
	for size, want := range map[int]int{limit - 1: 204, limit: 204, limit + 1: 431, 14000: 431, 14336: 431,
		20000: 431} {
		if got := status(t, addr, head(size)); got != want {
			t.Errorf("a head of %d bytes: %d, want %d", size, got, want)
		}
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		first, second := roundTrip(t, conn, head(100)), roundTrip(t, conn, head(size))
		if first != 204 || second != want {
			t.Errorf("a head of %d bytes in the second request of a connection: %d, then %d, want %d", size, first,
				second,
				want)
		}
		conn.Close()
	}
}

func TestGuard_Log(t *testing.T) {
	lines := make(chan string, 1)
	addr := serve(t, loopback.Config{Log: func(line string) { lines <- line }})
	status(t, addr, "GET /ops.json HTTP/1.1\r\nHost: evil.example\r\n\r\n")
	if got := <-lines; !strings.Contains(got, `GET "/ops.json"`) || !strings.Contains(got, `"evil.example"`) {
		t.Errorf("logged %q", got)
	}
}

func TestListen_OtherMachines(t *testing.T) {
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0", "localhost:0", "192.0.2.1:0", "nonsense"} {
		if l, err := loopback.Listen(t.Context(), addr); err == nil {
			t.Errorf("%s: listens on %s", addr, l.Addr())
		}
	}
	l, err := loopback.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}
