package store_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// startTime is how long the witness may take to listen: a cold Python reads many files.
const startTime = time.Minute

// TestMain starts the second witness, moto's server, if CARREL_MOTO names its program, and has all tests of the store run
// against it as well: make test-witness.
func TestMain(m *testing.M) {
	program := os.Getenv("CARREL_MOTO")
	if program == "" {
		os.Exit(m.Run())
	}
	w, err := startWitness(program)
	if err == nil {
		err = os.Setenv("AWS_ENDPOINT_URL_DYNAMODB", w.url)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the second witness:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := w.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "the second witness:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// witness is a running server of moto's.
type witness struct {
	url  string
	proc *os.Process
	done chan error // gets how the child ended, if it has started
}

// startWitness starts the server on a port that the kernel chooses, and returns when it says which that is: then it listens.
func startWitness(program string) (*witness, error) {
	cmd := exec.Command(program, "--host", "127.0.0.1", "--port", "0")
	cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1", "NO_COLOR=1")
	cmd.SysProcAttr = dieWithParent()
	said, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out, out
	w := &witness{done: make(chan error, 1)}
	if err := w.run(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	if err := out.Close(); err != nil { // the child has its own
		return nil, err
	}
	listening := make(chan string, 1)
	go listen(said, listening)
	timer := time.NewTimer(startTime)
	defer timer.Stop()
	select {
	case w.url = <-listening:
	case <-timer.C:
	}
	if !strings.HasPrefix(w.url, "http://") {
		return nil, fmt.Errorf("%s does not listen: %v; it said: %s", program, w.stop(), w.url)
	}
	return w, nil
}

// run starts the child and leaves a goroutine waiting for it, whose thread it keeps: the kernel ends the child with the
// thread that started it.
func (w *witness) run(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		w.proc = cmd.Process
		started <- err
		if err == nil {
			w.done <- cmd.Wait()
		}
	}()
	return <-started
}

// listen sends the address that the child says it listens on, or, if it ends without, all that it said. It reads until the
// child ends: a pipe that nobody reads would stop it.
func listen(said io.ReadCloser, listening chan<- string) {
	defer said.Close()
	text, found := "", false
	for lines := bufio.NewScanner(said); !found && lines.Scan(); {
		text += lines.Text() + "\n"
		var url string
		if _, url, found = strings.Cut(lines.Text(), "Running on "); found {
			text = strings.TrimSpace(url)
		}
	}
	listening <- text
	if _, err := io.Copy(io.Discard, said); err != nil {
		fmt.Fprintln(os.Stderr, "reading what the second witness says:", err)
	}
}

// stop ends the child and waits for it.
func (w *witness) stop() error {
	if err := w.proc.Kill(); err != nil {
		return fmt.Errorf("end moto's server: %w", err)
	}
	<-w.done // it was killed, and says so
	return nil
}
