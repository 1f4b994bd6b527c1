package stack_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"carrel/infra/local/dynamodb"
	"carrel/infra/local/oidc"
	"carrel/infra/local/stack"
)

// The stack runs a whole template other than Carrel's: sign-in, sockets, functions, tables, schedules, pages, source
// changes, and the end.
func TestStack(t *testing.T) {
	root := site(t)
	write(t, filepath.Join(root, "web", "dist", "index.html"), "<!doctype html><title>site</title>")
	write(t, filepath.Join(root, "web", "dist", "assets", "app.js"), "export {}")
	r := start(t, stack.Config{Root: root, Watch: true, Minute: 50 * time.Millisecond})

	t.Run("endpoints", func(t *testing.T) {
		text, err := os.ReadFile(filepath.Join(root, ".carrel", "endpoints.json"))
		var got stack.Endpoints
		if err = errors.Join(err, json.Unmarshal(text, &got)); err != nil || got != r.Endpoints() {
			t.Errorf("%v: %s", err, text)
		}
	})
	t.Run("sockets", func(t *testing.T) {
		if _, status := r.dial("no-token"); status != 401 {
			t.Errorf("without a token: %d", status)
		}
		conn, status := r.dial(r.token("alice"))
		if status != 101 {
			t.Fatalf("with a token: %d", status)
		}
		for _, c := range []struct{ message, want string }{
			{`{"action": "other"}`, `you said $default {"action": "other"}`},
			{`{"action": "order"}`, `you said order {"action": "order"}`},
		} {
			if got := r.exchange(conn, c.message); got != c.want {
				t.Errorf("%s answered %s, want %s", c.message, got, c.want)
			}
		}
		r.awaitItem(`{"action": "order"}`)
	})
	t.Run("schedule", func(*testing.T) { r.awaitItem("aws.events") })
	t.Run("pages", func(t *testing.T) { r.pages() })
	t.Run("source changes", func(t *testing.T) { changes(t, r, root) })

	t.Run("close", func(t *testing.T) {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(r.EndpointsFile()); !errors.Is(err, fs.ErrNotExist) {
			t.Error("endpoints.json still exists:", err)
		}
		if left := children(t); len(left) > 0 {
			t.Error("processes still run:", left)
		}
	})
	t.Run("next start", func(t *testing.T) {
		again := start(t, stack.Config{Root: root})
		if !again.hasItem("aws.events") {
			t.Error("the data of the earlier run is missing")
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
		if fresh := start(t, stack.Config{Root: root, Fresh: true}); fresh.hasItem("aws.events") {
			t.Error("Fresh did not delete the data of the earlier run")
		}
	})
}

// pages checks the responses of the page server.
func (r *running) pages() {
	page := r.Endpoints().Page
	for _, c := range []struct {
		path, kind, cache, body string
		status                  int
	}{
		{"", "text/html; charset=utf-8", "no-cache", "<title>site</title>", 200},
		{"threads/one", "text/html; charset=utf-8", "no-cache", "<title>site</title>", 200},
		{"assets/app.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", "export {}", 200},
		{"assets/gone.js", "text/plain; charset=utf-8", "", "The file does not exist.", 404},
		{"..%2f..%2ftemplate.yaml", "text/plain; charset=utf-8", "", "The file does not exist.", 404},
		{"config.json", "application/json", "no-store", `"websocket":"` + r.Endpoints().WebSocket + `"`, 200},
		{"config.json", "application/json", "no-store", `"scope":"` + oidc.DefaultScope() + `"`, 200},
		{"ops", "text/html; charset=utf-8", "no-store", "ops.js", 200},
		{"ops.js", "text/javascript; charset=utf-8", "no-store", "ops.json", 200},
		{"ops.css", "text/css; charset=utf-8", "no-store", "color-scheme", 200},
		{"ops.json", "application/json", "no-store", "carrel-Later", 200},
		{"issuer/.well-known/openid-configuration", "application/json", "no-store", r.Endpoints().Issuer, 200},
	} {
		response, body := r.get(page + c.path)
		if response.StatusCode != c.status || response.Header.Get("Content-Type") != c.kind ||
			response.Header.Get("Cache-Control") != c.cache || !strings.Contains(body, c.body) {
			r.Errorf("%s: %d %v\n%s", c.path, response.StatusCode, response.Header, body)
		}
	}
	if _, body := r.get(page + "ops"); !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
		r.Error("the page /ops is truncated")
	}
}

// changes edits the source of a function while the stack runs.
func changes(t *testing.T, r *running, root string) {
	file := filepath.Join(root, "functions", "talk", "main.go")
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(string(source), `"you said"`, `"you now said"`, 1))
	r.awaitNotice("replaced Talk")
	if strings.Contains(r.notices.String(), "replaced Gate") {
		t.Error("an unchanged function was replaced")
	}
	conn, _ := r.dial(r.token("bob"))
	if got := r.exchange(conn, "{}"); got != "you now said $default {}" {
		t.Errorf("the changed function answered %s", got)
	}
	write(t, file, "package main\n\nfunc main() { oops }\n")
	r.awaitNotice("undefined: oops")
	if got := r.exchange(conn, "{}"); got != "you now said $default {}" {
		t.Errorf("after a failed build the function answered %s", got)
	}
	write(t, file, string(source))
}

func TestStart_StateInUse(t *testing.T) {
	state := t.TempDir()
	c := unchanged(t)
	c.State = state
	r := start(t, c)
	_, err := stack.Start(r.ctx, stack.Config{Root: site(t), State: state})
	if err == nil || !strings.Contains(err.Error(), "another stack runs") {
		t.Errorf("start a second stack with the same state: %v", err)
	}
	if _, err := os.Stat(filepath.Join(state, "endpoints.json")); err != nil {
		t.Error("the second stack removed the first one's endpoints:", err)
	}
}

// Stacks with separate states may share one builds folder at the same time.
func TestStart_SharedBuilds(t *testing.T) {
	root := site(t)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			s, err := stack.Start(t.Context(), stack.Config{Root: root, State: t.TempDir()})
			if errors.Is(err, dynamodb.ErrNoEngine) {
				return // the other tests report this
			}
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
}

// Wait returns an error when the DynamoDB engine dies.
func TestWait_EngineDies(t *testing.T) {
	r := start(t, unchanged(t))
	processes := children(t)
	if len(processes) != 1 {
		t.Fatal("the engine is not the only child process:", processes)
	}
	if err := syscall.Kill(processes[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(r.ctx); err == nil || !strings.Contains(err.Error(), "engine exited unexpectedly") {
		t.Error(err)
	}
}

func TestStart_PortsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	c := unchanged(t)
	c.Port, c.GatewayPort = port, port
	r := start(t, c)
	if n := strings.Count(r.notices.String(), "is not available"); n != 2 {
		t.Errorf("%d notices about taken ports, want 2:\n%s", n, r.notices)
	}
	if response, _ := r.get(r.Endpoints().Page + "config.json"); response.StatusCode != 200 {
		t.Error(response.Status)
	}
}

// A start that fails gives the reason and leaves no process running.
func TestStart_Errors(t *testing.T) {
	for _, c := range []struct {
		name, file, old, with, want string
	}{
		{"invalid template", "template.yaml", "rate(1 minute)", "rate(soon)", `"rate(soon)" is not supported locally`},
		{"compile error", "functions/later/main.go", "func main() {", "func main() { oops();", "undefined: oops"},
		{"no make target", "Makefile", "build-Later:", "build-Never:", "No rule to make target"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := site(t)
			file := filepath.Join(root, c.file)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			write(t, file, strings.Replace(string(text), c.old, c.with, 1))
			_, err = stack.Start(t.Context(), stack.Config{Root: root})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if left := children(t); len(left) > 0 {
				t.Error("processes still run:", left)
			}
		})
	}
}
