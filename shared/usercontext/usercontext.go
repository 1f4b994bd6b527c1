// Package usercontext is the context of one run of one user: identity, ids, grants, limits, figures, and the single
// clean-up entry. Each invocation builds a fresh one; engine, emitter, tool dispatcher and store are made from it and die
// with it. What it says of the user is immutable and copied in and out. It holds no connection: a run outlives the socket
// that asked for it, and its events go to whoever of its user watches the thread when they come.
package usercontext

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"carrel/shared/chat"
)

// MaxRunTime is the longest time limit of a run: the function that carries it lives 15 minutes.
const MaxRunTime = 14 * time.Minute

// ErrTimeLimit is the cancel cause of a run that has used up its time.
var ErrTimeLimit = errors.New("usercontext: the run's time is over")

// Config is what a user context is made from. User, Thread, Run and Request are required.
type Config struct {
	User    chat.User
	Thread  chat.ThreadID
	Run     chat.RunID
	Request string // of this invocation, for logs
	Grants  []string
	Limits  chat.Limits      // a limit of zero is the one of chat.DefaultLimits
	Now     func() time.Time // nil: time.Now
	Gauge   *Gauge           // of the process; nil: nobody counts
	Memory  func() int64     // bytes that the process holds; nil: its heap
}

// Context is one run's user context. All methods may be called concurrently.
type Context struct {
	user    chat.User
	thread  chat.ThreadID
	run     chat.RunID
	request string
	parent  string // the request of the context above
	depth   int
	created time.Time
	grants  map[string]bool // never changed: children share it
	limits  chat.Limits
	now     func() time.Time
	gauge   *Gauge
	used    *account // shared with children

	ctx    context.Context
	cancel context.CancelCauseFunc
	stop   context.CancelFunc // of the time limit; nil for a child, which has its parent's

	mu        sync.Mutex
	phase     Phase
	closed    bool // Close has begun
	through   bool // and is through
	children  []*Context
	next      int
	running   map[int]string // goroutines by number
	idle      chan struct{}  // closed when, after Close began, none runs
	callbacks []callback
	calling   int           // callbacks that have not returned
	done      chan struct{} // closed when Close is through
	err       error         // what Close returned; to be read after done
}

// New makes the context of one run. It ends when ctx does, when Close is called or at the run's time limit. A zero
// user is refused with chat.ErrNoUser. Who made it calls Close.
func New(ctx context.Context, c Config) (*Context, error) {
	if c.User.IsZero() {
		return nil, fmt.Errorf("make a user context: %w", chat.ErrNoUser)
	}
	if c.Thread == "" || c.Run == "" || c.Request == "" {
		return nil, fmt.Errorf("make a user context: thread, run and request are required, have %q, %q and %q",
			c.Thread, c.Run, c.Request)
	}
	limits := withDefaults(c.Limits)
	if limits.RunTime < 0 || limits.RunTime > MaxRunTime {
		return nil, fmt.Errorf("make a user context: a run's time limit is up to %v, not %v", MaxRunTime, limits.RunTime)
	}
	uc := &Context{
		user: c.User, thread: c.Thread, run: c.Run, request: c.Request,
		grants: make(map[string]bool, len(c.Grants)), limits: limits, now: c.Now,
		gauge: c.Gauge,
	}
	for _, g := range c.Grants {
		uc.grants[g] = g != ""
	}
	if uc.now == nil {
		uc.now = time.Now
	}
	limited, stop := context.WithTimeoutCause(ctx, limits.RunTime, ErrTimeLimit)
	uc.stop = stop
	uc.ctx, uc.cancel = context.WithCancelCause(limited)
	uc.used = newAccount(limits.MemoryBytes, c.Memory, uc.cancel)
	uc.begin()
	return uc, uc.Go("watch the memory", uc.used.watch)
}

// begin makes the part of a context that no two share, and ends its initialization.
func (c *Context) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.move(Initializing)
	c.created = c.now()
	c.running, c.idle, c.done = map[int]string{}, make(chan struct{}), make(chan struct{})
	c.move(Active)
}

func withDefaults(l chat.Limits) chat.Limits {
	d := chat.DefaultLimits()
	return chat.Limits{
		Runs: cmp.Or(l.Runs, d.Runs), Queued: cmp.Or(l.Queued, d.Queued),
		Connections: cmp.Or(l.Connections, d.Connections), RunTime: cmp.Or(l.RunTime, d.RunTime),
		ModelCalls: cmp.Or(l.ModelCalls, d.ModelCalls), ToolCalls: cmp.Or(l.ToolCalls, d.ToolCalls),
		Events: cmp.Or(l.Events, d.Events), OutputBytes: cmp.Or(l.OutputBytes, d.OutputBytes),
		RunBurst: cmp.Or(l.RunBurst, d.RunBurst), RunsPerHour: cmp.Or(l.RunsPerHour, d.RunsPerHour),
		FrameBurst: cmp.Or(l.FrameBurst, d.FrameBurst), FrameRate: cmp.Or(l.FrameRate, d.FrameRate),
		Attempts: cmp.Or(l.Attempts, d.Attempts), MemoryBytes: cmp.Or(l.MemoryBytes, d.MemoryBytes),
	}
}

// User is whose run it is.
func (c *Context) User() chat.User { return c.user }

// Thread is where the run belongs.
func (c *Context) Thread() chat.ThreadID { return c.thread }

// Run is the run.
func (c *Context) Run() chat.RunID { return c.run }

// Request names the invocation.
func (c *Context) Request() string { return c.request }

// Granted reports whether the user's token allowed grant when the run was admitted. The empty grant is never given.
func (c *Context) Granted(grant string) bool { return c.grants[grant] }

// Grants are those that are given, sorted: a copy.
func (c *Context) Grants() []string {
	given := make([]string, 0, len(c.grants))
	for g, ok := range c.grants {
		if ok {
			given = append(given, g)
		}
	}
	slices.Sort(given)
	return given
}

// Limits are the run's.
func (c *Context) Limits() chat.Limits { return c.limits }

// Count adds to what the run has used, all of its contexts together, and returns the sum.
func (c *Context) Count(more chat.RunStats) chat.RunStats { return c.used.count(more) }

// Created is when the context was made.
func (c *Context) Created() time.Time { return c.created }

// Now is the run's clock.
func (c *Context) Now() time.Time { return c.now() }

// Context is the context.Context of the run's work: cancelled by Cancel (its cause), Close (chat.ErrClosed), the run's
// limits (ErrTimeLimit, ErrMemoryLimit), its parent's and the context that New was given, which context.Cause tells apart.
func (c *Context) Context() context.Context { return c.ctx }

// Cancel stops the work of this context and its children for this cause; the first cause stands.
func (c *Context) Cancel(cause error) { c.cancel(cause) }
