package usercontext

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"carrel/shared/chat"
)

// closeStep is how long Close waits for the goroutines, and for each callback.
const closeStep = 5 * time.Second

type callback struct {
	name string
	call func(context.Context) error
}

// Go starts f in a goroutine that Close waits for. f must return when its context ends; a panic in it becomes the
// context's cancel cause. After Close it returns chat.ErrClosed and starts nothing.
func (c *Context) Go(name string, f func(context.Context)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("start %s: the run's context is %w", name, chat.ErrClosed)
	}
	n := c.next
	c.next++
	c.running[n] = name
	go func() {
		defer c.ended(n)
		defer func() {
			if v := recover(); v != nil {
				c.cancel(fmt.Errorf("usercontext: %s panicked: %v", name, v))
			}
		}()
		f(c.ctx)
	}()
	return nil
}

func (c *Context) ended(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, n)
	if c.closed && len(c.running) == 0 {
		close(c.idle)
	}
	c.settle()
}

// OnClose has f called once by Close, in reverse order of registration, with a deadline of its own. After Close it
// returns chat.ErrClosed.
func (c *Context) OnClose(name string, f func(context.Context) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("register %s: the run's context is %w", name, chat.ErrClosed)
	}
	c.callbacks = append(c.callbacks, callback{name: name, call: f})
	return nil
}

// ResidueError is what Close found left, and which clean-ups failed: each is a defect.
type ResidueError struct {
	Goroutines []string // that had not returned
	Callbacks  []error  // what clean-ups failed with
	Children   []error  // what closing the children said
}

// Count is how many pieces are left, those of children included.
func (e *ResidueError) Count() int {
	n := len(e.Goroutines) + len(e.Callbacks)
	for _, err := range e.Children {
		var child *ResidueError
		if errors.As(err, &child) {
			n += child.Count()
		}
	}
	return n
}

// Error names each piece.
func (e *ResidueError) Error() string {
	errs := slices.Concat(e.Children, e.Callbacks)
	if len(e.Goroutines) > 0 {
		errs = append(errs, fmt.Errorf("close the user context: still running: %q", e.Goroutines))
	}
	return errors.Join(errs...).Error()
}

// Unwrap are the errors of clean-ups and children.
func (e *ResidueError) Unwrap() []error { return slices.Concat(e.Children, e.Callbacks) }

// Close is the single clean-up entry: it cancels the run's work, closes the children, waits for the goroutines, calls what
// OnClose registered, last first, and verifies that nothing remains. It is idempotent and survives panics; its error is a
// ResidueError that names what is left. Each step has 5 s; that ctx has ended cuts none short, because a clean-up that is
// skipped is a leak. Concurrent callers get the same error once it is through.
func (c *Context) Close(ctx context.Context) error {
	children, callbacks, first := c.beginClose()
	if !first {
		<-c.done
		return c.err
	}
	defer close(c.done)
	c.cancel(chat.ErrClosed)
	if c.stop != nil {
		c.stop()
	}
	left := &ResidueError{}
	for _, child := range slices.Backward(children) {
		if err := child.Close(ctx); err != nil {
			left.Children = append(left.Children, fmt.Errorf("child %s: %w", child.request, err))
		}
	}
	wait(c.idle)
	for _, cb := range slices.Backward(callbacks) {
		if err := c.call(context.WithoutCancel(ctx), cb); err != nil {
			left.Callbacks = append(left.Callbacks, err)
		}
	}
	c.err = c.verify(left)
	return c.err
}

// beginClose refuses everything new from now on, and takes what Close has to see to.
func (c *Context) beginClose() (children []*Context, callbacks []callback, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, false
	}
	c.closed = true
	c.move(Failed) // if the work is not through
	if len(c.running) == 0 {
		close(c.idle)
	}
	children, callbacks = c.children, c.callbacks
	c.children, c.callbacks = nil, nil
	return children, callbacks, true
}

// call calls the callback in a goroutine of its own, so that one that hangs or panics keeps no other from being called.
func (c *Context) call(ctx context.Context, cb callback) error {
	ctx, cancel := context.WithTimeout(ctx, closeStep)
	defer cancel()
	result := make(chan error, 1)
	c.mu.Lock()
	c.calling++
	c.mu.Unlock()
	go func() {
		err := errors.New("it ended its goroutine") // stands after runtime.Goexit
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("it panicked: %v", v)
			}
			c.called()
			result <- err
		}()
		err = cb.call(ctx)
	}()
	select {
	case err := <-result:
		if err != nil {
			return fmt.Errorf("close %s: %w", cb.name, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close %s: it did not return within %v", cb.name, closeStep)
	}
}

func (c *Context) called() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calling--
	c.settle()
}

func wait(idle <-chan struct{}) {
	late := time.NewTimer(closeStep)
	defer late.Stop()
	select {
	case <-idle:
	case <-late.C:
	}
}

// verify adds the goroutines that have not returned by now to what is left, and ends the context's life.
func (c *Context) verify(left *ResidueError) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	left.Goroutines = slices.Sorted(maps.Values(c.running))
	c.through = true
	c.settle()
	if left.Count() == 0 {
		return nil
	}
	return left
}

// settle makes the context cleaned as soon as Close is through and nothing of it runs any more: at the end of Close, or
// when the last piece of residue is gone. The lock is held.
func (c *Context) settle() {
	if c.through && len(c.running) == 0 && c.calling == 0 {
		c.move(Cleaned)
	}
}
