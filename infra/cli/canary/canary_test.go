package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/endpoints"
	"carrel/infra/local/stack"
	"carrel/infra/local/stack/stacktest"
	"carrel/shared/wire"
)

// canaryAt runs the command on the stack.
func canaryAt(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(t.Context(), args, world{getenv: func(string) string { return "" }, out: &o, err: &e})
	return status, o.String(), e.String()
}

// On a stack that keeps its users apart nothing comes through, and there is a line for each type of frame.
func TestCanary(t *testing.T) {
	file := stacktest.Start(t, stack.Config{Root: "../../.."}).EndpointsFile()
	began := time.Now()
	status, out, errs := canaryAt(t, "-endpoints", file)
	t.Logf("%v\n%s%s", time.Since(began).Round(time.Millisecond), out, errs)
	if status != statusClean || errs != "" {
		t.Errorf("exit status %d, %s", status, errs)
	}
	for _, typ := range wire.ClientTypes() {
		if len(attempts(typ, "", true)) == 0 || !strings.Contains(out, string(typ)+strings.Repeat(" ", 9-len(typ))+"nothing came through (tries: ") {
			t.Errorf("%s was not tried", typ)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d types of frames, one user trying to reach another: %d of them came through", len(wire.ClientTypes()), strings.Count(out, "LEAK")))
}

// leaky makes the function message keep, by the thread's name alone, the pages of history that it answers. It keeps them
// beside its processes: of those there may be two, and then the one who tries need not meet the one that knows something.
func leaky(t *testing.T) (overlay string) {
	t.Helper()
	file, err := filepath.Abs("../../../functions/message/history.go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	leak := string(text)
	page := "&wire.HistoryPage{\n\t\tRequestID: r.id, ThreadID: t.ID, Epoch: t.Epoch, Messages: messages, More: before > 0, Before: before,\n\t}"
	for from, to := range map[string]string{
		"\t\"context\"\n": "\t\"context\"\n\t\"encoding/json\"\n\t\"os\"\n",
		"\tt, err := r.store.Thread(ctx, f.ThreadID)": fmt.Sprintf("\tkept := %q + string(f.ThreadID)\n", t.TempDir()+"/") +
			"\tif text, err := os.ReadFile(kept); err == nil {\n\t\tpage := &wire.HistoryPage{}\n\t\terr = json.Unmarshal(text, page)\n" +
			"\t\tpage.RequestID = r.id\n\t\treturn errors.Join(err, r.answer(ctx, page))\n\t}\n\tt, err := r.store.Thread(ctx, f.ThreadID)",
		"\treturn r.answer(ctx, " + page + ")": "\tpage := " + page + "\n\ttext, err := json.Marshal(page)\n" +
			"\treturn errors.Join(err, os.WriteFile(kept, text, 0o600), r.answer(ctx, page))",
	} {
		if strings.Count(leak, from) != 1 {
			t.Fatalf("%s has no one place with %q", file, from)
		}
		leak = strings.Replace(leak, from, to, 1)
	}
	changed := filepath.Join(t.TempDir(), "history.go")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(t.TempDir(), "overlay.json")
	if err := errors.Join(os.WriteFile(changed, []byte(leak), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		t.Fatal(err)
	}
	return overlay
}

// On a stack whose function message keeps something of one user for the next, what the other said comes through, and the
// exit status says so.
func TestALeakIsNoticed(t *testing.T) {
	t.Setenv("GOFLAGS", strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+leaky(t)))
	status, out, errs := canaryAt(t, "-endpoints", stacktest.Start(t, stack.Config{Root: "../../.."}).EndpointsFile())
	t.Logf("%s%s", out, errs)
	if status != statusLeak || !strings.Contains(out, "history  LEAK: the other's words came through") {
		t.Errorf("exit status %d", status)
	}
	t.Attr("figure", fmt.Sprintf("%d leaks told of a function that keeps histories by name", strings.Count(out, "LEAK")))
	for line := range strings.Lines(out + errs) {
		if strings.Contains(line, "canary-") {
			t.Errorf("it shows what came through: %s", line)
		}
	}
}

// What keeps it from being run is said, and is not taken for a good sign.
func TestWhatKeepsItFromRunning(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "endpoints.json")
	for want, args := range map[string][]string{
		"make run":            {"-endpoints", missing},
		"TOKEN_A and TOKEN_B": {"-url", "wss://somewhere.invalid/v1"},
		"flag provided":       {"-nothing"},
		"named by -url":       {"-endpoints", missing, "wss://somewhere.invalid/v1"},
	} {
		if status, _, errs := canaryAt(t, args...); status != statusNotRun || !strings.Contains(errs, want) {
			t.Errorf("%v: exit status %d, %q", args, status, errs)
		}
	}
	killed := filepath.Join(t.TempDir(), "endpoints.json")
	nobody := "http://127.0.0.1:1"
	if err := (endpoints.Endpoints{WebSocket: "ws://127.0.0.1:1", Token: nobody, DynamoDB: nobody, Table: "x"}).Write(killed); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := canaryAt(t, "-endpoints", killed); status != statusNotRun || !strings.Contains(errs, "start it with make run") {
		t.Errorf("of a stack that was killed: exit status %d, %q", status, errs)
	}
	var errs bytes.Buffer
	for want, tokens := range map[string][2]string{
		"both tokens are of one user": {"x.eyJzdWIiOiJhIn0.y", "x.eyJzdWIiOiJhIn0.z"},
		"cannot connect":              {"x.eyJzdWIiOiJhIn0.y", "x.eyJzdWIiOiJiIn0.y"},
	} {
		errs.Reset()
		getenv := func(name string) string { return map[string]string{"TOKEN_A": tokens[0], "TOKEN_B": tokens[1]}[name] }
		status := run(t.Context(), []string{"-url", "ws://127.0.0.1:1/v1"}, world{getenv: getenv, out: &errs, err: &errs})
		if status != statusNotRun || !strings.Contains(errs.String(), want) {
			t.Errorf("exit status %d, %q; want %q", status, errs.String(), want)
		}
	}
}
