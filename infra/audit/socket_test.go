package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// person is one made-up user and the secret that stands in all that they say.
type person struct {
	name, secret string
	threads      []chat.ThreadID
}

// socket is one window of a person on one thread, with every message that ever reached it.
type socket struct {
	*client.Client
	who    *person
	thread chat.ThreadID

	mu       sync.Mutex
	messages [][]byte
}

// in reports whether a message holds the person's secret, or names a thread of theirs.
func (p *person) in(m []byte) bool {
	return bytes.Contains(m, []byte(p.secret)) ||
		slices.ContainsFunc(p.threads, func(id chat.ThreadID) bool { return bytes.Contains(m, []byte(id)) })
}

func open(ctx context.Context, e stack.Endpoints, who *person, thread chat.ThreadID) (*socket, error) {
	s := &socket{who: who, thread: thread}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var err error
	s.Client, err = client.Dial(ctx, client.Config{
		URL:    e.WebSocket,
		Thread: thread,
		Token:  func(ctx context.Context) (string, error) { return signIn(ctx, e.Token, who.name) },
		OnFrame: func(m []byte) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.messages = append(s.messages, slices.Clone(m))
		},
	})
	return s, err
}

// idle reports whether nothing runs, waits, is unsent or missing.
func idle(s client.State) bool {
	return s.Status == client.Ready && !s.Behind && s.Active == "" && len(s.Queued) == 0 && len(s.Sending) == 0
}

// says reports whether some message of a role holds a text.
func says(s client.State, role agui.Role, text string) bool {
	return slices.ContainsFunc(s.Messages, func(m agui.Message) bool { return m.Role == role && strings.Contains(m.Content, text) })
}

// seen are the events that reached a socket, by sequence number, as the bytes that they were sent in.
type seen struct {
	epoch   chat.Epoch
	events  map[chat.Seq]json.RawMessage
	frames  int
	foreign int      // frames with something of anybody else
	notices int      // of API Gateway's own: a function failed
	wrong   []string // what the socket should not hold
}

// read looks at every message of a socket and reports what it should not hold: anything of anybody else, an event of
// another thread, two different events of one sequence number.
func (s *socket) read(t *testing.T, everybody []*person) seen {
	t.Helper()
	got := s.look(everybody)
	for _, wrong := range got.wrong {
		t.Error(wrong)
	}
	return got
}

// look is read, for who reports by itself.
func (s *socket) look(everybody []*person) seen {
	got := seen{events: map[chat.Seq]json.RawMessage{}}
	var joiner wire.Joiner
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		got.frames++
		frame, whole, err := decode(&joiner, m)
		for _, p := range everybody {
			if p != s.who && (p.in(m) || p.in(whole)) { // a part is base64: what it holds is seen once all are joined
				got.foreign++
				got.complain("%s was sent something of %s: %.300s", s.who.name, p.name, m)
			}
		}
		if errors.Is(err, wire.ErrGateway) {
			got.notices++
			continue
		}
		if err != nil {
			got.complain("%s was sent %.300q: %v", s.who.name, m, err)
		}
		if e, ok := frame.(*wire.Events); ok {
			got.add(s, e, whole)
		}
	}
	return got
}

func (g *seen) complain(format string, args ...any) {
	g.wrong = append(g.wrong, fmt.Sprintf(format, args...))
}

// decode decodes a message, joining parts; a part that is not the last is no frame yet.
func decode(j *wire.Joiner, m []byte) (wire.ServerFrame, []byte, error) {
	f, err := wire.DecodeServer(m)
	p, ok := f.(*wire.Part)
	if err != nil || !ok {
		return f, m, err
	}
	whole, err := j.Add(p)
	if err != nil || whole == nil {
		return nil, nil, err
	}
	f, err = wire.DecodeServer(whole)
	return f, whole, err
}

func (g *seen) add(s *socket, e *wire.Events, raw []byte) {
	var events struct {
		Events []json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(raw, &events); err != nil {
		g.complain("%s was sent events that are none: %v", s.who.name, err)
	}
	if e.ThreadID != s.thread {
		g.complain("%s watches thread %s and was sent events of %s", s.who.name, s.thread, e.ThreadID)
	}
	if g.epoch == "" {
		g.epoch = e.Epoch
	}
	if g.epoch != e.Epoch {
		g.complain("thread %s changed its epoch", s.thread)
	}
	for i, raw := range events.Events {
		seq := e.Seq + chat.Seq(i)
		if had, ok := g.events[seq]; ok && !bytes.Equal(had, raw) {
			g.complain("event %d of thread %s was sent as %s and as %s", seq, s.thread, had, raw)
		}
		g.events[seq] = raw
	}
}

// stream puts the events in order; a gap is an error.
func (g *seen) stream(head chat.Seq) ([]agui.Event, []json.RawMessage, error) {
	if chat.Seq(len(g.events)) != head {
		return nil, nil, fmt.Errorf("%d events of %d", len(g.events), head)
	}
	var events []agui.Event
	var raw []json.RawMessage
	for seq := chat.Seq(1); seq <= head; seq++ {
		b, ok := g.events[seq]
		if !ok {
			return nil, nil, fmt.Errorf("event %d of %d is missing", seq, head)
		}
		var e agui.Event
		if err := json.Unmarshal(b, &e); err != nil {
			return nil, nil, err
		}
		events, raw = append(events, e), append(raw, b)
	}
	return events, raw, nil
}

// run is one run of a stream, by its timestamps.
type run struct {
	who      string
	from, to int64
}

// runs checks the order of a thread's events and finds its runs, each of which must end exactly once, in success.
func runs(who string, events []agui.Event) ([]run, error) {
	var order agui.Order
	var all []run
	open := false
	for i, e := range events {
		if err := order.Check(e); err != nil {
			return nil, fmt.Errorf("event %d: %w", i+1, err)
		}
		switch {
		case e.Type == agui.RunStarted:
			all, open = append(all, run{who: who, from: e.Timestamp}), true
		case e.Terminal():
			if e.Outcome == nil || e.Outcome.Type != agui.OutcomeSuccess {
				return nil, fmt.Errorf("run %s ended with %s %s", e.RunID, e.Type, e.Message)
			}
			all[len(all)-1].to, open = e.Timestamp, false
		}
	}
	if open {
		return nil, errors.New("the last run has no end")
	}
	return all, nil
}
