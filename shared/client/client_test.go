package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// server connects the model to real sockets. The newest socket is the client's.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	model  *model
	conn   *websocket.Conn
	tokens []string // the token of each attempt to connect
	refuse int      // number of further attempts to refuse
}

func newServer(t *testing.T) *server {
	s := &server{model: newModel(rand.New(rand.NewPCG(1, 1)))}
	s.model.fair = true
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.tokens = append(s.tokens, token)
	refused := s.refuse > 0 || token == "bad"
	s.refuse--
	s.mu.Unlock()
	if refused {
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	s.mu.Lock()
	s.conn = conn
	s.model.connect()
	s.mu.Unlock()
	for {
		_, data, err := conn.Read(r.Context())
		s.mu.Lock()
		switch current := s.conn == conn; {
		case err != nil && current:
			s.conn = nil
			s.model.cut()
		case err == nil && current:
			s.model.handle(data)
			s.flush(r.Context())
		}
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// flush writes the messages that the model has posted. A failed write is ignored: the next read fails too.
func (s *server) flush(ctx context.Context) {
	for _, b := range s.model.toClient {
		if s.conn != nil {
			_ = s.conn.Write(ctx, websocket.MessageText, b)
		}
	}
	s.model.toClient = nil
}

// work lets the model's active run take so many steps, or all of them if steps is negative.
func (s *server) work(ctx context.Context, steps int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; steps != 0 && s.model.active != ""; steps-- {
		s.model.work()
		s.flush(ctx)
	}
}

// dial connects a client whose tokens are token.1, token.2, …
func (s *server) dial(t *testing.T, onFrame func([]byte)) (*client.Client, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	n := 0
	c, err := client.Dial(ctx, client.Config{URL: s.URL, Thread: "t", OnFrame: onFrame,
		Token: func(context.Context) (string, error) {
			n++
			return fmt.Sprint("token.", n), nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, ctx
}

// wait waits until reached reports true, and returns the state of that moment.
func wait(t *testing.T, ctx context.Context, c *client.Client, what string,
	reached func(client.State) bool) client.State {
	t.Helper()
	s, err := c.WaitFor(ctx, reached)
	if err != nil {
		t.Fatalf("%s: %v; the state is %+v", what, err, s)
	}
	return s
}

// rest reports whether the client is connected and shows the end of a run.
func rest(s client.State) bool {
	return s.Status == client.Ready && !s.Lagging && s.Active == "" && len(s.Sending)+len(s.Queued) == 0 && s.Seq > 0
}

// TestClient_LostSocket cuts the socket during a run and refuses the first reconnect. The client still receives the
// whole answer.
func TestClient_LostSocket(t *testing.T) {
	s := newServer(t)
	var frames []wire.ServerFrame
	c, ctx := s.dial(t, func(b []byte) {
		if f, err := wire.DecodeServer(b); err == nil {
			frames = append(frames, f)
		}
	})
	run, err := c.Send("what is 2+2?")
	if err != nil {
		t.Fatal(err)
	}
	wait(t, ctx, c, "the run is accepted", func(s client.State) bool { return s.Active == run })
	s.work(ctx, 3)
	wait(t, ctx, c, "some text", func(s client.State) bool { return s.Seq > 3 })
	s.mu.Lock()
	s.refuse = 1
	s.mu.Unlock()
	if err := c.Cut(); err != nil {
		t.Fatal(err)
	}
	s.work(ctx, 2) // before or after the client has reconnected
	wait(t, ctx, c, "connected again", func(st client.State) bool { return st.Status == client.Ready && st.Err == nil })
	s.work(ctx, -1)
	state := wait(t, ctx, c, "the answer", rest)
	s.mu.Lock()
	want, tokens := fold(s.model.events), s.tokens
	s.mu.Unlock()
	if err := equal(state.Messages, want); err != nil {
		t.Error(err)
	}
	if len(tokens) != 3 || tokens[0] != "token.1" || tokens[2] != "token.3" {
		t.Errorf("the attempts used the tokens %v, want a new token for each", tokens)
	}
	c.Close()
	readies := 0
	for _, f := range frames { // OnFrame is not called after Close, so frames has no race
		if _, ok := f.(*wire.Ready); ok {
			readies++
		}
	}
	if readies != 2 {
		t.Errorf("received ready %d times, want once on each of 2 sockets", readies)
	}
}

// TestState_NoChange checks that State does not close the channel of Changes. Otherwise waiting callers, which read the
// state after each change, would wake each other forever.
func TestState_NoChange(t *testing.T) {
	s := newServer(t)
	c, ctx := s.dial(t, nil)
	wait(t, ctx, c, "ready", func(s client.State) bool { return s.Status == client.Ready })
	changed := c.Changes()
	for range 100 {
		c.State()
	}
	select {
	case <-changed:
		t.Error("State reported a change")
	default:
	}
}

func TestClient_Closed(t *testing.T) {
	s := newServer(t)
	c, ctx := s.dial(t, nil)
	wait(t, ctx, c, "ready", func(s client.State) bool { return s.Status == client.Ready })
	c.Close()
	c.Close()
	if _, err := c.Send("x"); !errors.Is(err, client.ErrClosed) {
		t.Errorf("send: %v", err)
	}
	if s := c.State(); !s.Ended || s.ThreadID != "t" {
		t.Errorf("the last state is %+v", s)
	}
	if _, err := c.WaitFor(ctx, func(client.State) bool { return false }); !errors.Is(err, client.ErrClosed) {
		t.Errorf("wait: %v", err)
	}
}

func TestClient_BadInput(t *testing.T) {
	s := newServer(t)
	c, _ := s.dial(t, nil)
	if _, err := c.Send(""); err == nil {
		t.Error("an empty text was sent")
	}
	if _, err := c.Send(strings.Repeat("x", wire.MaxText+1)); err == nil ||
		!strings.Contains(err.Error(), "messages[0].content") {
		t.Errorf("a text that is too long: %v", err)
	}
	if err := c.Open("no/slash"); !errors.Is(err, chat.ErrBadID) {
		t.Errorf("open: %v", err)
	}
	if err := c.Cancel(""); !errors.Is(err, chat.ErrBadID) {
		t.Errorf("cancel: %v", err)
	}
}

func TestDial_Refused(t *testing.T) {
	s := newServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	config := client.Config{URL: s.URL, Token: func(context.Context) (string, error) { return "bad", nil }}
	if _, err := client.Dial(ctx, config); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a bad token: %v", err)
	}
	errSignIn := errors.New("sign-in failed")
	config.Token = func(context.Context) (string, error) { return "", errSignIn }
	ctx, cancel = context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := client.Dial(ctx, config); !errors.Is(err, errSignIn) {
		t.Errorf("no token: %v", err)
	}
}

func TestNewID_Order(t *testing.T) {
	before := ""
	seen := map[string]bool{}
	for range 1000 {
		id := client.NewID()
		if err := chat.CheckID(id); err != nil || seen[id] || id[14] != '7' {
			t.Fatalf("%q: %v", id, err)
		}
		if id[:13] < before {
			t.Fatalf("%q sorts before the earlier id %q", id, before)
		}
		before, seen[id] = id[:13], true
	}
}
