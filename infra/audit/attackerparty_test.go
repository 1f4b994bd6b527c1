package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// What a frame has in the place of a number that counts, and of the id of a run that is to be a new one: put in as it is
// said.
const (
	countsUp = "424242424242"
	freshRun = "fresh-run-of-whoever-says-it"
)

// party is a socket of raw frames, the victim's or an attacker's. It keeps all that it said and heard, and reads only while
// it waits for something.
type party struct {
	name string
	conn *websocket.Conn

	n      int64 // of the last hello or run
	joiner wire.Joiner
	said   [][]byte
	heard  [][]byte // whole frames
}

func dialParty(ctx context.Context, url, name, token string) (*party, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol, wire.BearerPrefix + token}})
	if err != nil {
		return nil, fmt.Errorf("opening a socket: %w", err)
	}
	conn.SetReadLimit(256 << 10)
	return &party{name: name, conn: conn}, nil
}

// say sends a frame, with the next n.
func (p *party) say(ctx context.Context, frame []byte) error {
	if bytes.Contains(frame, []byte(countsUp)) {
		p.n++
		frame = bytes.ReplaceAll(frame, []byte(countsUp), strconv.AppendInt(nil, p.n, 10))
	}
	frame = bytes.ReplaceAll(frame, []byte(freshRun), []byte(chat.NewID(time.Now())))
	p.said = append(p.said, frame)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return p.conn.Write(ctx, websocket.MessageText, frame)
}

// hear is the next whole frame.
func (p *party) hear(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		_, m, err := p.conn.Read(ctx)
		if err != nil {
			return nil, err
		}
		frame, whole, err := decode(&p.joiner, m)
		switch {
		case errors.Is(err, wire.ErrGateway):
			whole = m
		case err != nil:
			p.heard = append(p.heard, m)
			return nil, fmt.Errorf("%.300q: %w", m, err)
		case frame == nil:
			p.heard = append(p.heard, m) // a part: its bytes may give something away as well
			continue
		}
		p.heard = append(p.heard, slices.Clone(whole))
		return whole, nil
	}
}

// answer is what is looked at of a frame that answers another.
type answer struct {
	Type, Code, Field, RequestID, State string
	ConnectionID, ThreadID, RunID       string
	Epoch                               string
	Head                                chat.Seq
	More                                bool
	Before                              any
	Runs                                []struct{ RunID, Status string }
	Threads                             []struct{ ThreadID, Title string }
	Messages                            []agui.Message
	Interrupts                          []agui.Interrupt

	raw []byte
}

// asAnswer reads a frame and tells whether it answers one; others come by themselves.
func asAnswer(raw []byte) (answer, bool) {
	a := answer{raw: raw}
	if json.Unmarshal(raw, &a) != nil {
		return a, true
	}
	switch a.Type {
	case "ready", "pong", "accepted", "rejected", "threads", "history", "runs":
		return a, true
	case "done":
		return a, a.ThreadID != "" || a.RequestID != ""
	case "error":
		return a, a.Code != "replaced"
	}
	return a, a.Type == "" // API Gateway's own: the function failed
}

// ask says a frame and reads up to its answer. One is under way at a time.
func (p *party) ask(ctx context.Context, frame []byte) (answer, error) {
	if err := p.say(ctx, frame); err != nil {
		return answer{}, err
	}
	return p.reply(ctx)
}

// reply reads up to the next answer.
func (p *party) reply(ctx context.Context) (answer, error) {
	for {
		raw, err := p.hear(ctx)
		if err != nil {
			return answer{}, err
		}
		if a, is := asAnswer(raw); is {
			if a.Type == "" {
				return a, fmt.Errorf("the function failed: %s", raw)
			}
			return a, nil
		}
	}
}

// ends waits until a run has ended on the thread that the party watches.
func (p *party) ends(ctx context.Context, run string) error {
	return p.until(ctx, func(raw []byte) bool {
		f, err := wire.DecodeServer(raw)
		e, ok := f.(*wire.Events)
		return err == nil && ok && string(e.RunID) == run && e.Events[len(e.Events)-1].Terminal()
	})
}

// until reads up to a frame, if it has not come already.
func (p *party) until(ctx context.Context, wanted func(raw []byte) bool) error {
	if slices.ContainsFunc(p.heard, wanted) {
		return nil
	}
	for {
		raw, err := p.hear(ctx)
		if err != nil || wanted(raw) {
			return err
		}
	}
}

// refusals counts the answers that refuse, by code. The notice signed_out carries out a sign-out, so it refuses nothing.
func (p *party) refusals() map[string]int {
	all := map[string]int{}
	for _, raw := range p.heard {
		if a, is := asAnswer(raw); is && a.Code != "signed_out" && (a.Type == "error" || a.Type == "rejected") {
			all[a.Code]++
		}
	}
	return all
}
