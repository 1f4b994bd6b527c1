// Package dynamodb runs the local stack's DynamoDB engine, dynoxide, as a child process that ends with its parent. npm
// installs its single static binary beside this file, with an exact version.
//
// The engine checks no signatures, and its responses let every web page read them. It can only listen on TCP. It
// therefore gets an address that cannot be guessed: a random one of the 16 million addresses of 127.0.0.0/8 with one of
// 40,000 ports. Only the caller of Start gets the address. A program on this machine can still find it in
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

// ErrNoEngine means that no engine is installed on this machine. Its message names the alternatives.
var ErrNoEngine = errors.New("no built-in DynamoDB engine: set AWS_ENDPOINT_URL_DYNAMODB to the address of another")

const (
	startTime = 10 * time.Second // limit for the first response, which usually takes some milliseconds
	stopTime  = 5 * time.Second  // limit for a clean exit, after which the child is killed
)

// Config describes the engine to start.
type Config struct {
	Root   string    // the module's root; "" means the nearest folder upward with a go.mod
	Path   string    // the SQLite file; "" means in memory
	Addr   string    // host:port; "" means a hidden address
	Stderr io.Writer // receives the child's output, without the line that holds its address; may be nil
}

// Engine is a running engine.
type Engine struct {
	url  string
	proc *os.Process
	once sync.Once
	done chan struct{} // closed when the child has been waited for
	err  error         // the child's exit error; valid after done
}

// Start starts the engine and returns when it answers. ctx bounds the startup only: the child lives until Close or
// until this process ends. Without an installed binary the error wraps ErrNoEngine.
func Start(ctx context.Context, c Config) (*Engine, error) {
	bin, err := binary(c.Root)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	// A random port may be taken on all addresses, so two more are tried.
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
	if err := e.awaitReady(ctx, out.seen); err != nil {
		return nil, errors.Join(fmt.Errorf("start the DynamoDB engine: %w", err), e.Close())
	}
	return e, nil
}

// run starts the child and a goroutine that waits for it, for which Close waits. The goroutine stays on its thread,
// because the kernel kills the child when the thread that started it ends.
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

// awaitReady waits until the child reports that it listens, and then until it answers a request.
func (e *Engine) awaitReady(ctx context.Context, listening <-chan struct{}) error {
	select {
	case <-listening:
	case <-e.done:
		return fmt.Errorf("the DynamoDB engine exited during startup: %w", e.exitError())
	case <-ctx.Done():
		return fmt.Errorf("the engine does not listen: %w", ctx.Err())
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
			return fmt.Errorf("the DynamoDB engine exited during startup: %w", e.exitError())
		case <-ctx.Done():
			return fmt.Errorf("the engine does not answer: %w", errors.Join(ctx.Err(), err))
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

// URL returns the engine's address, without a trailing slash.
func (e *Engine) URL() string { return e.url }

// Done is closed when the child has exited for any reason.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Close stops the child and waits for its end. It is idempotent and safe for concurrent use.
func (e *Engine) Close() error {
	var err error
	e.once.Do(func() { err = e.stop() })
	<-e.done
	return err
}

func (e *Engine) stop() error {
	if err := e.proc.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the DynamoDB engine: %w", err)
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

func (e *Engine) exitError() error {
	if e.err == nil {
		return errors.New("exit status 0")
	}
	return e.err
}

// binary returns the path of the engine that npm installed.
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
		return "", fmt.Errorf("find the DynamoDB engine: %w", err)
	}
	return path, nil
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the module's root: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("find the module's root: no go.mod here or above")
		}
		dir = up
	}
}

// hiddenAddr returns a random loopback address and port. Linux routes all of 127.0.0.0/8 to this machine.
func hiddenAddr() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	return fmt.Sprintf("127.%d.%d.%d:%d", b[0], b[1], 1+b[2]%254, 20000+(int(b[3])<<8|int(b[4]))%40000)
}
