// Package apigateway runs one API Gateway WebSocket API on this machine, with its @connections management API on the
// same port. Its measure is fidelity: what AWS refuses, drops, reorders or cuts off, this refuses, drops, reorders or
// cuts off too, so that a bug of ours shows here and not there.
//
// Where AWS says nothing, it does this:
//
//   - A fault of the authorizer (it fails with anything but "Unauthorized", times out, or its answer is unusable) is
//     500; of the $connect function 502.
//   - A path other than /<stage> is 403; a request to it that asks for no WebSocket is 426, a broken handshake 400.
//   - Control frames do not count as traffic: only messages, in or out, put off the idle limit.
//   - Idle and life limits and Close end a socket with 1001 "Going away"; DELETE of a connection ends it with 1000.
//   - When Close is called, functions that run are cut off; $disconnect functions get two more seconds.
package apigateway

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"carrel/infra/local/loopback"
	"carrel/infra/local/sigv4"
)

// Limits of AWS, in bytes, and what this stack adds to them where AWS keeps its own figure to itself.
const (
	frameLimit      = 32 << 10
	messageLimit    = 128 << 10
	urlLimit        = 4096
	headLimit       = 10240
	authorizerLimit = 8 << 10
	outboundLimit   = 256 << 10 // what may wait for a client that reads slowly
	systemBuffer    = 64 << 10  // what the system may keep of it besides
	inFlightLimit   = 100       // functions at work for one socket; then it is not read from

	writeTimeout    = 30 * time.Second // a client that takes nothing for so long is lost
	closeGrace      = time.Second      // for the closing handshake
	disconnectGrace = 2 * time.Second  // for $disconnect functions once Close was called
	bodyTimeout     = 10 * time.Second
	keepAlive       = 2 * time.Minute // of callers of @connections
)

// Invoker invokes a function synchronously. functionError is "" (it answered), "Handled" or "Unhandled" (response is
// then the error's JSON); err says that the function could not be invoked at all, or that ctx ended. It is called
// concurrently.
type Invoker interface {
	Invoke(ctx context.Context, function string, payload []byte) (response []byte, functionError string, err error)
}

// Config says what API to serve and where.
type Config struct {
	Addr                          string // host:port; port 0 takes a free one
	APIID, Stage, Region, Account string
	// route key ($connect, $disconnect, $default, custom) → function name
	Routes                         map[string]string
	RouteSelectionExpression       string // $request.body.<member>; may be empty if there is no custom route
	Authorizer                     string // function name; "" for none
	Invoker                        Invoker
	Idle, Life, IntegrationTimeout time.Duration // 0: 10 min, 2 h, 29 s

	// Reorder, if it is not 0, holds each message back for a random time up to it before its function is invoked, so
	// that messages which are closer together come in any order: AWS promises none. The times follow from Seed and from
	// the order in which sockets opened; a Seed of 0 is replaced by a random one. The log tells the seed.
	Reorder time.Duration
	Seed    uint64

	// LoseDisconnects keeps every $disconnect from its function: AWS sends them best effort.
	LoseDisconnects bool

	// Origins are the web pages that may open sockets, such as http://127.0.0.1:3000. A client that sends no Origin is
	// no page.
	Origins []string

	// AccessKeys says who may call @connections: the secret of an access key, false for an unknown one. If it is nil
	// nobody is refused for who they are, but a signature's header for the service execute-api must be there. It is
	// called concurrently.
	AccessKeys func(accessKeyID string) (secret string, ok bool)

	// Meter, if there is one, is told of what AWS bills.
	Meter Meter

	// Log, if there is one, gets one line a connection, refusal or failed function: never headers, query or bodies. It
	// is called concurrently.
	Log func(line string)
}

// Gateway is a WebSocket API that is being served.
type Gateway struct {
	c        Config
	member   string // of the body, that names the route; "" if there is none but $default
	listener *loopback.Listener
	server   *loopback.Server
	verifier *sigv4.Verifier

	invokes    context.Context // of $connect and messages: ends when closing begins
	endInvokes context.CancelFunc
	last       context.Context // of $disconnect: ends disconnectGrace later
	endLast    context.CancelFunc
	grace      *time.Timer
	unhook     func() bool
	closing    sync.Once

	received, posted atomic.Int64

	mu      sync.Mutex
	closed  bool
	opened  uint64 // sockets so far
	sockets map[string]*socket
	faults  Faults
	running sync.WaitGroup // handlers, sockets, invocations, the server
}

// Start listens and serves until Close is called. If ctx ends first, all sockets end and new requests are refused, and
// Close must be called all the same. It fails if the config is unusable or the address taken.
func Start(ctx context.Context, c Config) (*Gateway, error) {
	member, err := c.check()
	if err != nil {
		return nil, fmt.Errorf("apigateway: %w", err)
	}
	listener, err := loopback.Listen(ctx, c.Addr)
	if err != nil {
		return nil, fmt.Errorf("apigateway: listen: %w", err)
	}
	g := &Gateway{c: c, member: member, listener: listener, verifier: sigv4.New("execute-api", c.Region, c.AccessKeys),
		sockets: map[string]*socket{}}
	g.invokes, g.endInvokes = context.WithCancel(ctx)
	g.last, g.endLast = context.WithCancel(context.WithoutCancel(ctx))
	g.server = listener.Server(loopback.Config{Handler: g, Origins: c.Origins, MaxHead: headLimit, Idle: keepAlive,
		Log: g.log, Errors: log.New(lines(g.log), "", 0)})
	g.running.Go(func() {
		if err := g.server.Serve(); err != nil {
			g.logf("serve: %v", err)
		}
	})
	if c.Reorder > 0 {
		g.logf("messages closer than %s are reordered with seed %d", c.Reorder, g.c.Seed)
	}
	g.unhook = context.AfterFunc(ctx, func() { g.closing.Do(g.beginClose) })
	return g, nil
}

// check fills in defaults and gives the body's member that names the route.
func (c *Config) check() (member string, err error) {
	for _, f := range [...]struct{ name, value string }{{"Addr", c.Addr}, {"APIID", c.APIID}, {"Stage", c.Stage},
		{"Region", c.Region}, {"Account", c.Account}} {
		if f.value == "" {
			return "", fmt.Errorf("config: set %s", f.name)
		}
	}
	if c.Invoker == nil {
		return "", errors.New("config: set Invoker")
	}
	member, ok := strings.CutPrefix(c.RouteSelectionExpression, "$request.body.")
	if c.RouteSelectionExpression != "" && (!ok || member == "") {
		return "", fmt.Errorf("config: RouteSelectionExpression %q: only $request.body.<member> is served",
			c.RouteSelectionExpression)
	}
	custom := false
	for key := range c.Routes {
		switch {
		case key == "$connect" || key == "$disconnect" || key == "$default":
			continue
		case key == "" || key[0] == '$':
			return "", fmt.Errorf("config: %q is no route key", key)
		case member == "":
			return "", fmt.Errorf("config: route %q needs a RouteSelectionExpression", key)
		}
		custom = true
	}
	if !custom {
		member = "" // no body need be looked into
	}
	if c.Reorder < 0 || c.Idle < 0 || c.Life < 0 || c.IntegrationTimeout < 0 {
		return "", errors.New("config: a time is negative")
	}
	for c.Seed == 0 {
		c.Seed = rand.Uint64()
	}
	c.Routes = maps.Clone(c.Routes)
	for _, d := range [...]struct {
		value    *time.Duration
		fallback time.Duration
	}{{&c.Idle, 10 * time.Minute}, {&c.Life, 2 * time.Hour}, {&c.IntegrationTimeout, 29 * time.Second}} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	return member, nil
}

// URL is what a client connects to: ws://host:port/<stage>.
func (g *Gateway) URL() string { return "ws://" + g.listener.Addr() + "/" + g.c.Stage }

// Management is the base of @connections: http://host:port/<stage>.
func (g *Gateway) Management() string {
	return "http://" + g.listener.Addr() + "/" + g.c.Stage
}

// Close ends all sockets (1001), cuts off the functions that run, lets $disconnect functions run for two seconds, and
// returns when nothing of the gateway runs any more. It may be called more than once.
func (g *Gateway) Close() error {
	g.unhook()
	g.closing.Do(g.beginClose)
	err := g.server.Stop(closeGrace)
	g.running.Wait()
	g.grace.Stop()
	g.endLast()
	if err != nil {
		return fmt.Errorf("apigateway: close: %w", err)
	}
	return nil
}

func (g *Gateway) beginClose() {
	g.mu.Lock()
	g.closed = true
	open := slices.Collect(maps.Values(g.sockets))
	g.mu.Unlock()
	g.endInvokes()
	g.grace = time.AfterFunc(disconnectGrace, g.endLast)
	for _, s := range open {
		s.end(ending{ws.StatusGoingAway, "Going away", true})
	}
}

// enter counts a request in, unless closing has begun: Close must not wait for what could still grow.
func (g *Gateway) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.running.Add(1)
	return true
}

func (g *Gateway) register(s *socket) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.sockets[s.id] = s
	g.opened++
	s.dice = rand.New(rand.NewPCG(g.c.Seed, g.opened))
	return true
}

func (g *Gateway) unregister(s *socket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sockets, s.id)
}

func (g *Gateway) socket(id string) *socket {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sockets[id]
}

func (g *Gateway) log(line string) {
	if g.c.Log != nil {
		g.c.Log(line)
	}
}

func (g *Gateway) logf(format string, args ...any) { g.log(fmt.Sprintf(format, args...)) }

// lines is a log function as the writer that net/http wants.
type lines func(line string)

func (l lines) Write(p []byte) (int, error) {
	l("http: " + strings.TrimSpace(string(p)))
	return len(p), nil
}
