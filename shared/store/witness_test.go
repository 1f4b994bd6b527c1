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

// startTime is the time limit for the server to start. Python reads many files when they are not cached.
const startTime = time.Minute

// TestMain starts moto's server, a second DynamoDB engine, if CARREL_MOTO names its program. All tests of the store
// then also run on it. make test-witness does this.
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

// witness is a running server of moto.
type witness struct {
	url  string
	proc *os.Process
	done chan error // receives the result of the process after its end
}

// startWitness starts the server on a port that the kernel chooses. It returns when the server has printed its address,
// so that it is listening.
func startWitness(program string) (*witness, error) {
	cmd := exec.Command(program, "--host", "127.0.0.1", "--port", "0")
	cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1", "NO_COLOR=1")
	cmd.SysProcAttr = dieWithParent()
	output, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out, out
	w := &witness{done: make(chan error, 1)}
	if err := w.run(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	if err := out.Close(); err != nil { // the child has its own copy
		return nil, err
	}
	listening := make(chan string, 1)
	go listen(output, listening)
	timer := time.NewTimer(startTime)
	defer timer.Stop()
	select {
	case w.url = <-listening:
	case <-timer.C:
	}
	if !strings.HasPrefix(w.url, "http://") {
		return nil, fmt.Errorf("%s does not listen: %v; its output: %s", program, w.stop(), w.url)
	}
	return w, nil
}

// run starts the child in a goroutine that waits for its end. The goroutine keeps its thread, because the kernel ends
// the child when the thread that started it ends.
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

// listen sends the address that the child prints, or its whole output if it ends without an address. It reads until the
// child ends, because a full pipe would block the child.
func listen(output io.ReadCloser, listening chan<- string) {
	defer output.Close()
	text, found := "", false
	for lines := bufio.NewScanner(output); !found && lines.Scan(); {
		text += lines.Text() + "\n"
		var url string
		if _, url, found = strings.Cut(lines.Text(), "Running on "); found {
			text = strings.TrimSpace(url)
		}
	}
	listening <- text
	if _, err := io.Copy(io.Discard, output); err != nil {
		fmt.Fprintln(os.Stderr, "read the output of the second witness:", err)
	}
}

// stop ends the child and waits for it.
func (w *witness) stop() error {
	if err := w.proc.Kill(); err != nil {
		return fmt.Errorf("end moto's server: %w", err)
	}
	<-w.done // always an error, because the process was killed
	return nil
}
