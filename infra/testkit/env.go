package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
)

// sharedTestTimeout bounds one test on the shared stack.
const sharedTestTimeout = 90 * time.Second

// Env is where one test injects faults: a stack, and users whom no other test has. On a shared stack the faults of an
// Env affect only its own users.
type Env struct {
	*testing.T
	*stack.Stack
	Ctx context.Context // of the whole test

	shared bool

	mu          sync.Mutex
	users       []*User
	threads     []chat.ThreadID // of the users
	connections map[string]bool // ids of the connections that have carried a thread of the users
	gateway     apigateway.Faults
	table       proxy.Hook
}

// sharedStack is the stack that the tests of one package share: starting one takes longer than most of them.
type sharedStack struct {
	once  sync.Once
	state string
	stack *stack.Stack
	err   error

	mu   sync.Mutex
	envs map[*Env]bool
}

// Shared returns an Env on the Kit's shared stack. The test runs in parallel with others.
func (k *Kit) Shared(t *testing.T) *Env {
	t.Helper()
	t.Parallel()
	NeedEngine(t)
	s := &k.shared
	s.once.Do(func() { s.err = s.start(k) })
	if s.err != nil {
		t.Fatalf("start the shared stack: %v", s.err)
	}
	e := newEnv(t, s.stack, sharedTestTimeout)
	e.shared = true
	s.mu.Lock()
	s.envs[e] = true
	s.mu.Unlock()
	t.Cleanup(func() {
		s.mu.Lock()
		delete(s.envs, e)
		s.mu.Unlock()
		ReportProblems(t, s.stack)
	})
	return e
}

// Own returns an Env with a stack of its own for a test that runs in parallel with others and takes at most so long.
func (k *Kit) Own(t *testing.T, c stack.Config, limit time.Duration) *Env {
	t.Helper()
	t.Parallel()
	return newEnv(t, k.Start(t, c), limit)
}

func newEnv(t *testing.T, s *stack.Stack, limit time.Duration) *Env {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return &Env{T: t, Stack: s, Ctx: ctx, connections: map[string]bool{}}
}

func (s *sharedStack) start(k *Kit) (err error) {
	s.envs = map[*Env]bool{}
	if s.state, err = os.MkdirTemp("", "carrel-shared"); err != nil {
		return err
	}
	if s.stack, err = k.Launch(context.Background(), stack.Config{State: s.state}); err != nil {
		return err
	}
	s.stack.Gateway().SetFaults(apigateway.Faults{
		Post: func(m apigateway.Message) (f apigateway.PostFault) {
			if fault := s.faultsFor(m).Post; fault != nil {
				f = fault(m)
			}
			return f
		},
		Inbound: func(m apigateway.Message) (f apigateway.MessageFault) {
			if fault := s.faultsFor(m).Inbound; fault != nil {
				f = fault(m)
			}
			return f
		},
		Outbound: func(m apigateway.Message) (f apigateway.MessageFault) {
			if fault := s.faultsFor(m).Outbound; fault != nil {
				f = fault(m)
			}
			return f
		},
	})
	s.stack.DynamoDB().SetHook(s.hook)
	return nil
}

func (s *sharedStack) stop() error {
	if s.stack == nil {
		return nil
	}
	return errors.Join(s.stack.Close(), os.RemoveAll(s.state))
}

// find returns the Env that meets a condition, or nil.
func (s *sharedStack) find(condition func(*Env) bool) *Env {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := range s.envs {
		if condition(e) {
			return e
		}
	}
	return nil
}

// faultsFor returns the faults of the Env whose users have the connection of a message.
func (s *sharedStack) faultsFor(m apigateway.Message) (f apigateway.Faults) {
	if e := s.find(func(e *Env) bool { return e.carries(m) }); e != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		f = e.gateway
	}
	return f
}

// hook passes a request of DynamoDB to the hook of the Env that has the user whom the request is about.
func (s *sharedStack) hook(r proxy.Request) (f proxy.Fault, after func()) {
	e := s.find(func(e *Env) bool { return e.names(r.Body) })
	if e == nil {
		return f, nil
	}
	e.mu.Lock()
	hook := e.table
	e.mu.Unlock()
	if hook == nil {
		return f, nil
	}
	return hook(r)
}

// carries reports whether the connection of a message has carried a thread of the Env's users.
func (e *Env) carries(m apigateway.Message) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if slices.ContainsFunc(e.threads, func(id chat.ThreadID) bool { return bytes.Contains(m.Body, []byte(id)) }) {
		e.connections[m.Connection] = true
	}
	return e.connections[m.Connection]
}

// names reports whether the body of a request has the key of one of the Env's users.
func (e *Env) names(body []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.users, func(u *User) bool { return bytes.Contains(body, []byte("U#"+u.Name)) })
}

// Connections counts the connections that have carried a thread of the Env's users.
func (e *Env) Connections() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.connections)
}

// SetGatewayFaults injects faults into the messages of the Env's users from now on; the zero value ends them.
func (e *Env) SetGatewayFaults(f apigateway.Faults) {
	if !e.shared {
		e.Gateway().SetFaults(f)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gateway = f
}

// SetTableHook passes each request about the Env's users to a hook from now on; nil: to none.
func (e *Env) SetTableHook(h proxy.Hook) {
	if !e.shared {
		e.DynamoDB().SetHook(h)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.table = h
}

// NewUser returns a user whom no other test has.
func (e *Env) NewUser(name string) *User {
	u := NewUser(strings.ToLower(e.Name())+"-"+name+".", 0)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.users = append(e.users, u)
	return u
}

// NewThread returns a new thread of a user.
func (e *Env) NewThread(u *User) chat.ThreadID {
	id := NewThread()
	e.mu.Lock()
	defer e.mu.Unlock()
	u.Threads, e.threads = append(u.Threads, id), append(e.threads, id)
	return id
}

// Open opens a window of a user on a thread and waits until it is ready.
func (e *Env) Open(u *User, thread chat.ThreadID) *Device {
	e.Helper()
	return Open(e.T, e.Ctx, e.Endpoints(), u, thread)
}

// Send sends a message that starts a run.
func (e *Env) Send(d *Device, text string) chat.RunID {
	e.Helper()
	id, err := d.Send(text)
	if err != nil {
		e.Fatal(err)
	}
	return id
}

// WaitFor waits for a state of a window.
func (e *Env) WaitFor(d *Device, what string, condition func(client.State) bool) client.State {
	e.Helper()
	return d.Wait(e.T, e.Ctx, what, condition)
}

// WaitForAnswer waits until the assistant has said a text in a window and no run is active or queued.
func (e *Env) WaitForAnswer(d *Device, text string) client.State {
	e.Helper()
	return e.WaitFor(d, "is idle and shows "+text, func(st client.State) bool {
		return Idle(st) && Says(st, agui.RoleAssistant, text)
	})
}

// Eventually waits for a condition outside of every window.
func (e *Env) Eventually(what string, condition func() bool) {
	e.Helper()
	Eventually(e.T, e.Ctx, what, condition)
}

// WaitForRest waits until no process of a function works for a user; "": for any user.
func (e *Env) WaitForRest(function, user string) {
	e.Helper()
	WaitForRest(e.T, e.Ctx, e.Stack, function, user)
}

// WaitForRest waits until no process of a function works for a user; "": for any user.
func WaitForRest(t testing.TB, ctx context.Context, s *stack.Stack, function, user string) {
	t.Helper()
	Eventually(t, ctx, function+" is at rest", func() bool {
		return s.Host().Thaw(s.Function(function), user) == 0 // thawing a process that is not frozen has no effect
	})
}

// ReadLog returns the log of a thread, in order.
func (e *Env) ReadLog(thread chat.ThreadID) []json.RawMessage {
	e.Helper()
	return Logs(e.T, e.Ctx, e.Endpoints())[thread].Raw(e.T)
}

// Signal is something that happens once and can be waited for.
type Signal struct {
	once sync.Once
	done chan struct{}
}

// NewSignal returns a Signal that has not happened.
func NewSignal() *Signal { return &Signal{done: make(chan struct{})} }

// Fire makes the signal happen; later calls have no effect.
func (s *Signal) Fire() { s.once.Do(func() { close(s.done) }) }

// Fired reports whether the signal has happened.
func (s *Signal) Fired() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// Wait waits for the signal until ctx ends, and returns the error of ctx then.
func (s *Signal) Wait(ctx context.Context) error {
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// WaitForSignal waits for a signal.
func (e *Env) WaitForSignal(s *Signal, what string) {
	e.Helper()
	if err := s.Wait(e.Ctx); err != nil {
		e.Fatalf("wait for %s: %v", what, err)
	}
}
