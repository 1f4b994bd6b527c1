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

// closeStep is the time that Close waits for the goroutines, and then for each callback.
const closeStep = 5 * time.Second

type callback struct {
	name string
	call func(context.Context) error
}

// Go starts f in a goroutine. Close waits for it. f must return when its context ends. A panic in f cancels the
// context, with the panic as the cause. After Close, Go returns chat.ErrClosed and does not start f.
func (c *Context) Go(name string, f func(context.Context)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("start %s: %w", name, chat.ErrClosed)
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

// OnClose registers f, which Close calls once, in reverse order of registration and with its own deadline. After Close,
// OnClose returns chat.ErrClosed.
func (c *Context) OnClose(name string, f func(context.Context) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("register %s: %w", name, chat.ErrClosed)
	}
	c.callbacks = append(c.callbacks, callback{name: name, call: f})
	return nil
}

// ResidueError lists the goroutines that still ran and the clean-ups that failed when Close returned. Each is a defect.
type ResidueError struct {
	Goroutines []string // the names of goroutines that had not returned
	Callbacks  []error  // the errors of the registered clean-ups
	Children   []error  // the errors of closing the children
}

// Count returns the number of remaining goroutines and failed clean-ups, including those of children.
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

// Error names each remaining goroutine and each failed clean-up.
func (e *ResidueError) Error() string {
	errs := slices.Concat(e.Children, e.Callbacks)
	if len(e.Goroutines) > 0 {
		errs = append(errs, fmt.Errorf("close the user context: still running: %q", e.Goroutines))
	}
	return errors.Join(errs...).Error()
}

// Unwrap returns the errors of clean-ups and children.
func (e *ResidueError) Unwrap() []error { return slices.Concat(e.Children, e.Callbacks) }

// Close ends the context. It cancels the run's work, closes the children, waits for the goroutines, calls the functions
// registered with OnClose in reverse order, and verifies that nothing remains. It is idempotent and survives panics.
// Its error is a *ResidueError. Each step has 5 s. A ctx that has ended does not shorten a step, because a skipped
// clean-up is a leak. Concurrent callers wait for the first call and get the same error.
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
	residue := &ResidueError{}
	for _, child := range slices.Backward(children) {
		if err := child.Close(ctx); err != nil {
			residue.Children = append(residue.Children, fmt.Errorf("child %s: %w", child.request, err))
		}
	}
	wait(c.idle)
	for _, cb := range slices.Backward(callbacks) {
		if err := c.call(context.WithoutCancel(ctx), cb); err != nil {
			residue.Callbacks = append(residue.Callbacks, err)
		}
	}
	c.err = c.verify(residue)
	return c.err
}

// beginClose marks the context as closed, so that Go, OnClose and Child fail from now on. It returns the children and
// callbacks that Close must handle, and whether this is the first call.
func (c *Context) beginClose() (children []*Context, callbacks []callback, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, false
	}
	c.closed = true
	c.move(Failed) // does nothing if the work has completed
	if len(c.running) == 0 {
		close(c.idle)
	}
	children, callbacks = c.children, c.callbacks
	c.children, c.callbacks = nil, nil
	return children, callbacks, true
}

// call calls the callback in a separate goroutine, so that a callback that hangs or panics does not prevent the others.
func (c *Context) call(ctx context.Context, cb callback) error {
	ctx, cancel := context.WithTimeout(ctx, closeStep)
	defer cancel()
	result := make(chan error, 1)
	c.mu.Lock()
	c.calling++
	c.mu.Unlock()
	go func() {
		err := errors.New("the clean-up ended its goroutine") // remains set after runtime.Goexit
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("the clean-up panicked: %v", v)
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
		return fmt.Errorf("close %s: the clean-up did not return within %v", cb.name, closeStep)
	}
}

func (c *Context) called() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calling--
	c.settle()
}

func wait(idle <-chan struct{}) {
	timeout := time.NewTimer(closeStep)
	defer timeout.Stop()
	select {
	case <-idle:
	case <-timeout.C:
	}
}

// verify adds the goroutines that have not returned to the residue, and marks Close as finished. It returns nil if
// nothing remains.
func (c *Context) verify(residue *ResidueError) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	residue.Goroutines = slices.Sorted(maps.Values(c.running))
	c.through = true
	c.settle()
	if residue.Count() == 0 {
		return nil
	}
	return residue
}

// settle moves the context to Cleaned when Close has finished and none of its goroutines and clean-ups runs: at the end
// of Close, or when the last of them returns. The caller holds the lock.
func (c *Context) settle() {
	if c.through && len(c.running) == 0 && c.calling == 0 {
		c.move(Cleaned)
	}
}
