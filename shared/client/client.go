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
	Thread chat.ThreadID                         // to open first; "" takes the one that the connect allocates
	// Transport opens the sockets; nil: one of the client's own. Close closes its idle connections.
	Transport *http.Transport
	// OnFrame, if set, gets every message of every socket before the view does, one call at a time. It must not call
	// the Client.
	OnFrame func([]byte)
}

// Client is a View on WebSockets: it opens them, again when they are lost, and keeps the view's time. Its methods may
// be called from any goroutine.
type Client struct {
	config Config
	http   *http.Transport
	cancel context.CancelFunc
	all    sync.WaitGroup
	inputs chan func(now time.Time) // run by the loop, which alone touches what follows them here
	looks  chan func()              // the same for what only reads: it wakes nobody
	done   chan struct{}            // closed when the loop has ended

	view    *View
	link    *link
	next    *link         // open, and not in use yet
	opened  chan struct{} // closed when the first socket is open
	attempt int           // counts the actions for a socket: an older attempt's outcome is void
	giveUp  context.CancelFunc
	err     error // of the last attempt

	once    sync.Once // closes opened
	mu      sync.Mutex
	changed chan struct{} // closed after the next input
	frames  sync.Mutex    // held during OnFrame
}

// Dial starts a client and returns once its first socket is open. It tries until the ctx ends, which bounds that alone;
// then the error tells why the last attempt failed. Close ends the client.
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

// Start starts a client, which opens sockets until Close ends it. Of the ctx it takes the values alone. As long as no
// socket opens the State's Err tells why.
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

// loop owns the view.
func (c *Client) loop(ctx context.Context) {
	defer close(c.done)
	c.view.Start(time.Now())
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		c.carryOut(ctx)
		c.tell()
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

// step takes in what comes next, or reports that the client is closed. Whoever looks in between is answered.
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

// tell wakes those who wait for a change.
func (c *Client) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
}

// Changes returns a channel that is closed after the next input: look at State once it is.
func (c *Client) Changes() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// post hands an input to the loop, and reports whether it was taken.
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

// look runs f in the loop, for what only reads, and waits for it.
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

// State is what the client shows now. Of a closed one it is what it showed last.
func (c *Client) State() State {
	var s State
	ended := c.look(func() { s = c.view.State(); s.Err = c.err }) != nil
	if ended { // the loop is over: nobody else touches the view
		s = c.view.State()
		s.Err, s.Ended = c.err, true
	}
	return s
}

// WaitFor waits until the state is as wanted and returns it. If the ctx ends or the client is closed before, the error
// says so and the state is the last one.
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

// Send asks for a run in the open thread and returns its id at once; the answer shows in the state: the run leaves
// Sending.
func (c *Client) Send(text string) (chat.RunID, error) {
	id := chat.RunID(NewID())
	return id, c.do(func(v *View, now time.Time) error { return v.Send(now, id, text) })
}

// Cancel stops a run.
func (c *Client) Cancel(id chat.RunID) error {
	return c.do(func(v *View, now time.Time) error { return v.Cancel(now, id) })
}

// Threads asks for the user's newest threads and waits for the answer.
func (c *Client) Threads(ctx context.Context) ([]wire.ThreadInfo, error) {
	if err := c.do(func(v *View, now time.Time) error { v.Threads(now); return nil }); err != nil {
		return nil, err
	}
	s, err := c.WaitFor(ctx, func(s State) bool { return !s.listing })
	return s.Threads, err
}

// Wake asks at once whether anything was missed.
func (c *Client) Wake() error {
	return c.do(func(v *View, now time.Time) error { v.Wake(now); return nil })
}

// Cut ends the current socket without a word, as a network does. It is there for tests.
func (c *Client) Cut() error {
	return c.do(func(*View, time.Time) error {
		if c.link != nil {
			c.link.cut()
		}
		return nil
	})
}
