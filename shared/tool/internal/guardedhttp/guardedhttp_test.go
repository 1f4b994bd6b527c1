package guardedhttp

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// get sends a request and returns the body of the response.
func get(t *testing.T, c *http.Client, address string, header http.Header) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	resp, err := c.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// Only addresses of the public internet are dialled, in whatever form they are written.
func TestControl_Addresses(t *testing.T) {
	t.Attr("row", "D4: a request that a model chooses reaches public addresses only")
	refused := []string{
		"127.0.0.1", "127.8.9.10", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
		"169.254.169.254", "169.254.170.2", "100.64.0.1", "100.127.255.255", "224.0.0.1", "239.255.255.250",
		"240.0.0.1", "255.255.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
		"::", "::1", "::127.0.0.1", "fe80::1", "fe80::1%lo",
		"fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:100.64.0.1", "::ffff:169.254.169.254", "64:ff9b::127.0.0.1",
		"64:ff9b::a9fe:a9fe",
		"64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:7f00:1::", "2001:db8::1", "2001::1", "3fff::1",
	}
	for _, address := range refused {
		err := (Config{}).control(t.Context(), "tcp6", net.JoinHostPort(address, "443"), nil)
		if !errors.Is(err, ErrRefused) || strings.Contains(err.Error(), "cannot parse") {
			t.Errorf("%s: %v, want a refusal", address, err)
		}
	}
	for _, address := range []string{
		"93.184.215.14", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8",
		"64:ff9b::8.8.8.8",
	} {
		if err := (Config{}).control(t.Context(), "tcp4", net.JoinHostPort(address, "443"), nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	runtime := Config{RuntimePort: 9001, Loopback: true}
	for address, ok := range map[string]bool{
		"127.0.0.1:9001": false, "[::1]:9001": false, "8.8.8.8:9001": false, "127.0.0.1:9002": true,
		"10.0.0.1:443": false, "[::ffff:127.0.0.1]:80": true, "8.8.8.8:443": true, "nothing": false,
	} {
		if err := runtime.control(t.Context(), "tcp4", address, nil); (err == nil) != ok {
			t.Errorf("%s beside the runtime on port 9001: %v", address, err)
		}
	}
	socket := filepath.Join(t.TempDir(), "socket")
	if err := (Config{}).control(t.Context(), "unix", socket, nil); !errors.Is(err, ErrRefused) {
		t.Errorf("a unix socket: %v", err)
	}
	t.Attr("figure", fmt.Sprintf("%d addresses refused", len(refused)))
}

// resolver returns a resolver that answers the question for any name with the next of these addresses, and then again
// with the last.
func resolver(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-ended })
	go func() {
		defer close(ended)
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			answer, asked := respond(buffer[:n], addresses[0])
			if asked && len(addresses) > 1 {
				addresses = addresses[1:]
			}
			if _, err := conn.WriteTo(answer, from); err != nil {
				return
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp4", conn.LocalAddr().String())
	}}
}

// respond makes the answer to a DNS query. asked reports whether it has the address, which is one of IPv4.
func respond(query []byte, address string) (answer []byte, asked bool) {
	end := 12
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	asked = binary.BigEndian.Uint16(query[end+1:]) == 1
	answer = append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, query[12:end+5]...)
	if asked {
		ip := netip.MustParseAddr(address).As4()
		answer[7] = 1
		answer = append(answer, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ip[0], ip[1], ip[2], ip[3])
	}
	return answer, asked
}

// A name that resolves to a private address is refused when it is dialled: at once, and also if it resolved to a public
// address before. The server sees no connection.
func TestNew_Rebinding(t *testing.T) {
	t.Attr("row", "D4: a name that resolves to a private address is refused when it is dialled")
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.StartTLS()
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port
	for _, addresses := range [][]string{
		{"127.0.0.1"}, {"192.0.2.1", "127.0.0.1"}, {"10.0.0.1"}, {"169.254.169.254"},
	} {
		c := New(Config{resolver: resolver(t, addresses...)})
		for range addresses {
			_, err := get(t, c, fmt.Sprintf("https://rebind.example:%d/", port), nil)
			if !errors.Is(err, ErrRefused) {
				t.Errorf("a name that resolves to %s: %v, want a refusal", addresses, err)
			}
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("the server saw %d connections", n)
	}
	t.Attr("figure", fmt.Sprintf("%d connections to a private address", connections.Load()))
}

// Without the switch for a developer's machine, an address is https and public. Credentials in it are refused.
func TestNew_RefusedAddresses(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	port := strconv.Itoa(server.Listener.Addr().(*net.TCPAddr).Port)
	for _, address := range []string{
		server.URL, "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "https:///nothing",
		"https://name:secret@example.com/", "https://127.0.0.1:" + port, "https://2130706433/", "https://0x7f.1/",
		"https://[::ffff:127.0.0.1]/", "https://localhost:" + port,
	} {
		if _, err := get(t, New(Config{}), address, nil); err == nil {
			t.Errorf("%s was requested", address)
		}
	}
	t.Setenv("HTTPS_PROXY", server.URL)
	proxied := New(Config{resolver: resolver(t, "10.0.0.1")})
	if _, err := get(t, proxied, "https://p.example/", nil); err == nil ||
		!strings.Contains(err.Error(), "10.0.0.1") {
		t.Errorf("with a proxy in the environment: %v", err)
	}
}

// trusting returns a client for servers on this machine, which trusts any certificate.
func trusting() *http.Client {
	c := New(Config{Loopback: true})
	c.Transport.(*transport).next.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	return c
}

// At most three redirects are followed, and none leads to an address that may not be requested itself.
func TestNew_Redirects(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if left, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/")); err == nil && left > 0 {
			http.Redirect(w, r, fmt.Sprintf("/%d", left-1), http.StatusFound)
			return
		}
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
			return
		}
		fmt.Fprint(w, "done")
	}))
	defer server.Close()
	for n, want := range map[int]string{0: "done", 3: "done", 4: "more than 3 redirects"} {
		got, err := get(t, trusting(), fmt.Sprintf("%s/%d", server.URL, n), nil)
		if text := fmt.Sprint(got, err); !strings.Contains(text, want) {
			t.Errorf("%d redirects: %s, want %s", n, text, want)
		}
	}
	for _, to := range []string{
		"http://169.254.169.254/latest/meta-data/", "https://169.254.169.254/", "https://10.0.0.1/",
		"http://example.com/", "file:///etc/passwd", "https://[fd00:ec2::254]/", "https://u:p@127.0.0.1/",
		"gopher://127.0.0.1/",
	} {
		got, err := get(t, trusting(), server.URL+"/?to="+url.QueryEscape(to), nil)
		if !errors.Is(err, ErrRefused) {
			t.Errorf("a redirect to %s: %s, %v; want a refusal", to, got, err)
		}
	}
}

// A redirect to another origin gets no credentials, under whatever name they are sent, and no body.
func TestNew_RedirectedCredentials(t *testing.T) {
	t.Attr("row", "D4: a redirect to another origin carries no credentials")
	t.Attr("figure", "redirects of a GET and of a POST, to the same and to another origin")
	var seen http.Header
	other := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header }))
	defer other.Close()
	first := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/back" {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
			return
		}
		seen = r.Header
		if r.URL.Path == "/same" {
			http.Redirect(w, r, "/end", http.StatusTemporaryRedirect)
		}
	}))
	defer first.Close()
	header := func() http.Header {
		return http.Header{"Authorization": {"Bearer s3cret"}, "X-Api-Key": {"s3cret"}, "Cookie": {"s=s3cret"},
			"Accept": {"text/html"}}
	}
	if _, err := get(t, trusting(), first.URL+"/back?code=s3cret", header()); err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(seen); strings.Contains(text, "s3cret") || seen.Get("Accept") != "text/html" {
		t.Errorf("the other origin received %s", text)
	}
	if _, err := get(t, trusting(), first.URL+"/same", header()); err != nil {
		t.Fatal(err)
	}
	if seen.Get("X-Api-Key") != "s3cret" {
		t.Errorf("the same origin received %v", seen)
	}
	seen = nil
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, first.URL+"/back", strings.NewReader("code=s3cret"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := trusting().Do(r)
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, ErrRefused) || seen != nil {
		t.Errorf("a body that is redirected to another origin: %v, the origin received %v", err, seen)
	}
}
