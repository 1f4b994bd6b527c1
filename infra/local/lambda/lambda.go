// Package lambda is the Lambda host of the local stack. It runs the built functions as real processes behind Lambda's
// Runtime API and serves Lambda's Invoke API, both on one listener of the loopback interface.
//
// One process is one execution environment. It gets one invocation at a time. Like Lambda, the host freezes it
// (SIGSTOP) between its response and the next event, and kills it at its deadline. With tenant isolation it serves one
// tenant for its whole life. Response streaming and extensions are not implemented.
package lambda

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"carrel/infra/local/loopback"
)

// Function describes one function of the template.
type Function struct {
	// Name is the name for Invoke. It is unique within a host.
	Name string
	// Binary is the path of the bootstrap. A file in use must not be overwritten: build to another path or rename over
	// it, and then call Replace.
	Binary string
	// Env holds the template's variables, endpoints, Region and credentials. No other variable of the host's
	// environment reaches the process. AWS_ENDPOINT_URL_LAMBDA defaults to this host.
	Env map[string]string
	// MemoryMB is the memory size in MiB; 0 means 128. On Linux the host checks each process ten times a second and
	// kills it if it uses more.
	MemoryMB int
	// Timeout bounds one invocation; 0 means 3 s.
	Timeout time.Duration
	// PerTenant gives each tenant its own environments. Invocations without a tenant id are rejected.
	PerTenant bool
	// Concurrency is the maximum number of concurrent invocations; 0 means 1,000. Further ones are throttled.
	Concurrency int
	// MaxRetries is the number of retries of a failed asynchronous invocation. 0 means none; the reader of the template
	// sets Lambda's default of 2.
	MaxRetries int
	// MaxEventAge is how long an asynchronous event is retried; 0 means 6 h.
	MaxEventAge time.Duration
	// OnFailure names the function that receives failure records; "" means none.
	OnFailure string
	// AllowRecursion is RecursiveLoop: Allow. Otherwise a chain of invocations that returns to the function is stopped
	// after 16 runs of it: a call fails with RecursiveInvocationException, and an event is discarded as failed.
	AllowRecursion bool
}

// Config describes a host.
type Config struct {
	// Addr is the address of the listener; "127.0.0.1:0" means a free port.
	Addr      string
	Functions []Function
	// Log, if not nil, receives each line that a function writes to stdout or stderr, and the host's own messages. It
	// is called concurrently, but in order for one environment, and must not call the host.
	Log func(function, line string)
	// RetryDelays are the delays before the retries of an asynchronous invocation; the last one repeats. Empty means 1
	// and 2 minutes.
	RetryDelays []time.Duration
	// Idle is how long an environment without an invocation lives; 0 means 1 minute.
	Idle            time.Duration
	Region, Account string
	// Allow authorizes each call of the Invoke API, for the function with this ARN. It returns an error code, or "" to
	// allow the call. nil allows all. It is called concurrently.
	Allow func(r *http.Request, payload []byte, function string) (code, message string)
	// Subject returns what an invocation is about, from its payload, for Serving and Ran. nil returns "". It is called
	// concurrently.
	Subject func(payload []byte) string
	// Ran, if not nil, is called at the end of each invocation that reached a process. It is called concurrently and
	// must not call the host.
	Ran func(Work)
	// Queue is a folder that stores asynchronous events, so that they survive the host. The next host delivers an event
	// that had not started, and counts one that had started as a failed attempt. "" keeps events in memory. Two hosts
	// must not share a folder.
	Queue string
}

// ErrClosed is returned for invocations that were running when the host closed, and for later ones.
var ErrClosed = errors.New("the Lambda host is closed")

// Host runs functions. Its methods are safe for concurrent use.
type Host struct {
	config    Config
	functions map[string]*function
	queue     queue
	url       string
	addr      string
	server    *loopback.Server
	ctx       context.Context // cancelled when the host closes
	cancel    context.CancelFunc
	unwatch   func() bool

	mu           sync.RWMutex
	closed       bool
	faults       Faults
	environments map[string]*environment // by id; only the environment knows its id, the key to its Runtime API
	running      sync.WaitGroup
}

// Start starts a host. Environments start on demand. The end of ctx closes the host. An error names the function and
// the invalid field, or the address that is not available.
func Start(ctx context.Context, c Config) (*Host, error) {
	if len(c.RetryDelays) == 0 {
		c.RetryDelays = []time.Duration{time.Minute, 2 * time.Minute}
	}
	if c.Idle == 0 {
		c.Idle = time.Minute
	}
	h := &Host{config: c, functions: map[string]*function{}, environments: map[string]*environment{},
		queue: queue{c.Queue}}
	for _, f := range c.Functions {
		if _, twice := h.functions[f.Name]; twice {
			return nil, fmt.Errorf("lambda: function %q is configured twice", f.Name)
		}
		h.functions[f.Name] = newFunction(h, f)
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	leftover, err := h.queue.load()
	if err != nil {
		return nil, fmt.Errorf("lambda: read the events of an earlier run: %w", err)
	}
	listener, err := loopback.Listen(ctx, c.Addr)
	if err != nil {
		return nil, fmt.Errorf("lambda: listen: %w", err)
	}
	h.addr = listener.Addr()
	h.url = "http://" + h.addr
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.server = listener.Server(loopback.Config{Handler: h.routes(),
		Log: func(line string) { h.log("", "lambda: "+line) }})
	h.spawn(func() {
		if err := h.server.Serve(); err != nil {
			h.log("", fmt.Sprintf("lambda: serve: %v", err))
		}
	})
	h.spawn(h.watchMemory)
	h.resume(leftover)
	h.unwatch = context.AfterFunc(ctx, h.stop)
	return h, nil
}

func (h *Host) check() error {
	for name, f := range h.functions {
		switch {
		case name == "" || f.Binary == "":
			return fmt.Errorf("lambda: function %q needs a Name and a Binary", name)
		case f.Timeout < 0 || f.Concurrency < 0 || f.MaxRetries < 0 || f.MaxEventAge < 0 || f.MemoryMB < 0:
			return fmt.Errorf("lambda: function %q has a negative limit", name)
		case f.OnFailure == "":
		case h.functions[f.OnFailure] == nil:
			return fmt.Errorf("lambda: function %q names %q as OnFailure, which does not exist", name, f.OnFailure)
		case h.functions[f.OnFailure].PerTenant:
			return fmt.Errorf("lambda: function %q names %q as OnFailure, which needs a tenant id", name, f.OnFailure)
		}
	}
	return nil
}

// URL returns the endpoint of the Lambda API, http://127.0.0.1:port. It is the value for AWS_ENDPOINT_URL_LAMBDA.
func (h *Host) URL() string { return h.url }

// Invoke runs a function and waits for its response. If the function fails, functionError is "Unhandled" and response
// is Lambda's error; otherwise functionError is "". err is an *Error if the invocation is rejected (unknown function,
// tenant isolation, size, throttling), ErrClosed, or the error of ctx. As in Lambda, the end of ctx does not stop the
// invocation.
func (h *Host) Invoke(
	ctx context.Context, function string, payload []byte,
) (response []byte, functionError string, err error) {
	f, err := h.admit(function, "", payload, maxSync)
	if err != nil {
		return nil, "", err
	}
	out := f.call(ctx, h.newInvocation(f, "", "", bytes.Clone(payload)))
	return out.payload, out.functionError, out.err
}

// InvokeAsync queues an event. tenant is "" for a function without tenant isolation. ctx bounds the queueing only.
// Without Config.Queue, events that are queued when the host closes are lost. err is an *Error, ErrClosed, or an error
// from writing to the queue.
func (h *Host) InvokeAsync(ctx context.Context, function, tenant string, payload []byte) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("queue an event for %s: %w", function, err)
	}
	f, err := h.admit(function, tenant, payload, maxAsync)
	if err != nil {
		return err
	}
	return h.submit(f, h.newInvocation(f, tenant, "", bytes.Clone(payload)))
}

// Replace sets the binary for new environments of a function. Idle environments end now, busy ones after their
// response. The path may be the same as before, if the file was replaced by a rename.
func (h *Host) Replace(function, binary string) error {
	f, ok := h.functions[function]
	if !ok {
		return notFound(h.arn(function))
	}
	f.replace(binary)
	return nil
}

// Close stops everything and waits until no process and no goroutine of the host is left. It may be called more than
// once.
func (h *Host) Close() error {
	h.unwatch()
	h.stop()
	h.running.Wait()
	if err := h.server.Close(); err != nil {
		return fmt.Errorf("lambda: close the listener: %w", err)
	}
	return nil
}

// stop prevents new work and cancels everything that runs. It does not wait.
func (h *Host) stop() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	for _, f := range h.functions {
		f.killAll()
	}
	_ = h.server.Close() // Host.Close returns the error: closing twice gives the same one
}

// spawn starts a goroutine for which Close waits. It returns false if the host is closed.
func (h *Host) spawn(run func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.running.Go(run)
	return true
}

func (h *Host) log(function, line string) {
	if h.config.Log != nil {
		h.config.Log(function, line)
	}
}

func (h *Host) arn(function string) string {
	return "arn:aws:lambda:" + h.config.Region + ":" + h.config.Account + ":function:" + function
}

// newID returns a random id in the format of Lambda's request ids.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
