package usercontext

import (
	"context"
	"fmt"
	"slices"

	"carrel/shared/chat"
)

// MaxDepth is the greatest depth of a child. The context that New returns has depth 0.
const MaxDepth = 10

// Child returns a context for a part of the run's work. The child has the same user, thread and run, and its own
// request id. It shares grants, limits and usage with its parent, so that a run cannot use more by creating children.
// It ends when its parent ends, but its own end does not affect the parent. The caller must close it; the parent's
// Close first closes the children that are still open. Child fails with chat.ErrClosed after Close, and with
// chat.ErrFull beyond MaxDepth.
func (c *Context) Child(request string) (*Context, error) { return c.child(request, c.grants) }

// ChildWith is Child with fewer grants: those of the parent that are listed. A listed grant that the parent lacks is
// left out, so a child never has a grant that its parent does not have.
func (c *Context) ChildWith(request string, grants []string) (*Context, error) {
	fewer := map[string]bool{}
	for _, g := range grants {
		if c.Granted(g) {
			fewer[g] = true
		}
	}
	return c.child(request, fewer)
}

func (c *Context) child(request string, grants map[string]bool) (*Context, error) {
	if request == "" || request == c.request {
		return nil, fmt.Errorf("make a child of the user context: the request id %q is empty or the parent's", request)
	}
	if c.depth == MaxDepth {
		return nil, fmt.Errorf("make a child of the user context at depth %d: %w", c.depth, chat.ErrFull)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fmt.Errorf("make a child of the user context: %w", chat.ErrClosed)
	}
	child := &Context{
		user: c.user, thread: c.thread, run: c.run, request: request, parent: c.request, depth: c.depth + 1,
		grants: grants, limits: c.limits, now: c.now, gauge: c.gauge, used: c.used,
	}
	child.ctx, child.cancel = context.WithCancelCause(c.ctx)
	child.begin()
	// The parent removes cleaned children here. A child cannot remove itself, because it holds no pointer to its
	// parent: the pointers of user contexts must form no cycle.
	c.children = append(slices.DeleteFunc(c.children, (*Context).cleaned), child)
	return child, nil
}

func (c *Context) cleaned() bool { return c.Phase() == Cleaned }

// Depth returns the number of ancestors of this context.
func (c *Context) Depth() int { return c.depth }

// Parent returns the request id of the parent, or "" if there is none.
func (c *Context) Parent() string { return c.parent }
