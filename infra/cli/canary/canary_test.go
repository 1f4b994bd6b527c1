package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/infra/local/endpoints"
	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// canaryAt runs the command on the stack.
func canaryAt(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(t.Context(), args, world{getenv: func(string) string { return "" }, out: &o, err: &e})
	return status, o.String(), e.String()
}

// On a stack that isolates its users nothing leaks, and the report has a line for each type of frame.
func TestCanary(t *testing.T) {
	t.Attr("row", "E2: on a running stack, one user fails to reach another")
	limit := strconv.Itoa(chat.DefaultLimits().FrameBurst) // a deployment drops frames above it
	file := new(testkit.Kit).Start(t, stack.Config{Parameters: map[string]string{"FrameBurst": limit}}).EndpointsFile()
	began := time.Now()
	status, out, errs := canaryAt(t, "-endpoints", file)
	t.Logf("%v\n%s%s", time.Since(began).Round(time.Millisecond), out, errs)
	if status != statusClean || errs != "" {
		t.Errorf("exit status %d, %s", status, errs)
	}
	for _, typ := range wire.ClientTypes() {
		if len(attempts(typ, "", true)) == 0 ||
			!strings.Contains(out, string(typ)+strings.Repeat(" ", 9-len(typ))+"no leak (attempts: ") {
			t.Errorf("%s was not tried", typ)
		}
	}
	for _, line := range []string{"resume   no leak (attempts: 1)", "then     no leak (attempts: 1)"} {
		if !strings.Contains(out, line) {
			t.Errorf("the output lacks %q", line)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d types of frames from an attacker: %d leaks", len(wire.ClientTypes()),
		strings.Count(out, "LEAK")))
}

// leaky plants a leak: the function message keeps pages of history and watching connections by the thread's id alone,
// and a run posts to all connections that watch a thread of its id. The leak keeps its data in files, because two
// processes of message may run and the attacker may reach the other one.
func leaky(t *testing.T) (overlay string) {
	t.Helper()
	pages, watchers := t.TempDir()+"/", t.TempDir()+"/"
	const page = "&wire.HistoryPage{\n\t\tRequestID: r.id, ThreadID: t.ID, Epoch: t.Epoch, Messages: p.messages, " +
		"Runs: p.runs, More: p.before > 0,\n\t\tBefore: p.before,\n\t}"
	edits := map[string]map[string]string{
		"functions/message/history.go": {
			"\t\"context\"\n": "\t\"context\"\n\t\"encoding/json\"\n\t\"os\"\n",
			"\tt, err := r.rows.Thread()": fmt.Sprintf("\tkept := %q + string(f.ThreadID)\n", pages) +
				"\tif text, err := os.ReadFile(kept); err == nil {\n\t\tpage := &wire.HistoryPage{}\n" +
				"\t\terr = json.Unmarshal(text, page)\n\t\tpage.RequestID = r.id\n" +
				"\t\treturn errors.Join(err, r.answer(ctx, page))\n\t}\n\tt, err := r.rows.Thread()",
			"\treturn r.answer(ctx, " + page + ")": "\tpage := " + page + "\n\ttext, err := json.Marshal(page)\n" +
				"\treturn errors.Join(err, os.WriteFile(kept, text, 0o600), r.answer(ctx, page))",
		},
		"functions/message/connection.go": {
			"\t\"errors\"\n": "\t\"errors\"\n\t\"fmt\"\n\t\"os\"\n",
			"\t\tc, err := r.store.Watch(ctx, c)\n": "\t\tc, err := r.store.Watch(ctx, c)\n" +
				fmt.Sprintf("\t\tfile := fmt.Sprintf(%q, r.in.Connection)\n", watchers+"%x") +
				"\t\terr = errors.Join(err, os.WriteFile(file, []byte(thread), 0o600))\n",
		},
		"shared/lasthop/reader.go": {
			"\t\"fmt\"\n": "\t\"fmt\"\n\t\"os\"\n",
			"\tvar records []Record\n": fmt.Sprintf("\tkept, _ := os.ReadDir(%q)\n", watchers) +
				"\tfor _, k := range kept {\n\t\tvar id string\n\t\tfmt.Sscanf(k.Name(), \"%x\", &id)\n" +
				fmt.Sprintf("\t\tif thread, err := os.ReadFile(%q + k.Name()); err == nil {\n", watchers) +
				"\t\t\tlisted = append(listed, chat.Connection{\n\t\t\t\tID: chat.ConnectionID(id), " +
				"Owner: chat.OwnerHash(r.User.Hash()),\n\t\t\t\tThread: chat.ThreadID(thread), N: 1, " +
				"TokenExpires: readAt.Add(time.Hour),\n\t\t\t})\n\t\t}\n\t}\n\tvar records []Record\n",
		},
	}
	replace := map[string]string{}
	for file, changes := range edits {
		original, changed := filepath.Join(root(t), file), filepath.Join(t.TempDir(), filepath.Base(file))
		text, err := os.ReadFile(original)
		if err != nil {
			t.Fatal(err)
		}
		leak := string(text)
		for from, to := range changes {
			if strings.Count(leak, from) != 1 {
				t.Fatalf("%s has no one place with %q", file, from)
			}
			leak = strings.Replace(leak, from, to, 1)
		}
		if err := os.WriteFile(changed, []byte(leak), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[original] = changed
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	overlay = filepath.Join(t.TempDir(), "overlay.json")
	if err := errors.Join(err, os.WriteFile(overlay, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	return overlay
}

func root(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// On a stack with planted leaks the canary reports them, and its exit status is 1.
func TestCanary_PlantedLeak(t *testing.T) {
	t.Setenv("GOFLAGS", strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+leaky(t)))
	status, out, errs := canaryAt(t, "-endpoints", new(testkit.Kit).Start(t, stack.Config{}).EndpointsFile())
	t.Logf("%s%s", out, errs)
	if status != statusLeak {
		t.Errorf("exit status %d", status)
	}
	for _, leak := range []string{"history  LEAK: the victim's words leaked",
		"then     LEAK: the victim's words while the attacker watched leaked"} {
		if !strings.Contains(out, leak) {
			t.Errorf("the output lacks %q", leak)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d leaks found on a stack that keeps histories and watchers by thread id",
		strings.Count(out, "LEAK")))
	for line := range strings.Lines(out + errs) {
		if strings.Contains(line, "canary-") {
			t.Errorf("it shows leaked data: %s", line)
		}
	}
}

// A frame that API Gateway loses each time has no answer. The canary then fails, also if two such errors are equal.
// Messages between two attempts are searched as well.
func TestAsk_LostByAPIGateway(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{wire.Subprotocol}})
		if err != nil {
			t.Error(err)
			return
		}
		defer socket.CloseNow()
		for {
			_, frame, err := socket.Read(r.Context())
			if err != nil {
				return
			}
			lost := `{"message":"Internal server error"}`
			if bytes.Contains(frame, []byte(wire.TypePing)) {
				lost = `{"message":"Internal server error","of":"theirs"}`
			}
			if err := socket.Write(r.Context(), websocket.MessageText, []byte(lost)); err != nil {
				t.Error(err)
			}
		}
	}))
	defer server.Close()
	p, err := connect(t.Context(), "the attacker", server.URL, "token")
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	c := &canary{attacker: p, existing: newIDs(), absent: newIDs(), secrets: map[string]string{"theirs": "a word"},
		report: report{}}
	err = c.attempt(t.Context(), wire.TypePing, attempts(wire.TypePing, "", false)[0])
	if err == nil || !strings.Contains(err.Error(), "3 times") || len(c.report.of(wire.TypePing).leaks) != 1 {
		t.Errorf("%v, and found %v", err, c.report.leaks())
	}
	if _, err := p.ask(t.Context(), map[string]any{"type": wire.TypePing}); err == nil {
		t.Error("a frame that API Gateway lost counts as answered")
	}
	err = c.attempt(t.Context(), wire.TypeCancel, attempts(wire.TypeCancel, "", false)[0])
	if err == nil || len(c.report.of(wire.TypeCancel).leaks) != 1 {
		t.Errorf("a message between two attempts was not searched: %v, and found %v", err, c.report.leaks())
	}
}

// The canary reports the reason why it cannot run, and its exit status is 2.
func TestCanary_CannotRun(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "endpoints.json")
	for want, args := range map[string][]string{
		"make run":            {"-endpoints", missing},
		"TOKEN_A and TOKEN_B": {"-url", "wss://somewhere.invalid/v1"},
		"flag provided":       {"-nothing"},
		"with -url":           {"-endpoints", missing, "wss://somewhere.invalid/v1"},
	} {
		if status, _, errs := canaryAt(t, args...); status != statusNotRun || !strings.Contains(errs, want) {
			t.Errorf("%v: exit status %d, %q", args, status, errs)
		}
	}
	killed := filepath.Join(t.TempDir(), "endpoints.json")
	closed := "http://127.0.0.1:1"
	if err := (endpoints.Endpoints{WebSocket: "ws://127.0.0.1:1", Token: closed, DynamoDB: closed,
		Table: "x"}).Write(killed); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := canaryAt(t, "-endpoints", killed); status != statusNotRun ||
		!strings.Contains(errs, "start it with make run") {
		t.Errorf("of a stack that was killed: exit status %d, %q", status, errs)
	}
	var errs bytes.Buffer
	for want, tokens := range map[string][2]string{
		"both tokens are of one user": {"x.eyJzdWIiOiJhIn0.y", "x.eyJzdWIiOiJhIn0.z"},
		"cannot connect":              {"x.eyJzdWIiOiJhIn0.y", "x.eyJzdWIiOiJiIn0.y"},
	} {
		errs.Reset()
		variables := map[string]string{"TOKEN_A": tokens[0], "TOKEN_B": tokens[1]}
		getenv := func(name string) string { return variables[name] }
		status := run(t.Context(), []string{"-url", "ws://127.0.0.1:1/v1"},
			world{getenv: getenv, out: &errs, err: &errs})
		if status != statusNotRun || !strings.Contains(errs.String(), want) {
			t.Errorf("exit status %d, %q; want %q", status, errs.String(), want)
		}
	}
}
