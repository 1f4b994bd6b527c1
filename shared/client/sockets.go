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
	maxQueue    = 256       // queued frames of one socket
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
		_ = conn.CloseNow() // its error does not matter: the socket is not used
		return nil, fmt.Errorf("client: open a socket: the server does not speak %s", wire.Subprotocol)
	}
	conn.SetReadLimit(readLimit)
	return &link{conn: conn, out: make(chan []byte, maxQueue)}, nil
}

// adopt takes over a socket that has opened: as the one in use, or as the next one if there is one in use.
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

// read passes the socket's messages to the view. It has no deadline: the view's pings detect a dead socket, and closing
// the socket ends the read.
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

// lost reports to the view that a socket has failed.
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

// write sends the queued frames. It closes the socket with a close frame when the queue is closed.
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
	// Its error does not matter: the socket may have failed already.
	_ = l.conn.Close(websocket.StatusNormalClosure, "")
}

// finish closes the socket after the queued frames are sent. The loop calls it once and sends nothing afterwards.
func (l *link) finish() { close(l.out) }

// cut closes the socket at once. It does nothing if the socket is closed already.
func (l *link) cut() { _ = l.conn.CloseNow() }

// leave closes the current socket at once.
func (c *Client) leave() {
	if c.link != nil {
		c.link.cut()
		c.link.finish()
		c.link = nil
	}
}

// refuse closes the next socket, if there is one.
func (c *Client) refuse() {
	if c.next != nil {
		c.next.cut()
		c.next.finish()
		c.next = nil
	}
}

// carryOut performs the view's actions.
func (c *Client) carryOut(ctx context.Context) {
	w := c.view.Actions()
	if w.Promote {
		if c.link != nil {
			c.link.finish() // its queued frames are still sent
		}
		c.link, c.next = c.next, nil
	}
	if w.Hello != nil && c.next != nil {
		c.next.out <- w.Hello // the first
	}
	for _, frame := range w.Frames {
		if c.link == nil {
			break // the socket is lost; the view sends them again on the next one
		}
		select {
		case c.link.out <- frame:
		default:
			c.link.cut() // its queue is full; the reader then reports it as lost
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

// connect opens the next socket after a pause. It replaces an attempt that is under way.
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

// abandon cancels the attempt that is under way, if there is one.
func (c *Client) abandon() {
	c.attempt++
	c.refuse()
	if c.giveUp != nil {
		c.giveUp()
		c.giveUp = nil
	}
}
