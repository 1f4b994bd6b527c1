package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/coder/websocket"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// line is a socket without a client: it says and hears frames.
type line struct {
	g      *ground
	conn   *websocket.Conn
	joiner wire.Joiner
	n      int64 // of the last hello or run
}

// line opens a socket that has said nothing yet.
func (g *ground) line(p *person) *line {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.ctx, time.Minute)
	defer cancel()
	token, err := signIn(ctx, g.Endpoints().Token, p.name)
	if err != nil {
		g.t.Fatal(err)
	}
	conn, _, err := websocket.Dial(ctx, g.Endpoints().WebSocket,
		&websocket.DialOptions{Subprotocols: []string{wire.Subprotocol, wire.BearerPrefix + token}})
	if err != nil {
		g.t.Fatal(err)
	}
	conn.SetReadLimit(256 << 10)
	g.t.Cleanup(func() { _ = conn.CloseNow() }) // it may be closed already
	return &line{g: g, conn: conn}
}

// say sends a frame.
func (l *line) say(f wire.ClientFrame) {
	l.g.t.Helper()
	b, err := wire.EncodeClient(f)
	if err == nil {
		err = l.conn.Write(l.g.ctx, websocket.MessageText, b)
	}
	if err != nil {
		l.g.t.Fatalf("saying %T: %v", f, err)
	}
}

// hear is the next frame, and the bytes that it came in.
func (l *line) hear() (wire.ServerFrame, []byte) {
	l.g.t.Helper()
	for {
		_, m, err := l.conn.Read(l.g.ctx)
		if err != nil {
			l.g.t.Fatalf("nothing is heard but %v", err)
		}
		f, whole, err := decode(&l.joiner, m)
		if err != nil {
			l.g.t.Fatalf("%.300q: %v", m, err)
		}
		if f != nil {
			return f, whole
		}
	}
}

// heard is what a hello brought, up to the head that its ready told.
type heard struct {
	*wire.Ready
	snapshot *wire.Snapshot
	events   map[chat.Seq]json.RawMessage
}

// hello opens a thread with a cursor, and hears all that there is of it.
func (l *line) hello(thread chat.ThreadID, c *chat.Cursor) heard {
	l.g.t.Helper()
	l.n++
	l.say(&wire.Hello{N: l.n, ThreadID: thread, Cursor: c})
	h := heard{events: map[chat.Seq]json.RawMessage{}}
	last := chat.Seq(0)
	if c != nil {
		last = c.Seq
	}
	for h.Ready == nil || !h.Recovered && h.snapshot == nil && h.Epoch != "" || last < h.Head {
		f, whole := l.hear()
		switch f := f.(type) {
		case *wire.Ready:
			if f.N == l.n {
				h.Ready = f
			}
			if !f.Recovered {
				last = 0 // of a cursor that is worth nothing
			}
		case *wire.Snapshot:
			h.snapshot, last = f, max(last, f.Seq)
		case *wire.Events:
			if err := h.add(f, whole); err != nil {
				l.g.t.Fatal(err)
			}
			last = max(last, f.Seq+chat.Seq(len(f.Events))-1)
		}
	}
	return h
}

// add takes the events of a frame as the bytes that they came in; none may come twice.
func (h heard) add(f *wire.Events, whole []byte) error {
	var raw struct {
		Events []json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(whole, &raw); err != nil {
		return err
	}
	for i, e := range raw.Events {
		seq := f.Seq + chat.Seq(i)
		if h.events[seq] != nil {
			return fmt.Errorf("event %d came twice", seq)
		}
		h.events[seq] = e
	}
	return nil
}
