// Package loopback serves HTTP to this machine only. Every listener of the local stack is created and served here, so
// all have the guard against web pages (guard.go). A test in shared/arch rejects listeners and servers in other
// packages.
package loopback

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// headTime bounds the time for a client to send the head of a request.
const headTime = 10 * time.Second

// Listener is an open port of the loopback interface without a server.
type Listener struct{ tcp net.Listener }

// Listen opens an address of the loopback interface; port 0 means a free port. It returns an error for an address that
// other machines could reach.
func Listen(ctx context.Context, addr string) (*Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("listen on %q: the local stack only listens on addresses of the loopback interface, "+
			"such as 127.0.0.1", addr)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Listener{l}, nil
}

// Addr returns host:port.
func (l *Listener) Addr() string { return l.tcp.Addr().String() }

// Close releases the port. It may be called more than once, and after the server was closed.
func (l *Listener) Close() error {
	if err := l.tcp.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Config describes a server and the web pages that may use it.
type Config struct {
	Handler http.Handler
	// Origins are the web origins that may send requests, in addition to the server's own.
	Origins []string
	// Opens reports whether another site may navigate to a path, by a link or a redirect. nil means to none.
	Opens func(path string) bool
	// MaxHead is the maximum size of a request's head in bytes. 0 means net/http's limit of 1 MB.
	MaxHead int
	// Idle is how long an unused connection stays open. 0 means without limit.
	Idle time.Duration
	// Log, if not nil, receives a line for each rejected request. It is called concurrently.
	Log func(line string)
	// Errors, if not nil, receives the errors of net/http.
	Errors *log.Logger
}

// Server is an HTTP server for one Listener, with the guard.
type Server struct {
	http     *http.Server
	listener *Listener
}

// Server returns a server for the listener.
func (l *Listener) Server(c Config) *Server {
	if c.Log == nil {
		c.Log = func(string) {}
	}
	return &Server{listener: l, http: &http.Server{
		Handler: guard{c}, ReadHeaderTimeout: headTime, IdleTimeout: c.Idle, MaxHeaderBytes: c.MaxHead,
		ErrorLog: cmp.Or(c.Errors, log.New(io.Discard, "", 0)),
	}}
}

// Serve serves requests until Shutdown, Close or Stop is called, and then returns nil.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener.tcp); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown closes the listener and waits until running requests have finished or ctx ends.
func (s *Server) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }

// Close closes the listener and aborts running requests.
func (s *Server) Close() error { return s.http.Close() }

// Stop closes the listener, gives running requests some time to finish, and then aborts the rest.
func (s *Server) Stop(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if s.http.Shutdown(ctx) == nil {
		return nil
	}
	return s.http.Close()
}
