package main

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asMain makes the test binary the program itself.
const asMain = "CARREL_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program is the program in a copy of the stack's test site, in a process group of its own, as a shell starts it.
func program(t *testing.T, env []string, args ...string) (*exec.Cmd, string) {
	t.Helper()
	root := t.TempDir()
	dynamodb, err := filepath.Abs("dynamodb")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dynamodb, "node_modules", "@dynoxide")); err != nil &&
		os.Getenv("CARREL_REQUIRE_ALL") == "" {
		t.Skip("the stack cannot run here, there is no DynamoDB engine: ", err)
	}
	err = errors.Join(os.CopyFS(root, os.DirFS(filepath.Join("stack", "testdata", "site"))),
		os.MkdirAll(filepath.Join(root, "infra", "local"), 0o755),
		os.Symlink(dynamodb, filepath.Join(root, "infra", "local", "dynamodb")))
	for _, name := range []string{"go.mod", "go.sum"} {
		content, readErr := os.ReadFile(filepath.Join("..", "..", name))
		err = errors.Join(err, readErr, os.WriteFile(filepath.Join(root, name), content, 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), self, args...)
	command.Dir = root
	command.Env = append(append(os.Environ(), asMain+"=1", "PORT=0"), env...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.WaitDelay = 10 * time.Second
	return command, root
}

// Ctrl-C, twice, goes to the whole group as a terminal sends it: everything ends, nothing is left, the status is 0.
func TestCtrlC(t *testing.T) {
	command, root := program(t, nil)
	var told strings.Builder
	command.Stderr = &told
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "http://127.0.0.1:") ||
		strings.Count(lines.Text(), "http") != 1 {
		t.Fatalf("it printed %q, not one URL\n%s", lines.Text(), &told)
	}
	before := descendants(t, command.Process.Pid)
	if len(before) == 0 {
		t.Error("no process below it: the test looks at nothing")
	}
	for range 2 {
		if err := syscall.Kill(-command.Process.Pid, syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	if lines.Scan() {
		t.Errorf("it printed more: %q", lines.Text())
	}
	if err := command.Wait(); err != nil ||
		strings.TrimSpace(told.String()) != "building the functions (the first time takes longer)" {
		t.Errorf("it ended with %v\n%s", err, &told)
	}
	for _, pid := range before {
		if running(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	if _, err := os.Stat(filepath.Join(root, ".carrel", "endpoints.json")); !os.IsNotExist(err) {
		t.Error("endpoints.json is left:", err)
	}
}

// Ctrl-C in the middle of a build ends what make started, too.
func TestCtrlCWhileItBuilds(t *testing.T) {
	command, root := program(t, nil)
	// The build tells that it runs by opening a pipe, and then goes on for ever.
	pipe := filepath.Join(root, "building")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	makefile := "build-%:\n\t@echo building > building; tail -f /dev/null\n"
	if err := os.WriteFile(filepath.Join(root, "Makefile"), []byte(makefile), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(pipe); err != nil {
		t.Fatal(err)
	}
	before := descendants(t, command.Process.Pid)
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Error(err)
	}
	if len(before) < 3 { // the engine, make, its shell
		t.Errorf("only %v ran", before)
	}
	gone(t, before)
}

// kill -9 leaves no process, and the next start works with the same state.
func TestKilled(t *testing.T) {
	command, root := program(t, nil)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(out).Scan() {
		t.Fatal("it never printed its address")
	}
	before := descendants(t, command.Process.Pid)
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err == nil {
		t.Error("killed, it ended well")
	}
	gone(t, before)
	again, _ := program(t, []string{"STATE=" + filepath.Join(root, ".carrel")}, "--", "true")
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("the next start: %v\n%s", err, out)
	}
}

// gone waits until none of the processes is there: nothing tells when the system has ended them.
func gone(t *testing.T, pids []int) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	late := time.After(10 * time.Second)
	for _, pid := range pids {
		for running(pid) {
			select {
			case <-again.C:
			case <-late:
				t.Fatalf("process %d is left", pid)
			}
		}
	}
}

// running tells whether a process runs; one that has ended and that nobody has waited for does not.
func running(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && !strings.HasPrefix(string(text[strings.LastIndex(string(text), ")")+1:]), " Z")
}

// descendants lists the processes below one.
func descendants(t *testing.T, parent int) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
				continue // it has ended meanwhile
			}
			t.Fatal(err)
		}
		fields := strings.Fields(string(text[strings.LastIndex(string(text), ")")+1:])) // state ppid ...
		if fields[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				t.Fatal(err)
			}
			out = append(append(out, pid), descendants(t, pid)...)
		}
	}
	return out
}

// A command beside the stack finds it, and its status is the program's.
func TestBeside(t *testing.T) {
	command, root := program(t, []string{"STATE=elsewhere"}, "--", "sh", "-c", `cat "$CARREL_ENDPOINTS"; exit 7`)
	out, err := command.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 ||
		!strings.Contains(string(out), `"websocket": "ws://127.0.0.1:`) {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(root, "elsewhere", "data")); err != nil {
		t.Error(err)
	}
}

// What is wrong is told, with the status 1.
func TestWrongStart(t *testing.T) {
	for _, c := range []struct {
		env  []string
		args []string
		want string
	}{
		{[]string{"PORT=web"}, nil, `PORT must be a port from 0 to 65535, not "web"`},
		{[]string{"FRESH=perhaps"}, nil, `FRESH must be 1 or 0, not "perhaps"`},
		{[]string{"IDLE=soon"}, nil, `IDLE must be a time such as 30s or 10m, not "soon"`},
		{[]string{"LIFE=-1s"}, nil, `LIFE must be a time such as 30s or 10m, not "-1s"`},
		{[]string{"LOSE_DISCONNECT=often"}, nil, `LOSE_DISCONNECT must be 1 or 0, not "often"`},
		{[]string{"FAULTS=gone=often"}, nil, `FAULTS: gone must be a share from 0 to 1, not "often"`},
		{[]string{"FAULTS=rain=1"}, nil, `FAULTS: there is no fault "rain"; there are conflict, delay`},
		{[]string{"SEED=x"}, nil, `SEED must be a whole number, not "x"`},
		{nil, []string{"start"}, "no arguments but"},
		{[]string{"AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:1"}, nil,
			"table carrel-Book in the DynamoDB at http://127.0.0.1:1: asking for it"},
	} {
		command, _ := program(t, c.env, c.args...)
		out, err := command.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), c.want) {
			t.Errorf("%v %v: %v\n%s", c.env, c.args, err, out)
		}
	}
}
