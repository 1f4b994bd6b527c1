package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// ErrClosed is what a closed Client answers.
var ErrClosed = errors.New("client: closed")

// Config is what a Client needs. URL and Token are required.
type Config struct {
	URL    string                                // of the WebSocket: ws:// or wss://
	Token  func(context.Context) (string, error) // an access token, fresh for each socket
	Thread chat.ThreadID                         // the first open thread; "" is the thread that the connect allocates
	// Transport opens the sockets; nil: the client's own. Close closes its idle connections.
	Transport *http.Transport
	// OnFrame, if set, is called with each message of each socket before the view handles it, one call at a time. It
	// must not call the Client.
	OnFrame func([]byte)
}

// Client runs a View on WebSockets: it opens sockets, replaces lost ones, and runs the view's timers. Its methods are
// safe for concurrent use.
type Client struct {
	config Config
	http   *http.Transport
	cancel context.CancelFunc
	all    sync.WaitGroup
	inputs chan func(now time.Time) // run by the loop; only the loop uses the fields of the next group
	looks  chan func()              // reads of the state, also run by the loop; they wake no waiter
	done   chan struct{}            // closed when the loop has ended

	view    *View
	link    *link
	next    *link         // the next socket: open and not yet in use
	opened  chan struct{} // closed when the first socket is open
	attempt int           // counts the actions for a socket: an older attempt's outcome is void
	giveUp  context.CancelFunc
	err     error // of the last attempt

	once    sync.Once // closes opened
	mu      sync.Mutex
	changed chan struct{} // closed after the next input
	frames  sync.Mutex    // held during OnFrame
}

// Dial starts a client and returns when its first socket is open. It tries until ctx ends; the error then includes that
// of the last attempt. ctx does not bound the client's life: Close ends the client.
func Dial(ctx context.Context, config Config) (*Client, error) {
	c, err := Start(ctx, config)
	if err != nil {
		return nil, err
	}
	select {
	case <-c.opened:
		return c, nil
	case <-ctx.Done():
		c.Close()
		return nil, fmt.Errorf("client: no socket opened: %w", errors.Join(ctx.Err(), c.err))
	}
}

// Start starts a client, which opens sockets until Close. It uses only the values of ctx. Until a socket opens,
// State.Err has the error of the last attempt.
func Start(ctx context.Context, config Config) (*Client, error) {
	transport := config.Transport
	if transport == nil {
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	c := &Client{config: config, http: transport, view: NewView(rand.Float64), opened: make(chan struct{}),
		inputs: make(chan func(time.Time)), looks: make(chan func()), done: make(chan struct{}), changed: make(chan struct{})}
	if config.Thread != "" {
		if err := c.view.Open(time.Now(), config.Thread); err != nil {
			return nil, err
		}
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	c.all.Go(func() { c.loop(run) })
	return c, nil
}

// Close closes the socket and returns when every goroutine of the client has ended. Closing twice is fine.
func (c *Client) Close() {
	c.cancel()
	c.all.Wait()
	c.http.CloseIdleConnections()
}

// loop runs the view until the client is closed.
func (c *Client) loop(ctx context.Context) {
	defer close(c.done)
	c.view.Start(time.Now())
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		c.carryOut(ctx)
		c.notify()
		if at, due := c.view.Next(); due {
			timer.Reset(time.Until(at))
		} else {
			timer.Stop()
		}
		if !c.step(ctx, timer.C) {
			return
		}
	}
}

// step handles the next input, and returns false when the client is closed. It also runs reads of the state, which are
// no inputs.
func (c *Client) step(ctx context.Context, due <-chan time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			if c.link != nil {
				c.link.finish()
			}
			c.abandon()
			return false
		case look := <-c.looks:
			look()
			continue
		case in := <-c.inputs:
			in(time.Now())
		case <-due:
			c.view.Tick(time.Now())
		}
		return true
	}
}

// notify wakes the callers that wait for a change.
func (c *Client) notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
}

// Changes returns a channel that is closed after the next input. Read State then.
func (c *Client) Changes() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// post passes an input to the loop, and reports whether the loop has taken it.
func (c *Client) post(in func(now time.Time)) bool {
	select {
	case c.inputs <- in:
		return true
	case <-c.done:
		return false
	}
}

// do runs f in the loop and waits for it.
func (c *Client) do(f func(v *View, now time.Time) error) error {
	var err error
	ran := make(chan struct{})
	if !c.post(func(now time.Time) { err = f(c.view, now); close(ran) }) {
		return ErrClosed
	}
	<-ran
	return err
}

// look runs a read of the state in the loop and waits for it.
func (c *Client) look(f func()) error {
	ran := make(chan struct{})
	select {
	case c.looks <- func() { f(); close(ran) }:
		<-ran
		return nil
	case <-c.done:
		return ErrClosed
	}
}

// State returns the current state, or the last one of a closed client.
func (c *Client) State() State {
	var s State
	ended := c.look(func() { s = c.view.State(); s.Err = c.err }) != nil
	if ended { // the loop has ended, so the view is not in use
		s = c.view.State()
		s.Err, s.Ended = c.err, true
	}
	return s
}

// WaitFor waits until the state satisfies the condition, and returns it. When ctx ends or the client is closed first,
// it returns the last state and an error.
func (c *Client) WaitFor(ctx context.Context, wanted func(State) bool) (State, error) {
	for {
		changed := c.Changes()
		s := c.State()
		if wanted(s) {
			return s, nil
		}
		if s.Ended {
			return s, ErrClosed
		}
		select {
		case <-changed:
		case <-c.done:
		case <-ctx.Done():
			return s, fmt.Errorf("client: wait for a state: %w", ctx.Err())
		}
	}
}

// Open opens a thread.
func (c *Client) Open(id chat.ThreadID) error {
	return c.do(func(v *View, now time.Time) error { return v.Open(now, id) })
}

// Send requests a run in the open thread and returns its id at once. When the run leaves State.Sending, the server has
// answered it.
func (c *Client) Send(text string) (chat.RunID, error) { return c.SendTo("", text) }

// SendTo is Send with the agent that answers, one of State.Agents. The name "" selects the default agent.
func (c *Client) SendTo(agent, text string) (chat.RunID, error) {
	id := chat.RunID(NewID())
	return id, c.do(func(v *View, now time.Time) error { return v.Send(now, id, agent, text) })
}

// Cancel stops a run.
func (c *Client) Cancel(id chat.RunID) error {
	return c.do(func(v *View, now time.Time) error { return v.Cancel(now, id) })
}

// Threads requests the user's newest threads and waits for the answer.
func (c *Client) Threads(ctx context.Context) ([]wire.ThreadInfo, error) {
	if err := c.do(func(v *View, now time.Time) error { v.Threads(now); return nil }); err != nil {
		return nil, err
	}
	s, err := c.WaitFor(ctx, func(s State) bool { return !s.listing })
	return s.Threads, err
}

// Wake checks at once whether events were missed.
func (c *Client) Wake() error {
	return c.do(func(v *View, now time.Time) error { v.Wake(now); return nil })
}

// Cut ends the current socket without a close frame, as a network failure does. It is for tests.
func (c *Client) Cut() error {
	return c.do(func(*View, time.Time) error {
		if c.link != nil {
			c.link.cut()
		}
		return nil
	})
}
