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

// Close is the single clean-up entry: it cancels the run's work, waits for the goroutines, calls what OnClose
// registered and verifies that nothing remains. It is idempotent and survives panics; its error names each residue.
// Each step has 5 s; that ctx has ended cuts none short, because a clean-up that is skipped is a leak. Concurrent
// callers get the same error once it is through.
func (c *Context) Close(ctx context.Context) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		<-c.done
		return c.err
	}
	c.closed = true
	if len(c.running) == 0 {
		close(c.idle)
	}
	callbacks := c.callbacks
	c.callbacks = nil
	c.mu.Unlock()

	defer close(c.done)
	c.cancel(chat.ErrClosed)
	c.stop()
	wait(c.idle)
	var errs []error
	for _, cb := range slices.Backward(callbacks) {
		errs = append(errs, cb.run(context.WithoutCancel(ctx)))
	}
	errs = append(errs, c.residue())
	c.err = errors.Join(errs...)
	return c.err
}

// run calls the callback in a goroutine of its own, so that one that hangs or panics keeps no other from being called.
func (cb callback) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeStep)
	defer cancel()
	result := make(chan error, 1)
	go func() {
		err := errors.New("it ended its goroutine") // stands after runtime.Goexit
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("it panicked: %v", v)
			}
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

func wait(idle <-chan struct{}) {
	late := time.NewTimer(closeStep)
	defer late.Stop()
	select {
	case <-idle:
	case <-late.C:
	}
}

// residue names what is left of the run: goroutines that have not returned by now.
func (c *Context) residue() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.running) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Values(c.running))
	return fmt.Errorf("close the user context: still running: %q", names)
}
