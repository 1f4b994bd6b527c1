package audit_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/stack"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// faultTime bounds one test of a fault.
const faultTime = 90 * time.Second

// common is the stack that the tests of faults share: to start one costs more than most of them, and what strikes one
// user is nothing to another. TestMain stops it.
var common sharedStack

type sharedStack struct {
	once  sync.Once
	state string
	stack *stack.Stack
	err   error

	mu      sync.Mutex
	grounds map[*ground]bool
}

// ground is the shared stack for one test: with people of its own, and with faults that strike nobody else.
type ground struct {
	*stack.Stack
	t   *testing.T
	ctx context.Context

	mu          sync.Mutex
	users       []string
	threads     []chat.ThreadID
	connections map[string]bool // seen to carry one of the threads
	gateway     apigateway.Faults
	store       proxy.Hook
}

// onFaults gives a test its ground. It runs beside the others.
func onFaults(t *testing.T) *ground {
	t.Helper()
	t.Parallel()
	needEngine(t)
	common.once.Do(common.start)
	if common.err != nil {
		t.Fatalf("starting the stack: %v", common.err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), faultTime)
	g := &ground{Stack: common.stack, t: t, ctx: ctx, connections: map[string]bool{}}
	common.mu.Lock()
	common.grounds[g] = true
	common.mu.Unlock()
	t.Cleanup(func() {
		cancel()
		common.mu.Lock()
		delete(common.grounds, g)
		common.mu.Unlock()
		if t.Failed() {
			complain(t, g.Stack)
		}
	})
	return g
}

func (c *sharedStack) start() {
	c.grounds = map[*ground]bool{}
	if c.state, c.err = os.MkdirTemp("", "carrel-faults"); c.err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	binaries, err := programs.get(ctx)
	if c.err = err; err != nil {
		return
	}
	c.stack, c.err = stack.Start(ctx, stack.Config{Root: "../..", State: c.state, Binaries: binaries,
		DynamoDB: os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"), Parameters: anyFrames(nil)})
	if c.err != nil {
		return
	}
	c.stack.Gateway().SetFaults(apigateway.Faults{Post: c.post, Inbound: c.inbound, Outbound: c.outbound})
	c.stack.DynamoDB().SetHook(c.request)
}

func (c *sharedStack) stop() error {
	var err error
	if c.stack != nil {
		err = c.stack.Close()
	}
	return errors.Join(err, os.RemoveAll(c.state))
}

// find is the ground that something belongs to, or nil.
func (c *sharedStack) find(is func(*ground) bool) *ground {
	c.mu.Lock()
	defer c.mu.Unlock()
	for g := range c.grounds {
		if is(g) {
			return g
		}
	}
	return nil
}

func (c *sharedStack) post(m apigateway.Message) (f apigateway.PostFault) {
	if g := c.find(func(g *ground) bool { return g.carries(m) }); g != nil {
		if ask := g.faults().Post; ask != nil {
			f = ask(m)
		}
	}
	return f
}

func (c *sharedStack) inbound(m apigateway.Message) (f apigateway.MessageFault) {
	if g := c.find(func(g *ground) bool { return g.carries(m) }); g != nil {
		if ask := g.faults().Inbound; ask != nil {
			f = ask(m)
		}
	}
	return f
}

func (c *sharedStack) outbound(m apigateway.Message) (f apigateway.MessageFault) {
	if g := c.find(func(g *ground) bool { return g.carries(m) }); g != nil {
		if ask := g.faults().Outbound; ask != nil {
			f = ask(m)
		}
	}
	return f
}

func (c *sharedStack) request(r proxy.Request) (f proxy.Fault, after func()) {
	g := c.find(func(g *ground) bool {
		return g.has(func(user string) bool { return bytes.Contains(r.Body, []byte("U#"+user)) })
	})
	if g == nil {
		return f, nil
	}
	g.mu.Lock()
	ask := g.store
	g.mu.Unlock()
	if ask == nil {
		return f, nil
	}
	return ask(r)
}

// carries reports whether a message is on a connection of the ground's people: one that has carried a thread of theirs.
func (g *ground) carries(m apigateway.Message) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.connections[m.Connection] {
		return true
	}
	for _, id := range g.threads {
		if bytes.Contains(m.Body, []byte(id)) {
			g.connections[m.Connection] = true
			return true
		}
	}
	return false
}

func (g *ground) has(is func(user string) bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, user := range g.users {
		if is(user) {
			return true
		}
	}
	return false
}

func (g *ground) faults() apigateway.Faults {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.gateway
}

// strike has messages of the ground's people meet faults from now on.
func (g *ground) strike(f apigateway.Faults) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gateway = f
}

// onStore has each request about the ground's people pass through a hook from now on.
func (g *ground) onStore(h proxy.Hook) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.store = h
}

// person is somebody whom no other test knows.
func (g *ground) person(name string) *person {
	p := &person{name: strings.ToLower(g.t.Name()) + "-" + name + ".", secret: "secret-" + rand.Text()}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users = append(g.users, p.name)
	return p
}

// thread is a new thread of a person's.
func (g *ground) thread(p *person) chat.ThreadID {
	id := chat.ThreadID(chat.NewID(time.Now()))
	p.threads = append(p.threads, id)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.threads = append(g.threads, id)
	return id
}

// window opens a thread in a real client.
func (g *ground) window(p *person, thread chat.ThreadID) *socket {
	g.t.Helper()
	return mustOpen(g.t, g.ctx, g.Endpoints(), p, thread)
}

// send asks for a run.
func (g *ground) send(w *socket, text string) chat.RunID {
	g.t.Helper()
	id, err := w.Send(text)
	if err != nil {
		g.t.Fatal(err)
	}
	return id
}

// wait waits for what a window shows.
func (g *ground) wait(w *socket, what string, wanted func(client.State) bool) client.State {
	g.t.Helper()
	wait(g.t, g.ctx, w, what, wanted)
	return w.State()
}

// log is a thread's log as it stands in the table, in order and without a gap.
func (g *ground) log(thread chat.ThreadID) []json.RawMessage {
	g.t.Helper()
	all, err := logs(g.ctx, g.Endpoints())
	if err != nil {
		g.t.Fatal(err)
	}
	log := all[thread]
	for seq := chat.Seq(1); seq <= chat.Seq(len(log)); seq++ {
		if log[seq] == nil {
			g.t.Fatalf("event %d of %d is missing in the log", seq, len(log))
		}
	}
	return log.raw()
}
