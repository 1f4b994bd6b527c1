// Package dynamodb runs the local stack's DynamoDB engine: dynoxide, one static binary that npm installs beside this
// file by exact version, as a child process that ends with its parent.
//
// The engine checks no signature, and its answers allow every web page to read them. It can only listen on TCP, so it
// gets an address that cannot be guessed: one of the 16 million of 127.0.0.0/8 with one of 40,000 ports, at random. The
// address is told to whoever starts the engine and to nobody else. A program on this machine can still find it in
// /proc/net/tcp.
package dynamodb

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// ErrNoEngine says that this machine has no built-in engine; the message names the variable to set instead.
var ErrNoEngine = errors.New("no built-in DynamoDB engine: set AWS_ENDPOINT_URL_DYNAMODB to the address of another")

const (
	startTime = 10 * time.Second // to answer; it takes some milliseconds
	stopTime  = 5 * time.Second  // to end when asked; then it is killed
)

// Config says which engine to start.
type Config struct {
	Root   string    // of the module; "": the nearest folder upward that holds go.mod
	Path   string    // of the SQLite file; "": in memory
	Addr   string    // host:port; "": one that cannot be guessed
	Stderr io.Writer // takes all that the child says, but not its address; nil: nobody does
}

// Engine is one running child process.
type Engine struct {
	url  string
	proc *os.Process
	once sync.Once
	done chan struct{} // closed when the child has been waited for
	err  error         // how it ended; read after done
}

// Start starts the engine and returns when it answers. ctx bounds the start only: the child lives until Close, or until
// this process ends. On a machine without the binary the error is ErrNoEngine.
func Start(ctx context.Context, c Config) (*Engine, error) {
	bin, err := binary(c.Root)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	// A random port may be taken on all addresses: then another is tried.
	for attempt := 1; ; attempt++ {
		e, err := start(ctx, bin, c)
		if err == nil || c.Addr != "" || attempt == 3 || ctx.Err() != nil {
			return e, err
		}
	}
}

func start(ctx context.Context, bin string, c Config) (*Engine, error) {
	host, port, err := net.SplitHostPort(cmp.Or(c.Addr, hiddenAddr()))
	if err != nil {
		return nil, fmt.Errorf("start the DynamoDB engine: %w", err)
	}
	args := []string{"serve", "--host", host, "--port", port}
	if c.Path != "" {
		args = append(args, "--db-path", c.Path)
	}
	cmd := exec.Command(bin, args...)
	out := &listening{to: c.Stderr, seen: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = dieWithParent()
	e := &Engine{url: "http://" + net.JoinHostPort(host, port), done: make(chan struct{})}
	if err := e.run(cmd, out); err != nil {
		return nil, fmt.Errorf("start the DynamoDB engine: %w", err)
	}
	if err := e.await(ctx, out.seen); err != nil {
		return nil, errors.Join(fmt.Errorf("start the DynamoDB engine: %w", err), e.Close())
	}
	return e, nil
}

// run starts the child and leaves a goroutine waiting for it; Close waits for that goroutine. The goroutine keeps its
// thread, because the kernel ends the child with the thread that started it.
func (e *Engine) run(cmd *exec.Cmd, out *listening) error {
	started := make(chan error)
	go func() {
		defer close(e.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		e.proc = cmd.Process
		started <- err
		if err == nil {
			e.err = errors.Join(cmd.Wait(), out.flush())
		}
	}()
	return <-started
}

// await waits for the child to say that it has bound its port and then for its first answer.
func (e *Engine) await(ctx context.Context, listening <-chan struct{}) error {
	select {
	case <-listening:
	case <-e.done:
		return fmt.Errorf("it ended at once: %w", e.ended())
	case <-ctx.Done():
		return fmt.Errorf("it does not listen: %w", ctx.Err())
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	retry := time.NewTicker(5 * time.Millisecond)
	defer retry.Stop()
	for {
		err := answers(ctx, client, e.url)
		if err == nil {
			return nil
		}
		select {
		case <-retry.C:
		case <-e.done:
			return fmt.Errorf("it ended at once: %w", e.ended())
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", errors.Join(ctx.Err(), err))
		}
	}
}

func answers(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// URL is where the engine answers, without a slash at its end.
func (e *Engine) URL() string { return e.url }

// Done is closed when the child has ended, by Close or by itself.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Close ends the child and waits for it. It is idempotent and may be called by many at once.
func (e *Engine) Close() error {
	var err error
	e.once.Do(func() { err = e.stop() })
	<-e.done
	return err
}

func (e *Engine) stop() error {
	if err := e.proc.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end the DynamoDB engine: %w", err)
	}
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-e.done:
		return nil
	case <-timer.C:
	}
	if err := e.proc.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill the DynamoDB engine: %w", err)
	}
	return nil
}

func (e *Engine) ended() error {
	if e.err == nil {
		return errors.New("without an error")
	}
	return e.err
}

// binary is the path of the engine that npm installed.
func binary(root string) (string, error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "", fmt.Errorf("%w (this is %s/%s)", ErrNoEngine, runtime.GOOS, runtime.GOARCH)
	}
	if root == "" {
		var err error
		if root, err = moduleRoot(); err != nil {
			return "", err
		}
	}
	dir := filepath.Join(root, "infra", "local", "dynamodb")
	path := filepath.Join(dir, "node_modules", "@dynoxide", "linux-x64", "dynoxide")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%w, or run `npm ci` in infra/local/dynamodb", ErrNoEngine)
	} else if err != nil {
		return "", fmt.Errorf("look for the DynamoDB engine: %w", err)
	}
	return path, nil
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("look for the module's root: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("look for the module's root: no go.mod here or above")
		}
		dir = up
	}
}

// hiddenAddr is an address of this machine that cannot be guessed: Linux routes all of 127.0.0.0/8 to it.
func hiddenAddr() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("127.%d.%d.%d:%d", b[0], b[1], 1+b[2]%254, 20000+(int(b[3])<<8|int(b[4]))%40000)
}
