package audit_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// stage is where a fault strikes: a stack of real processes, and a person with one thread.
type stage struct {
	*testing.T
	*stack.Stack
	ctx   context.Context // of the whole test
	alice *person
}

// newStage starts a stack for one test, which runs beside others.
func newStage(t *testing.T, c stack.Config) *stage { return newStageFor(t, c, 75*time.Second) }

// newStageFor is newStage for a test that takes longer.
func newStageFor(t *testing.T, c stack.Config, limit time.Duration) *stage {
	t.Helper()
	t.Parallel()
	s := startWith(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return &stage{T: t, Stack: s, ctx: ctx, alice: newPerson("alice")}
}

func newPerson(name string) *person {
	return &person{name: name, secret: "secret-" + rand.Text(), threads: []chat.ThreadID{chat.ThreadID(chat.NewID(time.Now()))}}
}

// heavy skips a test that takes long, unless make faults runs it.
func heavy(t *testing.T) {
	t.Helper()
	if os.Getenv("CARREL_FAULTS") == "" {
		t.Skip("it takes long: make faults runs it")
	}
}

// window is a window of alice on her thread, once it is ready.
func (g *stage) window() *socket {
	g.Helper()
	return mustOpen(g.T, g.ctx, g.Endpoints(), g.alice, g.alice.threads[0])
}

func (g *stage) send(s *socket, script string) chat.RunID {
	g.Helper()
	id, err := s.Send(script)
	if err != nil {
		g.Fatal(err)
	}
	return id
}

func (g *stage) await(s *socket, what string, wanted func(client.State) bool) client.State {
	g.Helper()
	st, err := s.WaitFor(g.ctx, wanted)
	if err != nil {
		g.Fatalf("%s: %v; the window shows %+v", what, err, st)
	}
	return st
}

// said waits until a window has shown the assistant say a text and nothing runs any more.
func (g *stage) said(s *socket, text string) client.State {
	g.Helper()
	return g.await(s, "the run that says "+text, func(st client.State) bool { return idle(st) && says(st, agui.RoleAssistant, text) })
}

// exact waits until the windows on a thread show all of it, and wants them to show the same: what was sent to each is in
// the log, the log has no gap, and of so many runs each began once and ended once.
func (g *stage) exact(runs int, windows ...*socket) {
	g.Helper()
	all, err := logs(g.ctx, g.Endpoints())
	if err != nil {
		g.Fatal(err)
	}
	var first []agui.Message
	for i, w := range windows {
		log := all[w.State().ThreadID]
		st := g.await(w, "all of the thread", func(st client.State) bool { return idle(st) && st.Seq == chat.Seq(len(log)) })
		if err := log.check(w.read(g.T, []*person{g.alice}), runs); err != nil {
			g.Errorf("window %d: %v", i, err)
		}
		if i == 0 {
			first = st.Messages
		}
		if !slices.EqualFunc(first, st.Messages, sameMessage) {
			g.Errorf("window %d shows %+v, the first %+v", i, st.Messages, first)
		}
	}
}

func sameMessage(a, b agui.Message) bool {
	return a.ID == b.ID && a.Role == b.Role && a.Content == b.Content && len(a.ToolCalls) == len(b.ToolCalls)
}

// asked counts the user's messages that a window shows with a text; "": all of them.
func asked(st client.State, text string) (n int) {
	for _, m := range st.Messages {
		if m.Role == agui.RoleUser && (text == "" || m.Content == text) {
			n++
		}
	}
	return n
}

// connection is the one of a window's last ready.
func (g *stage) connection(s *socket) string {
	g.Helper()
	return string(s.ready(g.T).ConnectionID)
}

// openWith is open with tokens of the test's own.
func openWith(ctx context.Context, e stack.Endpoints, who *person, thread chat.ThreadID, token func() string) (*socket, error) {
	s := &socket{who: who, thread: thread}
	var err error
	s.Client, err = client.Dial(ctx, client.Config{
		URL: e.WebSocket, Thread: s.thread,
		Token: func(context.Context) (string, error) { return token(), nil },
		OnFrame: func(m []byte) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.messages = append(s.messages, slices.Clone(m))
		},
	})
	return s, err
}

// frames are those of one kind that reached a window, in order.
func frames[F wire.ServerFrame](g *stage, s *socket) (all []F) {
	g.Helper()
	var joiner wire.Joiner
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		frame, _, err := decode(&joiner, m)
		if f, ok := frame.(F); ok && err == nil {
			all = append(all, f)
		}
	}
	return all
}

// inbox keeps what clients have sent, by connection and in order.
type inbox struct {
	mu   sync.Mutex
	sent map[string][][]byte
}

// listen keeps what clients send from now on; fault, if there is one, says what becomes of each message.
func (g *stage) listen(fault func(apigateway.Message) apigateway.MessageFault) *inbox {
	in := &inbox{sent: map[string][][]byte{}}
	g.Gateway().SetFaults(apigateway.Faults{Inbound: func(m apigateway.Message) apigateway.MessageFault {
		in.mu.Lock()
		in.sent[m.Connection] = append(in.sent[m.Connection], slices.Clone(m.Body))
		in.mu.Unlock()
		if fault == nil {
			return apigateway.MessageFault{}
		}
		return fault(m)
	}})
	return in
}

// count is how many messages of a type a connection has sent.
func (in *inbox) count(connection, kind string) (n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, m := range in.sent[connection] {
		if isFrame(m, kind) {
			n++
		}
	}
	return n
}

func isFrame(m []byte, kind string) bool { return bytes.Contains(m, []byte(`"type":"`+kind+`"`)) }

// holds tells whether a request of DynamoDB has each of some texts in it.
func holds(r proxy.Request, operation string, texts ...string) bool {
	if r.Operation != operation {
		return false
	}
	return !slices.ContainsFunc(texts, func(t string) bool { return !bytes.Contains(r.Body, []byte(t)) })
}

// signal is closed once, by whoever comes first.
type signal struct {
	once sync.Once
	c    chan struct{}
}

func newSignal() *signal { return &signal{c: make(chan struct{})} }

func (s *signal) give() { s.once.Do(func() { close(s.c) }) }

func (s *signal) given() bool {
	select {
	case <-s.c:
		return true
	default:
		return false
	}
}

// until waits for a signal.
func (g *stage) until(s *signal, what string) {
	g.Helper()
	select {
	case <-s.c:
	case <-g.ctx.Done():
		g.Fatalf("%s: it did not happen", what)
	}
}

// contextWithin bounds one read of a socket.
func contextWithin(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Minute)
}
