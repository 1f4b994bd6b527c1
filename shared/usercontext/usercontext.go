// Package usercontext is the context of one run of one user: identity, ids, grants, limits, and the single clean-up
// entry. Each invocation builds a fresh one; engine, emitter, tool dispatcher and store are made from it and die with
// it. What it holds is immutable and copied in and out.
package usercontext

import (
	"context"
	"time"

	"carrel/shared/chat"
)

// Config is what a user context is made from. User, Thread, Run and Request are required.
type Config struct {
	User    chat.User
	Thread  chat.ThreadID
	Run     chat.RunID
	Request string // of this invocation, for logs
	Grants  []string
	Limits  chat.Limits
	Now     func() time.Time // nil: time.Now
}

// Context is one run's user context.
type Context struct{}

// New makes the context of one run. It ends when ctx does, when Close is called or at the run's time limit. A zero
// user is refused with chat.ErrNoUser.
func New(ctx context.Context, c Config) (*Context, error) { panic("not built") }

// User is whose run it is.
func (c *Context) User() chat.User { panic("not built") }

// Thread is where the run belongs.
func (c *Context) Thread() chat.ThreadID { panic("not built") }

// Run is the run.
func (c *Context) Run() chat.RunID { panic("not built") }

// Request names the invocation.
func (c *Context) Request() string { panic("not built") }

// Granted reports whether the user's token allowed grant when the run was admitted. The empty grant is never given.
func (c *Context) Granted(grant string) bool { panic("not built") }

// Limits are the run's.
func (c *Context) Limits() chat.Limits { panic("not built") }

// Now is the run's clock.
func (c *Context) Now() time.Time { panic("not built") }

// Context is the context.Context of the run's work: cancelled by Cancel, Close and the run's time limit, which
// context.Cause tells apart.
func (c *Context) Context() context.Context { panic("not built") }

// Cancel stops the run's work for this cause; the first cause stands.
func (c *Context) Cancel(cause error) { panic("not built") }

// Go starts f in a goroutine that Close waits for. f must return when its context ends; a panic in it becomes the
// context's cancel cause. After Close it returns chat.ErrClosed and starts nothing.
func (c *Context) Go(name string, f func(context.Context)) error { panic("not built") }

// OnClose has f called once by Close, in reverse order of registration, with a deadline of its own. After Close it
// returns chat.ErrClosed.
func (c *Context) OnClose(name string, f func(context.Context) error) error { panic("not built") }

// Close is the single clean-up entry: it cancels the run's work, waits for the goroutines, calls what OnClose
// registered and verifies that nothing remains. It is idempotent and survives panics; its error names each residue.
func (c *Context) Close(ctx context.Context) error { panic("not built") }
