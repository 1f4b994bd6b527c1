package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"

	"carrel/shared/bucket"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// patience is the time to wait for one answer, a cold start included.
const patience = 20 * time.Second

// mostTries is how often a frame is sent at most.
const mostTries = 3

// person is a user on one socket, with every received message.
type person struct {
	name   string
	socket *websocket.Conn
	ended  chan struct{} // closed when the reader has ended
	n      int64         // of hellos and runs
	ends   time.Duration // the time to wait for the end of a run
	full   time.Time     // when the bucket of frames is full again

	mu       sync.Mutex
	messages []message
	failed   error
	changed  chan struct{}
}

// message is a received frame, with its parts joined. frame is nil for an unknown type.
type message struct {
	raw   []byte
	frame wire.ServerFrame
	lost  bool // API Gateway's own error: the request may not have arrived
}

// connect opens a user's socket as a browser does.
func connect(ctx context.Context, name, url, token string) (*person, error) {
	dial, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	socket, response, err := websocket.Dial(dial, url,
		&websocket.DialOptions{Subprotocols: []string{wire.Subprotocol, wire.BearerPrefix + token}})
	if err != nil {
		status := "no answer"
		if response != nil {
			status = response.Status
		}
		return nil, fmt.Errorf("%s cannot connect (%s; is the token still valid?): %w", name, status, err)
	}
	socket.SetReadLimit(1 << 20)
	p := &person{name: name, socket: socket, ends: patience, ended: make(chan struct{}), changed: make(chan struct{})}
	go p.read(ctx)
	return p, nil
}

// close ends the socket, and returns when its reader has ended.
func (p *person) close() {
	_ = p.socket.CloseNow() // it may have ended before
	<-p.ended
}

func (p *person) read(ctx context.Context) {
	defer close(p.ended)
	var joiner wire.Joiner
	for {
		_, raw, err := p.socket.Read(ctx)
		var m message
		if err == nil {
			m, err = whole(&joiner, raw)
		}
		p.mu.Lock()
		if err != nil {
			p.failed = err
		} else if m.raw != nil {
			p.messages = append(p.messages, m)
		}
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// whole joins parts. It returns an empty message for a part that is not the last.
func whole(joiner *wire.Joiner, raw []byte) (message, error) {
	frame, err := wire.DecodeServer(raw)
	if part, ok := frame.(*wire.Part); ok {
		if raw, err = joiner.Add(part); err != nil || raw == nil {
			return message{}, err
		}
		frame, err = wire.DecodeServer(raw)
	}
	lost := errors.Is(err, wire.ErrGateway)
	if lost || errors.Is(err, wire.ErrUnknownType) {
		return message{raw: raw, lost: lost}, nil // it is searched all the same
	}
	return message{raw: raw, frame: frame}, err
}

// since returns the messages after the first n.
func (p *person) since(n int) []message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages[min(n, len(p.messages)):len(p.messages):len(p.messages)]
}

// await waits for a message after the first n that meets the condition.
func (p *person) await(ctx context.Context, n int, what string, matches func(message) bool) (message, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		p.mu.Lock()
		changed, failed := p.changed, p.failed
		p.mu.Unlock()
		for _, m := range p.since(n) {
			if matches(m) {
				return m, nil
			}
		}
		if failed != nil {
			return message{}, fmt.Errorf("%s lost the socket, waiting for %s: %w", p.name, what, failed)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return message{}, fmt.Errorf("%s waited for %s: %w", p.name, what, ctx.Err())
		}
	}
}

// pace keeps a user's frames below the default limits of a deployment: three quarters of the burst, and five sixths of
// the rate. A deployment drops the frames of a user who sends more.
func pace() bucket.Rate {
	l := chat.DefaultLimits()
	return bucket.Rate{Token: time.Second * 6 / 5 / time.Duration(l.FrameRate), Burst: l.FrameBurst * 3 / 4}
}

// token waits until the user may send another frame.
func (p *person) token(ctx context.Context) error {
	for {
		full, after := pace().Take(p.full, time.Now())
		if p.full = full; after == 0 {
			return nil
		}
		timer := time.NewTimer(after)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%s waits for the frame limit: %w", p.name, ctx.Err())
		}
	}
}

// ask sends a frame and returns its answer, also an error. It sends a frame that API Gateway has lost again, up to
// mostTries times, and then fails.
func (p *person) ask(ctx context.Context, fields map[string]any) (message, error) {
	id := client.NewID()
	fields["requestId"] = id
	body, err := json.Marshal(fields)
	if err != nil {
		return message{}, err
	}
	for try := 1; ; try++ {
		if err := p.token(ctx); err != nil {
			return message{}, err
		}
		n := len(p.since(0))
		if err := p.socket.Write(ctx, websocket.MessageText, body); err != nil {
			return message{}, fmt.Errorf("%s sends %s: %w", p.name, fields["type"], err)
		}
		m, err := p.await(ctx, n, fmt.Sprint("the answer to ", fields["type"]), func(m message) bool {
			return bytes.Contains(m.raw, []byte(id)) || m.lost
		})
		if err != nil || !m.lost {
			return m, err
		}
		if try == mostTries {
			return message{}, fmt.Errorf("%s sent %s %d times and received each time: %s", p.name, fields["type"], try,
				m.raw)
		}
	}
}

// next counts the connection's hellos and runs.
func (p *person) next() int64 {
	p.n++
	return p.n
}

// says starts a run that says a text on a thread. It does not wait for the end of the run.
func (p *person) says(ctx context.Context, thread chat.ThreadID, run chat.RunID, text string) error {
	m, err := p.ask(ctx, map[string]any{"type": wire.TypeRun, "n": p.next(), "runId": run, "threadId": thread,
		"messages": []map[string]any{{"id": string(run) + ".1", "role": "user", "content": text}}})
	if err != nil {
		return err
	}
	if _, ok := m.frame.(*wire.Accepted); !ok {
		return fmt.Errorf("%s may not start a run: %s", p.name, m.raw)
	}
	return nil
}

// runEnded waits for a run's last event.
func (p *person) runEnded(ctx context.Context, run chat.RunID) error {
	ctx, cancel := context.WithTimeout(ctx, p.ends)
	defer cancel()
	_, err := p.await(ctx, 0, "the end of a run", func(m message) bool {
		e, ok := m.frame.(*wire.Events)
		return ok && e.RunID == run && len(e.Events) > 0 && e.Events[len(e.Events)-1].Terminal()
	})
	return err
}
