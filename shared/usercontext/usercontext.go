// Package usercontext holds the context of one run of one user: identity, ids, grants, limits, usage, and Close, the
// only place for clean-up. Each invocation creates a new Context. Engine, emitter, tool dispatcher and store are made
// from it and end with it. Its data about the user is immutable, and callers get copies. It holds no connection,
// because a run outlives the socket that requested it: events are posted to the connections of the user that watch the
// thread at that time.
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

// MaxRunTime is the longest time in which one invocation works on a run. The Lambda function has a time limit of 15
// minutes. A run that takes longer is handed over to another invocation.
const MaxRunTime = 14 * time.Minute

// ErrTimeLimit is the cancel cause of a run that has reached its time limit.
var ErrTimeLimit = errors.New("usercontext: the run has reached its time limit")

// Config is the input of New. User, Thread, Run and Request are required.
type Config struct {
	User    chat.User
	Thread  chat.ThreadID
	Run     chat.RunID
	Request string // the id of this invocation, for logs
	Grants  []string
	Limits  chat.Limits      // a limit of zero stands for its value in chat.DefaultLimits
	Now     func() time.Time // time.Now if nil
	Gauge   *Gauge           // the gauge of the process; nil counts nothing
	Memory  func() int64     // the memory of the process in bytes; its heap if nil
}

// Context is the user context of one run. It is safe for concurrent use.
type Context struct {
	user    chat.User
	thread  chat.ThreadID
	run     chat.RunID
	request string
	parent  string // the request id of the parent, or empty
	depth   int
	created time.Time
	grants  map[string]bool // never changed: children share it
	limits  chat.Limits
	now     func() time.Time
	gauge   *Gauge
	used    *account // shared with children

	ctx    context.Context
	cancel context.CancelCauseFunc
	stop   context.CancelFunc // ends the time limit; nil for a child, which has the limit of its parent

	mu        sync.Mutex
	phase     Phase
	closed    bool // Close has begun
	through   bool // Close has finished its steps
	children  []*Context
	next      int
	running   map[int]string // goroutines by number
	idle      chan struct{}  // closed when Close has begun and no goroutine runs
	callbacks []callback
	calling   int           // callbacks that have not returned
	done      chan struct{} // closed when Close returns
	err       error         // the result of Close, valid once done is closed
}

// New returns the context of one run. It ends when ctx ends, when Close is called, or at the run's time limit. The zero
// user is refused with chat.ErrNoUser. The caller must call Close.
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
		return nil, fmt.Errorf("make a user context: the time limit of a run is at most %v, not %v", MaxRunTime,
			limits.RunTime)
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

// begin creates the fields that a child does not share with its parent, and ends the initialization.
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
		Events: cmp.Or(l.Events, d.Events), Tokens: cmp.Or(l.Tokens, d.Tokens), OutputBytes: cmp.Or(l.OutputBytes,
			d.OutputBytes),
		RunBurst: cmp.Or(l.RunBurst, d.RunBurst), RunsPerHour: cmp.Or(l.RunsPerHour, d.RunsPerHour),
		DayTokens:  cmp.Or(l.DayTokens, d.DayTokens),
		FrameBurst: cmp.Or(l.FrameBurst, d.FrameBurst), FrameRate: cmp.Or(l.FrameRate, d.FrameRate),
		Attempts: cmp.Or(l.Attempts, d.Attempts), MemoryBytes: cmp.Or(l.MemoryBytes, d.MemoryBytes),
	}
}

// User returns the owner of the run.
func (c *Context) User() chat.User { return c.user }

// Thread returns the id of the thread that the run belongs to.
func (c *Context) Thread() chat.ThreadID { return c.thread }

// Run returns the id of the run.
func (c *Context) Run() chat.RunID { return c.run }

// Request returns the request id of the invocation, or of the child.
func (c *Context) Request() string { return c.request }

// Granted reports whether the user's token had this grant when the run was admitted. It is false for the empty grant.
func (c *Context) Granted(grant string) bool { return c.grants[grant] }

// Grants returns a sorted copy of the grants that the user has.
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

// Limits returns the limits of the run.
func (c *Context) Limits() chat.Limits { return c.limits }

// Count adds to the usage of the run, which all of its contexts share, and returns the sum.
func (c *Context) Count(more chat.RunStats) chat.RunStats { return c.used.count(more) }

// Created returns the time at which the context was created.
func (c *Context) Created() time.Time { return c.created }

// Now returns the time by the run's clock.
func (c *Context) Now() time.Time { return c.now() }

// Context returns the context.Context for the work of the run. context.Cause returns why it was cancelled: the cause
// given to Cancel, chat.ErrClosed after Close, ErrTimeLimit, ErrMemoryLimit, or the cause of the parent or of the
// context that was given to New.
func (c *Context) Context() context.Context { return c.ctx }

// Cancel stops the work of this context and of its children. Only the first cause is kept.
func (c *Context) Cancel(cause error) { c.cancel(cause) }
