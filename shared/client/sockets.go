package client

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"carrel/shared/wire"
)

// Bounds of one socket.
const (
	dialWithin  = 15 * time.Second
	writeWithin = 10 * time.Second
	readLimit   = 256 << 10 // API Gateway's messages end at 128 KB
	maxQueue    = 256       // frames that wait to be written
)

// link is one socket. Its writer and reader end when it is cut or finished.
type link struct {
	conn *websocket.Conn
	out  chan []byte
}

// dial opens a socket with a fresh token.
func (c *Client) dial(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	token, err := c.config.Token(ctx)
	if err != nil {
		return nil, fmt.Errorf("client: get a token: %w", err)
	}
	conn, _, err := websocket.Dial(ctx, c.config.URL, &websocket.DialOptions{
		HTTPClient:   &http.Client{Transport: c.http},
		HTTPHeader:   http.Header{"Authorization": {"Bearer " + token}},
		Subprotocols: []string{wire.Subprotocol},
	})
	if err != nil {
		return nil, fmt.Errorf("client: open a socket: %w", err)
	}
	if conn.Subprotocol() != wire.Subprotocol {
		_ = conn.CloseNow() // whether it works or not: there is nothing to say on it
		return nil, fmt.Errorf("client: open a socket: the server does not speak %s", wire.Subprotocol)
	}
	conn.SetReadLimit(readLimit)
	return &link{conn: conn, out: make(chan []byte, maxQueue)}, nil
}

// adopt takes a socket that has opened: the one in use if there is none, else the next.
func (c *Client) adopt(ctx context.Context, l *link, now time.Time) {
	c.err = nil
	c.all.Go(func() { l.write(ctx) })
	c.all.Go(func() { c.read(l) })
	if c.link != nil {
		c.next = l
		c.view.Offered(now)
		return
	}
	c.link = l
	c.once.Do(func() { close(c.opened) })
	c.view.Opened(now)
}

// read hands the socket's messages to the view. It has no deadline of its own: the view's pings tell a dead socket,
// and whoever gives the socket up ends the read.
func (c *Client) read(l *link) {
	for {
		_, data, err := l.conn.Read(context.Background())
		if err != nil {
			c.post(func(now time.Time) { c.lost(l, now, fmt.Errorf("client: the socket is lost: %w", err)) })
			return
		}
		if c.config.OnFrame != nil {
			c.frames.Lock()
			c.config.OnFrame(data)
			c.frames.Unlock()
		}
		c.post(func(now time.Time) {
			switch l {
			case c.link:
				c.view.Receive(now, data)
			case c.next:
				c.view.ReceiveNext(now, data)
			}
		})
	}
}

func (c *Client) lost(l *link, now time.Time, err error) {
	switch l {
	case c.link:
		c.leave()
		c.err = err
		c.view.Lost(now)
	case c.next:
		c.refuse()
		c.err = err
		c.view.Failed(now)
	}
}

// write sends what is queued, and ends the socket politely when the queue is closed.
func (l *link) write(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for data := range l.out {
		bounded, cancel := context.WithTimeout(ctx, writeWithin)
		err := l.conn.Write(bounded, websocket.MessageText, data)
		cancel()
		if err != nil {
			l.cut()
		}
	}
	// The socket may be gone already; there is nobody left to be told.
	_ = l.conn.Close(websocket.StatusNormalClosure, "")
}

// finish sends what is queued and then closes. The loop calls it once and sends nothing afterwards.
func (l *link) finish() { close(l.out) }

// cut ends the socket now. That it was gone before is fine.
func (l *link) cut() { _ = l.conn.CloseNow() }

// leave ends the current socket for good.
func (c *Client) leave() {
	if c.link != nil {
		c.link.cut()
		c.link.finish()
		c.link = nil
	}
}

// refuse ends the socket that is not in use yet, if there is one.
func (c *Client) refuse() {
	if c.next != nil {
		c.next.cut()
		c.next.finish()
		c.next = nil
	}
}

// carryOut does what the view wants.
func (c *Client) carryOut(ctx context.Context) {
	w := c.view.Actions()
	if w.Promote {
		if c.link != nil {
			c.link.finish() // politely: what was sent on it last still goes
		}
		c.link, c.next = c.next, nil
	}
	if w.Hello != nil && c.next != nil {
		c.next.out <- w.Hello // the first
	}
	for _, frame := range w.Frames {
		if c.link == nil {
			break // they were for a socket that is gone; the next one gets them anew
		}
		select {
		case c.link.out <- frame:
		default:
			c.link.cut() // it takes nothing any more; the reader reports it lost
		}
	}
	if w.Close {
		c.leave()
	}
	if w.Connect {
		c.connect(ctx, w.After)
	} else if !c.view.wanted {
		c.abandon()
	}
}

// connect opens the next socket after a pause, in place of any attempt before.
func (c *Client) connect(ctx context.Context, after time.Duration) {
	c.abandon()
	ctx, c.giveUp = context.WithCancel(ctx)
	attempt := c.attempt
	c.all.Go(func() {
		l, err := c.dialAfter(ctx, after)
		taken := c.post(func(now time.Time) {
			switch {
			case attempt != c.attempt:
				discard(l)
			case err != nil:
				c.err = err
				c.view.Failed(now)
			default:
				c.adopt(context.WithoutCancel(ctx), l, now)
			}
		})
		if !taken {
			discard(l)
		}
	})
}

func (c *Client) dialAfter(ctx context.Context, after time.Duration) (*link, error) {
	pause := time.NewTimer(after)
	defer pause.Stop()
	select {
	case <-pause.C:
		return c.dial(ctx)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func discard(l *link) {
	if l != nil {
		l.cut()
	}
}

// abandon voids the attempt that is under way, if there is one.
func (c *Client) abandon() {
	c.attempt++
	c.refuse()
	if c.giveUp != nil {
		c.giveUp()
		c.giveUp = nil
	}
}
