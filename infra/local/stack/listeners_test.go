package stack_test

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"carrel/infra/local/stack"
)

// A web page in a browser of this machine can send requests to every listener of the stack, so every listener must
// refuse them. The test takes the listeners from the kernel, so it also covers a listener that the code forgot.
func TestListeners_WebPage(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the list of listeners is read from /proc")
	}
	c := unchanged(t)
	write(t, filepath.Join(c.Root, "web", "dist", "index.html"), "<!doctype html><title>site</title>")
	r := start(t, c)
	conn, _ := r.dial(r.token("alice"))
	r.exchange(conn, "{}") // starts function processes
	all := listeners(t, os.Getpid())
	e := r.Endpoints()
	socket, err := url.Parse(e.WebSocket)
	if err != nil {
		t.Fatal(err)
	}
	for _, known := range []string{e.Page, e.WebSocket, e.Connections, e.Issuer, e.DynamoDB, e.STS, e.Lambda, e.Ops} {
		if u, err := url.Parse(known); err != nil || !slices.Contains(all, u.Host) {
			t.Errorf("%s is not among the listeners %v: %v", known, all, err)
		}
	}
	if len(all) != 5 {
		t.Errorf("the stack listens on %v, but docs/local.md lists five listeners", all)
	}
	for _, addr := range all {
		for _, path := range []string{"/", "/config.json", "/ops", "/ops.json", "/meters.json", "/issuer/token",
			socket.Path, socket.Path + "/@connections/x", "/2015-03-31/functions/x/invocations"} {
			r.checkGuard(addr, path)
		}
	}
	for _, child := range children(t) {
		for _, addr := range listeners(t, child) {
			if host, _, err := net.SplitHostPort(addr); err != nil || host == "127.0.0.1" ||
				!strings.HasPrefix(host, "127.") {
				t.Errorf("a process of the stack listens on %s, which has no guard and is not a hidden address: %v",
					addr, err)
			}
		}
	}
	if len(children(t)) < 2 {
		t.Error("the test checked neither the engine nor a function")
	}
}

// checkGuard sends a listener requests as a page of another site can send them, which it must refuse, and one as a
// program sends it, which it must not.
func (r *running) checkGuard(addr, path string) {
	r.Helper()
	_, port, _ := net.SplitHostPort(addr)
	for _, c := range []struct{ method, host, header, value string }{
		{"GET", "evil.example:" + port, "", ""},
		{"POST", "evil.example:" + port, "Origin", "http://evil.example:" + port},
		{"GET", addr, "Origin", "https://evil.example"},
		{"POST", addr, "Origin", "https://evil.example"},
		{"POST", addr, "Origin", "null"},
		{"OPTIONS", addr, "Origin", "https://evil.example"},
		{"POST", addr, "Origin", "http://127.0.0.1:1"},
		{"GET", addr, "Sec-Fetch-Site", "cross-site"},
		{"POST", addr, "Sec-Fetch-Site", "same-site"},
	} {
		if status, refused := r.request(addr, path, c.method, c.host, c.header, c.value); !refused {
			r.Errorf("%s http://%s%s with Host %s, %s %s: %d, not refused", c.method, addr, path, c.host, c.header,
				c.value, status)
		}
	}
	if status, refused := r.request(addr, path, "GET", addr, "", ""); refused {
		r.Errorf("GET http://%s%s of a program was refused: %d", addr, path, status)
	}
}

// request sends one request and reports whether the guard refused it.
func (r *running) request(addr, path, method, host, header, value string) (int, bool) {
	r.Helper()
	request, err := http.NewRequestWithContext(r.ctx, method, "http://"+addr+path, nil)
	if err != nil {
		r.Fatal(err)
	}
	request.Host = host
	if header != "" {
		request.Header.Set(header, value)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	start := make([]byte, len("Refused: "))
	n, _ := response.Body.Read(start)
	return response.StatusCode, response.StatusCode == http.StatusForbidden && string(start[:n]) == "Refused: "
}

// listeners returns the addresses on which a process listens, read from /proc.
func listeners(t *testing.T, pid int) (addresses []string) {
	t.Helper()
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	inodes := map[string]bool{}
	for _, fd := range open {
		if to, err := os.Readlink(fd); err == nil { // it may have been closed since
			inodes[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
		}
	}
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue // the process has ended, or there is no IPv6
		}
		for line := range strings.Lines(string(text)) {
			// number local remote state ... inode
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" && inodes[f[9]] {
				addresses = append(addresses, decoded(t, f[1]))
			}
		}
	}
	return addresses
}

// decoded parses an address of /proc/net/tcp: 0100007F:1F90 is 127.0.0.1:8080.
func decoded(t *testing.T, text string) string {
	t.Helper()
	host, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil {
		t.Fatal(text, err, portErr)
	}
	for i := 0; i+4 <= len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	return net.JoinHostPort(net.IP(raw).String(), strconv.FormatUint(n, 10))
}

// Sign-in navigates between sites: a page on localhost opens the issuer on 127.0.0.1, and an issuer redirects back to
// the page. The guard allows these navigations and no others.
func TestListeners_SignInNavigates(t *testing.T) {
	c := unchanged(t)
	write(t, filepath.Join(c.Root, "web", "dist", "index.html"), "<!doctype html><title>site</title>")
	r := start(t, c)
	page, _ := url.Parse(r.Endpoints().Page)
	for path, refused := range map[string]bool{"/": false, "/?code=1&state=2": false,
		"/issuer/authorize?client_id=x": false, "/issuer/end-session": false, "/ops": true, "/ops.json": true,
		"/issuer/keys": true, "/config.json": true} {
		request, err := http.NewRequestWithContext(r.ctx, http.MethodGet, "http://"+page.Host+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate",
			"Sec-Fetch-Dest": "document"} {
			request.Header.Set(name, value)
		}
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if (response.StatusCode == http.StatusForbidden) != refused {
			t.Errorf("a link of another site to %s: status %d, want it refused: %v", path, response.StatusCode, refused)
		}
	}
}

// The state folder holds users' messages and signing keys, so other users of this machine must not be able to read it.
func TestState_Private(t *testing.T) {
	c := unchanged(t)
	c.State = filepath.Join(t.TempDir(), "state")
	write(t, filepath.Join(c.State, "log"), "of an earlier version") // in a folder that everyone may read
	r := start(t, c)
	conn, _ := r.dial(r.token("alice"))
	r.exchange(conn, "{}")
	seen := map[string]bool{}
	err := filepath.WalkDir(c.State, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if seen[filepath.Base(path)] = true; info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: others have the permissions %v", path, info.Mode())
		}
		return nil
	})
	for _, name := range []string{"state", "log", "lock", "endpoints.json", "data", "dynamodb.sqlite",
		"issuer-keys.pem"} {
		if !seen[name] {
			t.Errorf("%s was not checked: %v (%v)", name, seen, err)
		}
	}
	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	c.State = open
	if s, err := stack.Start(t.Context(), c); err == nil ||
		!strings.Contains(err.Error(), "name a folder of its own") {
		t.Errorf("a state folder that everyone may write to: %v", err)
		if err == nil {
			_ = s.Close() // the test has failed already
		}
	}
}
