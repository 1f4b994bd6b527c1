// Package apigateway runs one API Gateway WebSocket API on this machine, with its @connections management API on the
// same port. Its goal is fidelity: what AWS rejects, drops, reorders or cuts off, this package rejects, drops, reorders
// or cuts off too, so that a bug in Carrel shows up locally.
//
// Where AWS documents no behaviour, this package does the following:
//
//   - If the authorizer fails with an error other than "Unauthorized", times out or returns an invalid response, the
//     handshake's status is 500. If the $connect function does, it is 502.
//   - A path other than /<stage> gets 403, a request that is not a WebSocket upgrade 426, and a broken handshake 400.
//   - Only messages, in either direction, reset the idle timeout. Control frames do not.
//   - The idle timeout, the maximum lifetime and Close end a socket with 1001 "Going away". DELETE ends it with 1000.
//   - Close cancels running functions. $disconnect functions get two more seconds.
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

// Limits of AWS, in bytes, and our own limits where AWS publishes none.
const (
	frameLimit      = 32 << 10
	messageLimit    = 128 << 10
	urlLimit        = 4096
	headLimit       = 10240
	authorizerLimit = 8 << 10
	outboundLimit   = 256 << 10 // bytes buffered for a client that reads slowly
	systemBuffer    = 64 << 10  // further bytes that the system's socket buffer may hold
	inFlightLimit   = 100       // concurrent invocations for one socket; then reading from it pauses

	writeTimeout    = 30 * time.Second // a client that accepts no bytes for this long is disconnected
	closeGrace      = time.Second      // time for the closing handshake
	disconnectGrace = 2 * time.Second  // time for $disconnect functions after Close was called
	bodyTimeout     = 10 * time.Second
	keepAlive       = 2 * time.Minute // idle time of HTTP connections to @connections
)

// Invoker invokes a function synchronously. functionError is "" for success, or "Handled" or "Unhandled"; then response
// is the error as JSON. err means that the function could not be invoked or that ctx ended. Invoke is called
// concurrently.
type Invoker interface {
	Invoke(ctx context.Context, function string, payload []byte) (response []byte, functionError string, err error)
}

// Config describes the API to serve.
type Config struct {
	Addr                          string // host:port; port 0 means a free port
	APIID, Stage, Region, Account string
	// Routes maps a route key ($connect, $disconnect, $default or a custom one) to the name of its function.
	Routes                         map[string]string
	RouteSelectionExpression       string // $request.body.<member>; may be empty without custom routes
	Authorizer                     string // name of the authorizer function; "" for none
	Invoker                        Invoker
	Idle, Life, IntegrationTimeout time.Duration // defaults: 10 min, 2 h, 29 s

	// Reorder, if not 0, delays each message by a random time below it, so that messages of one socket that arrive
	// within that time reach their functions in any order. AWS guarantees no order either. Seed and the order in which
	// sockets open determine the delays. A Seed of 0 is replaced by a random one. The seed is logged.
	Reorder time.Duration
	Seed    uint64

	// LoseDisconnects does not invoke $disconnect. AWS delivers $disconnect events on a best-effort basis only.
	LoseDisconnects bool

	// Origins are the web origins that may open sockets, such as http://127.0.0.1:3000. A client that sends no Origin
	// header is not a web page and is accepted.
	Origins []string

	// AccessKeys returns the secret of an access key that may call @connections, or false for an unknown key. If it is
	// nil, every caller is accepted whose request has a signature header for the service execute-api. It is called
	// concurrently.
	AccessKeys func(accessKeyID string) (secret string, ok bool)

	// Meter, if set, is notified of everything that AWS bills.
	Meter Meter

	// Log, if set, receives one line per connection, refused handshake and failed function, which never contains
	// headers, query parameters or bodies. It is called concurrently.
	Log func(line string)
}

// Gateway is a running WebSocket API.
type Gateway struct {
	c        Config
	member   string // the body's member that names the route; "" without custom routes
	listener *loopback.Listener
	server   *loopback.Server
	verifier *sigv4.Verifier

	invokes    context.Context // for $connect and messages: cancelled when closing begins
	endInvokes context.CancelFunc
	last       context.Context // for $disconnect: cancelled disconnectGrace later
	endLast    context.CancelFunc
	grace      *time.Timer
	unhook     func() bool
	closing    sync.Once

	received, posted atomic.Int64

	mu      sync.Mutex
	closed  bool
	opened  uint64 // number of sockets opened so far
	sockets map[string]*socket
	faults  Faults
	running sync.WaitGroup // handlers, sockets, invocations, the server
}

// Start listens and serves until Close is called. If ctx ends first, all sockets are closed and new requests are
// refused, but Close must still be called. Start fails if the config is invalid or the address is taken.
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
		g.logf("reordering messages closer than %s with seed %d", c.Reorder, g.c.Seed)
	}
	g.unhook = context.AfterFunc(ctx, func() { g.closing.Do(g.beginClose) })
	return g, nil
}

// check applies the defaults and returns the body's member that names the route.
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
			return "", fmt.Errorf("config: %q is not a route key", key)
		case member == "":
			return "", fmt.Errorf("config: route %q needs a RouteSelectionExpression", key)
		}
		custom = true
	}
	if !custom {
		member = "" // no body has to be parsed
	}
	if c.Reorder < 0 || c.Idle < 0 || c.Life < 0 || c.IntegrationTimeout < 0 {
		return "", errors.New("config: a duration is negative")
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

// URL returns the address for clients: ws://host:port/<stage>.
func (g *Gateway) URL() string { return "ws://" + g.listener.Addr() + "/" + g.c.Stage }

// Management returns the base address of @connections: http://host:port/<stage>.
func (g *Gateway) Management() string {
	return "http://" + g.listener.Addr() + "/" + g.c.Stage
}

// Close ends all sockets with code 1001, cancels running functions, gives $disconnect functions two seconds, and
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

// enter counts a request as running, or returns false once closing has begun: then Close waits for a fixed set of
// requests.
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
	if g.c.Reorder > 0 {
		s.random = rand.New(rand.NewPCG(g.c.Seed, g.opened))
	}
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

// lines adapts a log function to the io.Writer that net/http needs for its errors.
type lines func(line string)

func (l lines) Write(p []byte) (int, error) {
	l("http: " + strings.TrimSpace(string(p)))
	return len(p), nil
}
