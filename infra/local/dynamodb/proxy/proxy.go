// Package proxy is a reverse proxy in front of a DynamoDB engine. It identifies each caller by its access key id and
// counts its requests and the capacity units that AWS would bill. It authenticates and authorizes requests with the
// functions of its Config. On request it injects faults: conflicts, throttles, lost responses, errors, and indexes that
// lag.
//
// The units are those that the engine reports; the proxy asks for them with every request. A write whose condition
// fails costs units on AWS, but engines do not report them. It counts with the minimum that AWS bills.
package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"carrel/infra/local/loopback"
)

const (
	requestTime = 30 * time.Second // limit for the engine's response
	stopTime    = 2 * time.Second  // limit for running requests when the proxy closes
	maxBody     = 17 << 20         // DynamoDB's largest request is 16 MB
)

// Config describes a proxy. Its functions are called concurrently.
type Config struct {
	// Engine is the URL of the engine.
	Engine string
	// Name returns the name of a caller. nil means that the access key id is the name.
	Name func(accessKeyID string) string
	// Faults are the faults from the start. SetFaults replaces them.
	Faults Faults
	// Signed returns nil for a request with a valid signature by its access key. nil accepts all requests.
	Signed func(r *http.Request, body []byte) *Denial
	// Allow returns nil for a request that its caller may make. It runs before anything else happens. nil accepts all.
	Allow func(accessKeyID, token, operation string, body []byte) *Denial
	// Meter, if not nil, receives each request after it is counted.
	Meter func(Metered)
	// Log, if not nil, receives the seed of faults, and errors.
	Log func(line string)
}

// Denial is the reason why a request is denied, as AWS reports it.
type Denial struct{ Code, Message string }

// Proxy is a running proxy. Its methods are safe for concurrent use.
type Proxy struct {
	c        Config
	url      string
	server   *loopback.Server
	client   *http.Transport
	serving  sync.WaitGroup
	closing  sync.Once
	closeErr error

	mu     sync.Mutex
	faults Faults
	random *rand.Rand
	hook   Hook
	calls  map[string]int    // by caller, for the hook
	usage  map[string]*Usage // by caller
	dialed map[string]bool   // caller and remote address of each connection seen
}

// Start listens on a free port of the loopback interface and serves until Close is called. It fails if the faults are
// invalid or no port is free.
func Start(c Config) (*Proxy, error) {
	if c.Log == nil {
		c.Log = func(string) {}
	}
	if c.Name == nil {
		c.Name = func(id string) string { return id }
	}
	p := &Proxy{c: c, usage: map[string]*Usage{}, dialed: map[string]bool{}, client: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute, DisableCompression: true,
	}}
	if err := p.SetFaults(c.Faults); err != nil {
		return nil, err
	}
	l, err := loopback.Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the DynamoDB proxy: %w", err)
	}
	p.url = "http://" + l.Addr()
	p.server = l.Server(loopback.Config{Handler: p, Log: func(line string) { p.c.Log("dynamodb: " + line) }})
	p.serving.Go(func() {
		if err := p.server.Serve(); err != nil {
			p.c.Log("serve the DynamoDB proxy: " + err.Error())
		}
	})
	return p, nil
}

// URL returns the proxy's address, without a trailing slash.
func (p *Proxy) URL() string { return p.url }

// Close stops serving. Running requests get two seconds to finish. Close may be called more than once.
func (p *Proxy) Close() error {
	p.closing.Do(func() {
		p.closeErr = p.server.Stop(stopTime)
		p.serving.Wait()
		p.client.CloseIdleConnections()
	})
	return p.closeErr
}

// call is a request in progress.
type call struct {
	caller, operation string
	from              string // remote address of its connection
	header            http.Header
	body              []byte
	injection         injection
}

// ServeHTTP serves one request.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		write(w, failure(http.StatusBadRequest, "SerializationException", "the request could not be read"))
		return
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	c := &call{caller: p.c.Name(accessKey(r.Header.Get("Authorization"))), operation: operation, header: r.Header,
		body: body, from: r.RemoteAddr}
	if denied := p.denied(r, operation, body); denied != nil {
		refused := errorAnswer(http.StatusBadRequest,
			map[string]any{"__type": "com.amazon.coral.service#" + denied.Code,
				"Message": denied.Message})
		p.c.Log(fmt.Sprintf("dynamodb: %s of %s is refused: %s: %s", operation, c.caller, denied.Code, denied.Message))
		p.count(c, &refused)
		write(w, refused)
		return
	}
	c.injection = p.choose(c)
	after := p.callHook(c)
	if refused := c.faultResponse(); refused != nil {
		p.count(c, refused)
		write(w, *refused)
		return
	}
	// Not cancelled with the caller: DynamoDB completes a request that its caller no longer waits for.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), requestTime)
	defer cancel()
	rest := c.splitBatch()
	got, err := p.forward(ctx, c)
	if err != nil {
		p.c.Log(fmt.Sprintf("dynamodb: %s of %s: %v", operation, c.caller, err))
		write(w, failure(http.StatusServiceUnavailable, "ServiceUnavailable", "the engine does not answer"))
		return
	}
	p.count(c, &got)
	got.setUnprocessed(rest)
	c.delayIndex(r.Context())
	if after != nil {
		after()
	}
	switch {
	case c.injection.kind == lost && got.status == http.StatusOK && c.injection.silent:
		panic(http.ErrAbortHandler) // closes the connection without a response
	case c.injection.kind == lost && got.status == http.StatusOK:
		got = failure(http.StatusInternalServerError, "InternalServerError",
			"the response to a completed request is lost: an injected fault")
	}
	write(w, got)
}

// denied returns the denial of a request that is not signed or not allowed, or nil.
func (p *Proxy) denied(r *http.Request, operation string, body []byte) *Denial {
	if p.c.Signed != nil {
		if denied := p.c.Signed(r, body); denied != nil {
			return denied
		}
	}
	if p.c.Allow != nil {
		key, token := accessKey(r.Header.Get("Authorization")), r.Header.Get("X-Amz-Security-Token")
		return p.c.Allow(key, token, operation, body)
	}
	return nil
}

// answer is an HTTP response.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (p *Proxy) forward(ctx context.Context, c *call) (answer, error) {
	out, err := http.NewRequestWithContext(ctx, http.MethodPost, p.c.Engine+"/",
		bytes.NewReader(withConsumedCapacity(c)))
	if err != nil {
		return answer{}, err
	}
	for _, name := range [...]string{"Authorization", "Content-Type", "X-Amz-Date", "X-Amz-Security-Token",
		"X-Amz-Target"} {
		if value := c.header.Get(name); value != "" {
			out.Header.Set(name, value)
		}
	}
	response, err := p.client.RoundTrip(out)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return answer{}, err
	}
	return answer{response.StatusCode, response.Header, body}, nil
}

func write(w http.ResponseWriter, a answer) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a write error means that the client has disconnected
}

// accessKey returns the access key id in a SigV4 Authorization header, or "".
func accessKey(authorization string) string {
	_, rest, _ := strings.Cut(authorization, "Credential=")
	id, _, _ := strings.Cut(rest, "/")
	return id
}
