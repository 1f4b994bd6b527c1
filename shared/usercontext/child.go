package usercontext

import (
	"context"
	"fmt"
	"slices"

	"carrel/shared/chat"
)

// MaxDepth is how deep children may be nested; the context that New makes has depth 0.
const MaxDepth = 10

// Child makes a context for a part of the run's work: of the same user, thread and run, under a request id of its own.
// It shares grants, limits and figures with its parent, so that a run cannot spend more by having children, and ends
// with it; its own end is its own. Who made it closes it; the parent's Close closes those that are left, first of all.
// It fails with chat.ErrClosed after Close, and with chat.ErrFull beyond MaxDepth.
func (c *Context) Child(request string) (*Context, error) {
	if request == "" || request == c.request {
		return nil, fmt.Errorf("make a child of the user context: it needs a request id of its own, have %q", request)
	}
	if c.depth == MaxDepth {
		return nil, fmt.Errorf("make a child of the user context: %d deep is %w", c.depth, chat.ErrFull)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fmt.Errorf("make a child: the run's context is %w", chat.ErrClosed)
	}
	child := &Context{
		user: c.user, thread: c.thread, run: c.run, request: request, parent: c.request, depth: c.depth + 1,
		grants: c.grants, limits: c.limits, now: c.now, gauge: c.gauge, used: c.used,
	}
	child.ctx, child.cancel = context.WithCancelCause(c.ctx)
	child.begin()
	// Those that are through are forgotten here, and not by themselves: a child does not know its parent, so that
	// nothing points in a circle.
	c.children = append(slices.DeleteFunc(c.children, (*Context).cleaned), child)
	return child, nil
}

func (c *Context) cleaned() bool { return c.Phase() == Cleaned }

// Depth is how many contexts are above this one.
func (c *Context) Depth() int { return c.depth }

// Parent is the request id of the context above this one; empty if there is none.
func (c *Context) Parent() string { return c.parent }
