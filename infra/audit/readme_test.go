package audit_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// What the front page tells a stranger to type, typed: make run, the address in a browser, make chat in a pipe, Ctrl-C.
func TestTheFrontPagesCommands(t *testing.T) {
	needEngine(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	state := t.TempDir()
	run := exec.CommandContext(ctx, "make", "-C", "../..", "--no-print-directory", "run")
	run.Env = append(os.Environ(), "PORT=0", "GATEWAY_PORT=0", "STATE="+state, "WATCH=0")
	run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	defer run.Wait()                                     // an interrupted make has no status of its own
	defer syscall.Kill(-run.Process.Pid, syscall.SIGINT) // Ctrl-C goes to the whole group
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("make run printed nothing")
	}
	page, _, _ := strings.Cut(lines.Text(), " ")
	answer, err := (&http.Client{Timeout: 10 * time.Second}).Get(page)
	if err != nil {
		t.Fatalf("it printed %q: %v", lines.Text(), err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("the page is %s, %v", answer.Status, err)
	}
	chat := exec.CommandContext(ctx, "make", "-C", "../..", "--no-print-directory", "chat", "AS=alice")
	chat.Env = append(os.Environ(), "CARREL_ENDPOINTS="+filepath.Join(state, "endpoints.json"))
	chat.Stdin = strings.NewReader("what is 12*(3+4)?\n")
	if said, err := chat.CombinedOutput(); err != nil || !strings.Contains(string(said), "12*(3+4) = 84") {
		t.Errorf("make chat said %q, %v", said, err)
	}
}

// Nothing of what was said is left in the log of a thread that was deleted.
func TestADeletedThreadIsErased(t *testing.T) {
	s := startWith(t, stack.Config{Minute: time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	alice := &person{name: "alice", secret: "secret-" + rand.Text()}
	thread, other := chat.ThreadID(chat.NewID(time.Now())), chat.ThreadID(chat.NewID(time.Now()))
	w := mustOpen(t, ctx, s.Endpoints(), alice, thread)
	w.asks(t, ctx, "/say "+alice.secret, alice.secret)
	kept := mustOpen(t, ctx, s.Endpoints(), alice, other)
	kept.asks(t, ctx, "/say kept "+alice.secret, "kept")
	if err := w.Delete(ctx, thread); err != nil {
		t.Fatal(err)
	}
	wait(t, ctx, w, "it is empty at once", func(st client.State) bool { return !says(st, agui.RoleAssistant, alice.secret) })
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		all, err := logs(ctx, s.Endpoints())
		if err != nil {
			t.Fatal(err)
		}
		if len(all[other]) == 0 {
			t.Fatal("the thread that was kept is gone")
		}
		if len(all[thread]) == 0 {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("%d events of the deleted thread are still there", len(all[thread]))
		}
	}
}
