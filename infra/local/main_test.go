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

// asMain, if it is set in the environment, makes the test binary behave as the program itself.
const asMain = "CARREL_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program prepares a run of the program in a copy of the stack's test site. Like a shell, it gives it a process group.
func program(t *testing.T, env []string, args ...string) (*exec.Cmd, string) {
	t.Helper()
	root := t.TempDir()
	dynamodb, err := filepath.Abs("dynamodb")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dynamodb, "node_modules", "@dynoxide")); err != nil &&
		os.Getenv("CARREL_REQUIRE_ALL") == "" {
		t.Skip("no DynamoDB engine is installed: ", err)
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

// A terminal sends Ctrl-C to the whole process group. After two of them every process has exited, with status 0.
func TestProgram_CtrlC(t *testing.T) {
	command, root := program(t, nil)
	var stderr strings.Builder
	command.Stderr = &stderr
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
		t.Fatalf("printed %q, not one URL\n%s", lines.Text(), &stderr)
	}
	before := descendants(t, command.Process.Pid)
	if len(before) == 0 {
		t.Error("the program has no child process, so the test checks nothing")
	}
	for range 2 {
		if err := syscall.Kill(-command.Process.Pid, syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	if lines.Scan() {
		t.Errorf("printed a second line: %q", lines.Text())
	}
	if err := command.Wait(); err != nil ||
		strings.TrimSpace(stderr.String()) != "building the functions (the first build takes longer)" {
		t.Errorf("exited with %v\n%s", err, &stderr)
	}
	for _, pid := range before {
		if running(pid) {
			t.Errorf("process %d still runs", pid)
		}
	}
	if _, err := os.Stat(filepath.Join(root, ".carrel", "endpoints.json")); !os.IsNotExist(err) {
		t.Error("endpoints.json still exists:", err)
	}
}

// Ctrl-C during a build also ends the processes that make started.
func TestProgram_CtrlCDuringBuild(t *testing.T) {
	command, root := program(t, nil)
	// The build writes to a named pipe when it starts, and then blocks for ever.
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
		t.Errorf("only the processes %v ran", before)
	}
	awaitExit(t, before)
}

// After kill -9 no child process remains, and the next start works with the same state.
func TestProgram_Killed(t *testing.T) {
	command, root := program(t, nil)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(out).Scan() {
		t.Fatal("no address was printed")
	}
	before := descendants(t, command.Process.Pid)
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err == nil {
		t.Error("a killed program exited with status 0")
	}
	awaitExit(t, before)
	again, _ := program(t, []string{"STATE=" + filepath.Join(root, ".carrel")}, "--", "true")
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("the next start: %v\n%s", err, out)
	}
}

// awaitExit waits until all the processes have exited. It polls, because the kernel sends no notification.
func awaitExit(t *testing.T, pids []int) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(10 * time.Second)
	for _, pid := range pids {
		for running(pid) {
			select {
			case <-poll.C:
			case <-deadline:
				t.Fatalf("process %d still runs", pid)
			}
		}
	}
}

// running reports whether a process runs. A zombie, which has exited but has not been waited for, does not.
func running(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && !strings.HasPrefix(string(text[strings.LastIndex(string(text), ")")+1:]), " Z")
}

// descendants lists the processes below the given one.
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
				continue // the process has exited
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

// A command beside the stack can read the endpoints file, and the program exits with the command's status.
func TestProgram_Command(t *testing.T) {
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

// The program reports each configuration error and exits with status 1.
func TestProgram_InvalidConfig(t *testing.T) {
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
		{[]string{"FAULTS=gone=often"}, nil, `FAULTS: gone must be a probability from 0 to 1, not "often"`},
		{[]string{"FAULTS=rain=1"}, nil, `FAULTS: unknown fault "rain"; the faults are conflict, delay`},
		{[]string{"SEED=x"}, nil, `SEED must be a whole number, not "x"`},
		{nil, []string{"start"}, "the only arguments are"},
		{[]string{"AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:1"}, nil,
			"table carrel-Book in the DynamoDB at http://127.0.0.1:1: describe the table"},
	} {
		command, _ := program(t, c.env, c.args...)
		out, err := command.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), c.want) {
			t.Errorf("%v %v: %v\n%s", c.env, c.args, err, out)
		}
	}
}
