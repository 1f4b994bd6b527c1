package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"carrel/shared/usercontext"
)

// The bounds of one response.
const (
	maxResponse = 8 << 20 // bytes of one response or stream
	maxEvent    = 4 << 20 // bytes of one event of a stream
)

// sessionHeader names the session of a request.
const sessionHeader = "Mcp-Session-Id"

// newTransport returns the transport that all runs share. It holds connections and nothing of a user.
func newTransport() http.RoundTripper {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 20, IdleConnTimeout: 30 * time.Second,
		TLSHandshakeTimeout: connectTime, ResponseHeaderTimeout: callTime,
	}
}

// transport sends the requests of one session. Each request goes to the server's own address, with the credentials of
// the session's run.
type transport struct {
	origin      *url.URL
	uc          *usercontext.Context
	credentials Credentials
	next        http.RoundTripper
	ended       context.Context // ends with the session, whatever context a request has
}

// attempt notes what became of the requests of one call.
type attempt struct {
	sent    atomic.Bool // a request was sent
	missing atomic.Bool // it was the only one, and the server did not know its session
}

// attemptOf is the context key of a call's attempt.
type attemptOf struct{}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != t.origin.Scheme || !strings.EqualFold(r.URL.Host, t.origin.Host) {
		return nil, errors.Join(fmt.Errorf("mcp: a request to %s in a session with %s", r.URL.Host, t.origin.Host),
			closeBody(r))
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	stop := context.AfterFunc(t.ended, func() { cancel(context.Cause(t.ended)) })
	release := func() { stop(); cancel(nil) }
	r = r.Clone(ctx)
	if t.credentials != nil {
		if err := t.credentials.Authorize(ctx, t.uc, r); err != nil {
			release()
			return nil, errors.Join(fmt.Errorf("mcp: authorize a request: %w", err), closeBody(r))
		}
	}
	a, _ := r.Context().Value(attemptOf{}).(*attempt)
	first := a != nil && r.Method == http.MethodPost && !a.sent.Swap(true)
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		release()
		return nil, err
	}
	if a != nil {
		a.missing.Store(first && resp.StatusCode == http.StatusNotFound && r.Header.Get(sessionHeader) != "")
	}
	resp.Body = &body{ReadCloser: resp.Body, left: maxResponse, release: release}
	return resp, nil
}

func closeBody(r *http.Request) error {
	if r.Body == nil {
		return nil
	}
	return r.Body.Close()
}

// body bounds a response.
type body struct {
	io.ReadCloser
	left    int
	release func()
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("mcp: the response has more than %d bytes", maxResponse)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}

// client returns the HTTP client of the session. It follows no redirect, because a redirect could lead the credentials
// to another server.
func (t *transport) client() *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}
