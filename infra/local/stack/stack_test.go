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
	"carrel/infra/local/stack"
)

// A template that is not Carrel's, run whole: sign-in, sockets, functions, tables, schedules, pages, changes, the end.
func TestStack(t *testing.T) {
	root := site(t)
	write(t, filepath.Join(root, "web", "dist", "index.html"), "<!doctype html><title>site</title>")
	write(t, filepath.Join(root, "web", "dist", "assets", "app.js"), "export {}")
	r := start(t, stack.Config{Root: root, Watch: true, Minute: 50 * time.Millisecond})

	t.Run("endpoints", func(t *testing.T) {
		text, err := os.ReadFile(filepath.Join(root, ".carrel", "endpoints.json"))
		var told stack.Endpoints
		if err = errors.Join(err, json.Unmarshal(text, &told)); err != nil || told != r.Endpoints() {
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
			if got := r.say(conn, c.message); got != c.want {
				t.Errorf("%s answered %s, want %s", c.message, got, c.want)
			}
		}
		r.await(`{"action": "order"}`)
	})
	t.Run("schedule", func(*testing.T) { r.await("aws.events") })
	t.Run("pages", func(t *testing.T) { r.pages() })
	t.Run("changes", func(t *testing.T) { changes(t, r, root) })

	t.Run("the end", func(t *testing.T) {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(r.EndpointsFile()); !errors.Is(err, fs.ErrNotExist) {
			t.Error("endpoints.json is left:", err)
		}
		if left := children(t); len(left) > 0 {
			t.Error("processes are left:", left)
		}
	})
	t.Run("the next run", func(t *testing.T) {
		again := start(t, stack.Config{Root: root})
		if !again.written("aws.events") {
			t.Error("the table forgot")
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
		if fresh := start(t, stack.Config{Root: root, Fresh: true}); fresh.written("aws.events") {
			t.Error("FRESH kept the table")
		}
	})
}

// pages asks for what the page server serves.
func (r *running) pages() {
	page := r.Endpoints().Page
	for _, c := range []struct {
		path, kind, cache, body string
		status                  int
	}{
		{"", "text/html; charset=utf-8", "no-cache", "<title>site</title>", 200},
		{"threads/one", "text/html; charset=utf-8", "no-cache", "<title>site</title>", 200},
		{"assets/app.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", "export {}", 200},
		{"assets/gone.js", "text/plain; charset=utf-8", "", "no such file", 404},
		{"..%2f..%2ftemplate.yaml", "text/plain; charset=utf-8", "", "no such file", 404},
		{"config.json", "application/json", "no-store", `"websocket":"` + r.Endpoints().WebSocket + `"`, 200},
		{"config.json", "application/json", "no-store", `"scope":"openid profile calculator clock notes ask"`, 200},
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
		r.Error("/ops breaks off")
	}
}

// changes edits a function while it runs.
func changes(t *testing.T, r *running, root string) {
	file := filepath.Join(root, "functions", "talk", "main.go")
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(string(source), `"you said"`, `"you now said"`, 1))
	r.told("replaced Talk")
	if strings.Contains(r.notices.String(), "replaced Gate") {
		t.Error("a function that did not change was replaced")
	}
	conn, _ := r.dial(r.token("bob"))
	if got := r.say(conn, "{}"); got != "you now said $default {}" {
		t.Errorf("the changed function answered %s", got)
	}
	write(t, file, "package main\n\nfunc main() { oops }\n")
	r.told("undefined: oops")
	if got := r.say(conn, "{}"); got != "you now said $default {}" {
		t.Errorf("after a failed build the function answered %s", got)
	}
	write(t, file, string(source))
}

func TestOneStackAState(t *testing.T) {
	state := t.TempDir()
	r := start(t, stack.Config{Root: site(t), State: state})
	_, err := stack.Start(r.ctx, stack.Config{Root: site(t), State: state})
	if err == nil || !strings.Contains(err.Error(), "another stack runs") {
		t.Errorf("a second one: %v", err)
	}
	if _, err := os.Stat(filepath.Join(state, "endpoints.json")); err != nil {
		t.Error("the second one took the first one's endpoints:", err)
	}
}

// Stacks with states of their own share one folder of builds, at the same time too.
func TestSharedBuilds(t *testing.T) {
	root := site(t)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			s, err := stack.Start(t.Context(), stack.Config{Root: root, State: t.TempDir()})
			if errors.Is(err, dynamodb.ErrNoEngine) {
				return // the other tests say so
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

// Without its engine the stack cannot work, and says so.
func TestEngineDies(t *testing.T) {
	r := start(t, stack.Config{Root: site(t)})
	processes := children(t)
	if len(processes) != 1 {
		t.Fatal("not the engine alone:", processes)
	}
	if err := syscall.Kill(processes[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(r.ctx); err == nil || !strings.Contains(err.Error(), "engine ended by itself") {
		t.Error(err)
	}
}

func TestTakenPorts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	r := start(t, stack.Config{Root: site(t), Port: port, GatewayPort: port})
	if n := strings.Count(r.notices.String(), "cannot be had"); n != 2 {
		t.Errorf("told of %d taken ports:\n%s", n, r.notices)
	}
	if response, _ := r.get(r.Endpoints().Page + "config.json"); response.StatusCode != 200 {
		t.Error(response.Status)
	}
}

// What cannot start says why, and leaves nothing behind.
func TestCannotStart(t *testing.T) {
	for _, c := range []struct {
		name, file, old, with, want string
	}{
		{"template", "template.yaml", "rate(1 minute)", "rate(soon)", `"rate(soon)" is not run locally`},
		{"build", "functions/later/main.go", "func main() {", "func main() { oops();", "undefined: oops"},
		{"no target", "Makefile", "build-Later:", "build-Never:", "No rule to make target"},
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
				t.Errorf("%v", err)
			}
			if left := children(t); len(left) > 0 {
				t.Error("processes are left:", left)
			}
		})
	}
}
