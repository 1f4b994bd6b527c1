// Package proxy stands in front of a DynamoDB engine. It knows each caller by its access key id, counts its requests
// and the capacity units that AWS would bill, and on request does what AWS does on bad days: conflicts, throttles,
// answers that are lost, errors, and indexes that are behind. Whether a request is signed, and whether its caller may
// do what it asks for, it asks its Config.
//
// Units are the engine's own figures, which it is asked for with every request. What a condition refuses costs units on
// AWS and is not reported by engines: it counts as the least that AWS bills for it.
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
	requestTime = 30 * time.Second // for the engine to answer
	stopTime    = 2 * time.Second  // for requests that are being answered when the proxy closes
	maxBody     = 17 << 20         // DynamoDB's largest request has 16 MB
)

// Config says what stands behind a proxy and who its callers are.
type Config struct {
	Engine string                          // its URL
	Name   func(accessKeyID string) string // of a caller; nil: the access key id. It is called concurrently
	Faults Faults                          // from the start; see SetFaults
	// Signed decides whether a request was signed by the holder of its access key; nil, or a nil answer: it was. It is
	// called concurrently.
	Signed func(r *http.Request, body []byte) *Denial
	// Allow decides about each request before anything else does; nil, or a nil answer: it may. It is called
	// concurrently.
	Allow func(accessKeyID, token, operation string, body []byte) *Denial
	Meter func(Metered)     // is told of each request once it is counted; nil: nobody is. It is called concurrently
	Log   func(line string) // gets the seed of faults and what fails; nil: nobody does. It is called concurrently
}

// Denial is why a request is refused, in AWS's words.
type Denial struct{ Code, Message string }

// Proxy is a proxy that serves. Its methods may be called concurrently.
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
	dice   *rand.Rand
	hook   Hook
	calls  map[string]int    // by caller, for the hook
	usage  map[string]*Usage // by caller
	dialed map[string]bool   // each caller's addresses: its connections
}

// Start listens on a free port of the loopback interface and serves until Close is called. It fails with what is wrong
// with the faults, or if there is no port.
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
			p.c.Log("the DynamoDB proxy ended: " + err.Error())
		}
	})
	return p, nil
}

// URL is where the proxy answers, without a slash at its end.
func (p *Proxy) URL() string { return p.url }

// Close stops serving; requests that are being answered get two seconds. It may be called more than once.
func (p *Proxy) Close() error {
	p.closing.Do(func() {
		p.closeErr = p.server.Stop(stopTime)
		p.serving.Wait()
		p.client.CloseIdleConnections()
	})
	return p.closeErr
}

// call is one request on its way.
type call struct {
	caller, operation string
	from              string // the address that its connection comes from
	header            http.Header
	body              []byte
	fate              fate
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
		refused := asError(http.StatusBadRequest, map[string]any{"__type": "com.amazon.coral.service#" + denied.Code,
			"Message": denied.Message})
		p.c.Log(fmt.Sprintf("dynamodb: %s of %s is refused: %s: %s", operation, c.caller, denied.Code, denied.Message))
		p.count(c, &refused)
		write(w, refused)
		return
	}
	c.fate = p.decide(c)
	after := p.hooked(c)
	if refused := c.refusal(); refused != nil {
		p.count(c, refused)
		write(w, *refused)
		return
	}
	// Not the caller's context: DynamoDB does not undo what a caller stopped waiting for.
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
	got.leave(rest)
	c.wait(r.Context())
	if after != nil {
		after()
	}
	switch {
	case c.fate.kind == lost && got.status == http.StatusOK && c.fate.silent:
		panic(http.ErrAbortHandler) // the connection ends without a word
	case c.fate.kind == lost && got.status == http.StatusOK:
		got = failure(http.StatusInternalServerError, "InternalServerError",
			"the answer to what was done is lost, as you asked")
	}
	write(w, got)
}

// denied is why a request is refused; nil if it is not.
func (p *Proxy) denied(r *http.Request, operation string, body []byte) *Denial {
	if p.c.Signed != nil {
		if denied := p.c.Signed(r, body); denied != nil {
			return denied
		}
	}
	if p.c.Allow != nil {
		return p.c.Allow(accessKey(r.Header.Get("Authorization")), r.Header.Get("X-Amz-Security-Token"), operation,
			body)
	}
	return nil
}

// answer is what a caller gets.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (p *Proxy) forward(ctx context.Context, c *call) (answer, error) {
	out, err := http.NewRequestWithContext(ctx, http.MethodPost, p.c.Engine+"/", bytes.NewReader(measured(c)))
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
	_, _ = w.Write(a.body) // who does not read it has gone
}

// accessKey is the caller's, from a SigV4 header; "" if there is none.
func accessKey(authorization string) string {
	_, rest, _ := strings.Cut(authorization, "Credential=")
	id, _, _ := strings.Cut(rest, "/")
	return id
}
