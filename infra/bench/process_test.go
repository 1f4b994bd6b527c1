package bench_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ticksPerSecond is the unit of the processor times in /proc. It is 100 on every Linux system that Go supports.
const ticksPerSecond = 100

// process is a server under measurement, in a process of its own.
type process struct {
	pid   int
	lines *bufio.Reader // its standard output
	ask   io.Writer     // its standard input
}

// launch starts a server and stops it, with its children, when the test ends. Its log is kept in a file of its name.
func launch(t testing.TB, name string, command *exec.Cmd) *process {
	t.Helper()
	log, err := os.Create(filepath.Join(benchFolder(t), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	in, inErr := command.StdinPipe()
	out, outErr := command.StdoutPipe()
	if err := errors.Join(inErr, outErr, command.Start()); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	t.Cleanup(func() { stop(command, in, log) })
	return &process{command.Process.Pid, bufio.NewReader(out), in}
}

// stop ends a server: by the end of its input, by a signal, and after five seconds with its whole group.
func stop(command *exec.Cmd, in io.Closer, log io.Closer) {
	_ = in.Close()
	_ = command.Process.Signal(syscall.SIGTERM) // fails if it has ended
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = command.Wait() // returns the error that the signal ended it
	}()
	patience := time.NewTimer(5 * time.Second)
	defer patience.Stop()
	select {
	case <-ended:
	case <-patience.C:
	}
	_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) // fails if nothing of the group is left
	<-ended
	_ = log.Close()
}

// address decodes the line that a server prints first.
func (p *process) address(t testing.TB, into any) {
	t.Helper()
	line, err := p.lines.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, into)
	}
	if err != nil {
		t.Fatalf("read the server's addresses from %q: %v", line, err)
	}
}

// resident asks a Go server for its memory after a garbage collection, in bytes.
func (p *process) resident(t testing.TB) float64 {
	t.Helper()
	_, err := fmt.Fprintln(p.ask, "memory")
	line, readErr := p.lines.ReadString('\n')
	n, parseErr := strconv.Atoi(strings.TrimSpace(line))
	if err := errors.Join(err, readErr, parseErr); err != nil {
		t.Fatalf("ask the server for its memory: %v", err)
	}
	return float64(n)
}

// usage is processor time: of a server itself, of its children with these programs' names, and of all of it.
type usage struct {
	own, all time.Duration
	programs map[string]time.Duration
}

// used returns the processor time of a server and its descendants so far. The time of ended children counts for a
// program without a name.
func (p *process) used(t testing.TB) usage {
	t.Helper()
	u := usage{programs: map[string]time.Duration{}}
	all := processes(t)
	for pid, s := range all {
		if !within(all, pid, p.pid) {
			continue
		}
		u.all += s.own + s.ended
		u.programs[""] += s.ended
		if pid == p.pid {
			u.own = s.own
		} else {
			u.programs[s.program] += s.own
		}
	}
	return u
}

// since returns the processor time from an earlier usage on, for each of n operations.
func (u usage) since(before usage, n int) time.Duration {
	return (u.all - before.all) / time.Duration(n)
}

// stat is what /proc says of a process.
type stat struct {
	parent     int
	program    string
	own, ended time.Duration // processor time of the process, and of its children that have ended
}

// processes reads all processes of this machine.
func processes(t testing.TB) map[int]stat {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	all := map[int]stat{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// The name is in parentheses and may contain anything. After it: state, parent, and from the 12th field on the
		// times of the process in user and system mode, and those of its ended children.
		begin, end := strings.Index(string(text), "("), strings.LastIndex(string(text), ") ")
		fields := strings.Fields(string(text)[end+2:])
		number := func(i int) int {
			n, err := strconv.Atoi(fields[i])
			if err != nil {
				t.Fatalf("read %s: %v", file, err)
			}
			return n
		}
		ticks := func(n int) time.Duration { return time.Duration(n) * time.Second / ticksPerSecond }
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		all[pid] = stat{number(1), string(text)[begin+1 : end], ticks(number(11) + number(12)),
			ticks(number(13) + number(14))}
	}
	return all
}

// within reports whether a process is the root or one of its descendants.
func within(all map[int]stat, pid, root int) bool {
	for pid != root {
		p, known := all[pid]
		if !known || pid <= 1 {
			return false
		}
		pid = p.parent
	}
	return true
}

// benchFolder returns the folder for everything that a benchmark writes.
func benchFolder(t testing.TB) string {
	t.Helper()
	folder, err := filepath.Abs("../../.carrel/bench")
	if err == nil {
		err = os.MkdirAll(folder, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// compile builds a Go program of a folder and returns the binary.
func compile(t testing.TB, name, folder string) string {
	t.Helper()
	binary := filepath.Join(benchFolder(t), "bin", name)
	if err := goBuild(t, folder, binary); err != nil {
		t.Fatal(err)
	}
	return binary
}

// goBuild builds the program of a folder, which may be a module of its own.
func goBuild(t testing.TB, folder, binary string) error {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", binary, ".")
	command.Dir, command.Env = folder, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", folder, err, out)
	}
	return nil
}
