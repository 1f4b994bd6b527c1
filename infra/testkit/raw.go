package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Raw.Send replaces these in a frame: NextN by the socket's next n, FreshRun by the id of a new run.
const (
	NextN    = "424242424242"
	FreshRun = "fresh-run-id-of-the-sender"
)

// socketTimeout bounds one operation of a raw socket.
const socketTimeout = time.Minute

// Raw is a socket that sends raw frames, good ones and bad ones. On purpose it shares no code with the client, so that
// neither can hide a fault of the other. It keeps all that it sent and received, and reads only while it waits for
// something. It is for one goroutine at a time.
type Raw struct {
	User     string
	Conn     *websocket.Conn
	N        int64    // of the last hello or run
	Sent     [][]byte // frames
	Received [][]byte // whole frames, and the parts of them

	joiner wire.Joiner
}

// DialRaw opens a socket with a token. It returns the status of the response to the handshake, 0 if there was no
// response.
func DialRaw(ctx context.Context, e stack.Endpoints, user, token string) (r *Raw, status int, err error) {
	return DialRawWith(ctx, e, user, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol, wire.BearerPrefix +
		token}})
}

// DialRawWith is DialRaw with a handshake of the caller's own.
func DialRawWith(ctx context.Context, e stack.Endpoints, user string, o *websocket.DialOptions) (r *Raw, status int,
	err error) {
	ctx, cancel := context.WithTimeout(ctx, socketTimeout)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, e.WebSocket, o)
	if response != nil {
		status = response.StatusCode
	}
	if err != nil {
		return nil, status, fmt.Errorf("open a socket of %s: %w", user, err)
	}
	conn.SetReadLimit(1 << 20)
	return &Raw{User: user, Conn: conn}, status, nil
}

// OpenRaw signs a user in, opens a socket and closes it when the test ends.
func OpenRaw(t testing.TB, ctx context.Context, e stack.Endpoints, user string) *Raw {
	t.Helper()
	r, _, err := DialRaw(ctx, e, user, Token(t, ctx, e, user, time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Conn.CloseNow() }) // it may be closed already
	return r
}

// Token returns an access token of the local issuer that is valid for so long; a negative time: it has expired.
func Token(t testing.TB, ctx context.Context, e stack.Endpoints, user string, life time.Duration) string {
	t.Helper()
	seconds := strconv.Itoa(int(life / time.Second))
	token, err := SignIn(ctx, e, url.Values{"user": {user}, "expires_in": {seconds}})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Send sends a frame.
func (r *Raw) Send(ctx context.Context, frame []byte) error {
	if bytes.Contains(frame, []byte(NextN)) {
		r.N++
		frame = bytes.ReplaceAll(frame, []byte(NextN), strconv.AppendInt(nil, r.N, 10))
	}
	frame = bytes.ReplaceAll(frame, []byte(FreshRun), []byte(chat.NewID(time.Now())))
	r.Sent = append(r.Sent, frame)
	ctx, cancel := context.WithTimeout(ctx, socketTimeout)
	defer cancel()
	if err := r.Conn.Write(ctx, websocket.MessageText, frame); err != nil {
		return fmt.Errorf("%s: send %.60q: %w", r.User, frame, err)
	}
	return nil
}

// Read returns the next whole frame.
func (r *Raw) Read(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, socketTimeout)
	defer cancel()
	for {
		_, m, err := r.Conn.Read(ctx)
		if err != nil {
			return nil, err
		}
		frame, whole, err := Decode(&r.joiner, m)
		switch {
		case errors.Is(err, wire.ErrGateway):
			whole = m
		case err != nil:
			r.Received = append(r.Received, m)
			return nil, fmt.Errorf("%s was sent %.300q: %w", r.User, m, err)
		case frame == nil:
			r.Received = append(r.Received, m) // a part: its bytes may give something away as well
			continue
		}
		r.Received = append(r.Received, slices.Clone(whole))
		return whole, nil
	}
}

// ReadUntil reads up to a frame that meets a condition, unless such a frame was received before.
func (r *Raw) ReadUntil(ctx context.Context, condition func(frame []byte) bool) error {
	if slices.ContainsFunc(r.Received, condition) {
		return nil
	}
	for {
		frame, err := r.Read(ctx)
		if err != nil || condition(frame) {
			return err
		}
	}
}

// Answer is what tests look at in a frame that answers another one.
type Answer struct {
	Type, Code, Field, Message, RequestID, State string
	ConnectionID, ThreadID, RunID, Epoch         string
	Head                                         chat.Seq
	More                                         bool
	Before                                       any
	Runs                                         []struct{ RunID, Status string }
	Threads                                      []struct{ ThreadID, Title string }
	Messages                                     []agui.Message
	Interrupts                                   []agui.Interrupt

	Raw []byte `json:"-"`
}

// ParseAnswer decodes a frame and reports whether it answers a request; other frames are sent without one.
func ParseAnswer(frame []byte) (Answer, bool) {
	a := Answer{Raw: frame}
	if json.Unmarshal(frame, &a) != nil {
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
	return a, a.Type == "" // API Gateway's own frame: the function failed
}

// Request sends a frame and reads up to its answer. One request is under way at a time.
func (r *Raw) Request(ctx context.Context, frame []byte) (Answer, error) {
	if err := r.Send(ctx, frame); err != nil {
		return Answer{}, err
	}
	return r.ReadAnswer(ctx)
}

// ReadAnswer reads up to the next answer.
func (r *Raw) ReadAnswer(ctx context.Context) (Answer, error) {
	for {
		frame, err := r.Read(ctx)
		if err != nil {
			return Answer{}, err
		}
		if a, is := ParseAnswer(frame); is {
			if a.Type == "" {
				return a, fmt.Errorf("the function failed: %s", frame)
			}
			return a, nil
		}
	}
}

// MustSend is Send of a text that fails the test.
func (r *Raw) MustSend(t testing.TB, ctx context.Context, frame string) {
	t.Helper()
	if err := r.Send(ctx, []byte(frame)); err != nil {
		t.Fatal(err)
	}
}

// MustRead returns the next frame, whatever it is, or fails the test.
func (r *Raw) MustRead(t testing.TB, ctx context.Context) Answer {
	t.Helper()
	frame, err := r.Read(ctx)
	if err != nil {
		t.Fatalf("%s: read the next frame: %v", r.User, err)
	}
	a, _ := ParseAnswer(frame)
	return a
}
