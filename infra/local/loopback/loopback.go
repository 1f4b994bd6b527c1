// Package loopback serves HTTP to this machine. Every listener of the local stack is made and served here, so none can
// be started without the guard that keeps web pages out (guard.go). shared/arch refuses listeners and servers
// elsewhere.
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

// headTime is how long a client may take to send the head of a request.
const headTime = 10 * time.Second

// Listener is a port of the loopback interface that nothing serves yet.
type Listener struct{ tcp net.Listener }

// Listen takes an address of the loopback interface; port 0 takes a free one. It fails for an address that other
// machines could reach.
func Listen(ctx context.Context, addr string) (*Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil,
			fmt.Errorf("listen on %q: the local stack listens on addresses of the loopback interface only, such as "+
				"127.0.0.1", addr)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Listener{l}, nil
}

// Addr is host:port.
func (l *Listener) Addr() string { return l.tcp.Addr().String() }

// Close gives the port back. It may be called more than once, and after a server has closed it.
func (l *Listener) Close() error {
	if err := l.tcp.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Config says what a server serves, and to which web pages.
type Config struct {
	Handler http.Handler
	// Origins are the web pages that may send requests, beside those that the server serves itself.
	Origins []string
	// Opens reports whether another site may open a path as a page, by a link or a redirect; nil: no path.
	Opens func(path string) bool
	// MaxHead is how many bytes a request's head may have; 0: net/http's limit of 1 MB.
	MaxHead int
	// Idle is how long an unused connection is kept; 0: for ever.
	Idle time.Duration
	// Log gets a line for each request that the guard refuses; nil: nobody does. It is called concurrently.
	Log func(line string)
	// Errors gets what net/http reports; nil: nobody does.
	Errors *log.Logger
}

// Server serves one Listener behind the guard.
type Server struct {
	http     *http.Server
	listener *Listener
}

// Server makes the listener's server.
func (l *Listener) Server(c Config) *Server {
	if c.Log == nil {
		c.Log = func(string) {}
	}
	return &Server{listener: l, http: &http.Server{
		Handler: guard{c}, ReadHeaderTimeout: headTime, IdleTimeout: c.Idle, MaxHeaderBytes: c.MaxHead,
		ErrorLog: cmp.Or(c.Errors, log.New(io.Discard, "", 0)),
	}}
}

// Serve answers requests until Shutdown, Close or Stop is called; then it returns nil.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener.tcp); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown closes the listener and waits for the requests that are being answered, until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }

// Close closes the listener and cuts off the requests that are being answered.
func (s *Server) Close() error { return s.http.Close() }

// Stop closes the listener and gives the requests that are being answered some time; then it cuts them off.
func (s *Server) Stop(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if s.http.Shutdown(ctx) == nil {
		return nil
	}
	return s.http.Close()
}
