package docs_test

import (
	"carrel/infra/testkit"

	"bufio"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The commands of the README work as a newcomer types them: make run, the address in a browser, make chat in a pipe,
// Ctrl-C.
func TestReadme_Commands(t *testing.T) {
	testkit.NeedEngine(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	state := t.TempDir()
	run := exec.CommandContext(ctx, "make", "-C", testkit.Path(t, "."), "--no-print-directory", "run")
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
		t.Fatalf("request the address that make run printed, %q: %v", lines.Text(), err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("the page is %s, %v", answer.Status, err)
	}
	chat := exec.CommandContext(ctx, "make", "-C", testkit.Path(t, "."), "--no-print-directory", "chat", "AS=alice")
	chat.Env = append(os.Environ(), "CARREL_ENDPOINTS="+filepath.Join(state, "endpoints.json"))
	chat.Stdin = strings.NewReader("what is 12*(3+4)?\n")
	if out, err := chat.CombinedOutput(); err != nil || !strings.Contains(string(out), "12*(3+4) = 84") {
		t.Errorf("make chat printed %q, %v", out, err)
	}
}
