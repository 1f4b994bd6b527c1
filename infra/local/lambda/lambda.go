// Package lambda is the Lambda host of the local stack. It runs the built functions as real processes behind Lambda's
// Runtime API and serves Lambda's Invoke API, both on one listener of the loopback interface.
//
// One process is one execution environment: it gets one invocation at a time, is stopped (SIGSTOP) between its answer
// and the next event, as Lambda freezes it, and is killed at its deadline. With tenant isolation it serves one tenant
// for its whole life. What is not imitated: streaming answers and extensions.
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

// Function is one function as the template says.
type Function struct {
	// Name is what Invoke names. It is unique within a host.
	Name string
	// Binary is the path of its bootstrap. A file that is in use must not be overwritten: build to another path or
	// rename over it, then call Replace.
	Binary string
	// Env holds the template's variables plus endpoints, Region and credentials. Nothing else of the host's own
	// environment reaches the process. AWS_ENDPOINT_URL_LAMBDA is this host unless it is set here.
	Env map[string]string
	// MemoryMB is the memory size in MiB; 0 means 128. It decides GOMAXPROCS, hints GOMEMLIMIT, and on Linux a process
	// that is seen above it (ten looks a second) is killed.
	MemoryMB int
	// Timeout bounds one invocation; 0 means 3 s.
	Timeout time.Duration
	// PerTenant gives each tenant environments of its own and refuses invokes without a tenant id.
	PerTenant bool
	// Concurrency is how many invocations run at once; 0 means 1,000. More are refused as throttled.
	Concurrency int
	// MaxRetries is how often an asynchronous invoke that failed is tried again. Lambda's default of 2 is the
	// template reader's to fill in: 0 means none.
	MaxRetries int
	// MaxEventAge is how long an asynchronous event may wait for its next try; 0 means 6 h.
	MaxEventAge time.Duration
	// OnFailure names the function that gets failure records; "" means none.
	OnFailure string
	// AllowRecursion is RecursiveLoop: Allow. Without it a chain of invokes that comes back to the function is stopped
	// when it has run 16 times in it: a call fails with RecursiveInvocationException, an event is given up.
	AllowRecursion bool
}

// Config says what a host runs and how.
type Config struct {
	// Addr is the address of the listener; "127.0.0.1:0" takes a free port.
	Addr      string
	Functions []Function
	// Log gets each line that a function writes to stdout or stderr, and what the host has to say of it. It is called
	// from several goroutines at once, in order for one environment, and must not call the host. nil drops them.
	Log func(function, line string)
	// RetryDelays are the waits before the tries of an asynchronous invoke after the first; the last one repeats.
	// Empty means 1 and 2 minutes.
	RetryDelays []time.Duration
	// Idle is how long an environment lives without an invocation; 0 means 1 minute.
	Idle            time.Duration
	Region, Account string
	// Allow decides about each call of the Invoke API, for the function with this ARN. A code other than "" refuses it; nil:
	// every call is allowed. It is called concurrently.
	Allow func(r *http.Request, payload []byte, function string) (code, message string)
	// Subject names what an invocation is about, from its payload, for At and Ran; nil: "". It is called concurrently.
	Subject func(payload []byte) string
	// Ran is told of each invocation that reached a process, at its end; nil: nobody is. It is called concurrently and must
	// not call the host.
	Ran func(Work)
	// Queue is a folder for asynchronous events, which then outlive the host: one that had not begun is delivered by the
	// next host, one that had is a failed try. "" keeps them in memory. Two hosts must not have one folder.
	Queue string
}

// ErrClosed is returned for invocations that the end of the host cut short or that come after it.
var ErrClosed = errors.New("the Lambda host is closed")

// Host runs functions. Its methods may be called concurrently.
type Host struct {
	config    Config
	functions map[string]*function
	queue     queue
	url       string
	addr      string
	server    *loopback.Server
	ctx       context.Context // ends when the host closes
	cancel    context.CancelFunc
	unwatch   func() bool

	mu           sync.RWMutex
	closed       bool
	faults       Faults
	environments map[string]*environment // by id; the id is the only key to an environment's Runtime API
	running      sync.WaitGroup
}

// Start listens and returns a host that starts environments when invocations ask for them. The end of ctx closes it.
// The error names the function and field that is wrong, or the address that cannot be listened on.
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
			return nil, fmt.Errorf("lambda: function %q stands twice in the configuration", f.Name)
		}
		h.functions[f.Name] = newFunction(h, f)
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	left, err := h.queue.load()
	if err != nil {
		return nil, fmt.Errorf("lambda: reading the events of an earlier run: %w", err)
	}
	listener, err := loopback.Listen(ctx, c.Addr)
	if err != nil {
		return nil, fmt.Errorf("lambda: listening: %w", err)
	}
	h.addr = listener.Addr()
	h.url = "http://" + h.addr
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.server = listener.Server(loopback.Config{Handler: h.routes(), Log: func(line string) { h.log("", "lambda: "+line) }})
	h.own(func() {
		if err := h.server.Serve(); err != nil {
			h.log("", fmt.Sprintf("lambda: serving ended: %v", err))
		}
	})
	h.own(h.watchMemory)
	h.resume(left)
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

// URL is the endpoint of the Lambda API, http://127.0.0.1:port: the value of AWS_ENDPOINT_URL_LAMBDA.
func (h *Host) URL() string { return h.url }

// Invoke runs a function and waits for its answer. functionError is "" when the function answered, else "Unhandled",
// with what Lambda reports as the response. err is an *Error when the invocation was refused (no such function, tenant
// isolation, too large, throttled), ErrClosed, or that of ctx; the end of ctx leaves the invocation running, as it does in Lambda.
func (h *Host) Invoke(ctx context.Context, function string, payload []byte) (response []byte, functionError string, err error) {
	f, err := h.admit(function, "", payload, maxSync)
	if err != nil {
		return nil, "", err
	}
	out := f.call(ctx, h.newInvocation(f, "", "", bytes.Clone(payload)))
	return out.payload, out.functionError, out.err
}

// InvokeAsync queues an event and returns; tenant is "" for a function without tenant isolation. The context bounds
// the queueing only. Events that are queued when the host closes are lost, unless there is a Queue. err is an *Error,
// ErrClosed, or that of writing to the Queue.
func (h *Host) InvokeAsync(ctx context.Context, function, tenant string, payload []byte) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("queueing an event for %s: %w", function, err)
	}
	f, err := h.admit(function, tenant, payload, maxAsync)
	if err != nil {
		return err
	}
	return h.spoil(f, h.newInvocation(f, tenant, "", bytes.Clone(payload)))
}

// Replace makes new environments of a function use another binary. Idle environments end now, busy ones after their
// answer. The binary may have the old path, if the file was renamed over.
func (h *Host) Replace(function, binary string) error {
	f, ok := h.functions[function]
	if !ok {
		return notFound(h.arn(function))
	}
	f.replace(binary)
	return nil
}

// Close stops everything and waits until no process and no goroutine of the host is left. It may be called twice.
func (h *Host) Close() error {
	h.unwatch()
	h.stop()
	h.running.Wait()
	if err := h.server.Close(); err != nil {
		return fmt.Errorf("lambda: closing the listener: %w", err)
	}
	return nil
}

// stop lets nothing new begin and tells everything to end; it does not wait.
func (h *Host) stop() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	for _, f := range h.functions {
		f.killAll()
	}
	_ = h.server.Close() // Close reports it: closing twice gives the same answer
}

// own runs a goroutine that Close waits for; false means that the host is closed and it did not begin.
func (h *Host) own(run func()) bool {
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

// newID returns a random id in the shape of Lambda's request ids.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
