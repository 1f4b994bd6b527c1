// Package mcp provides the tools of MCP servers (Model Context Protocol) over streamable HTTP. The deployment's file
// declares the servers (Parse); its pin file fixes what they offer (Pins). Every run has sessions of its own, which the
// user context closes. Start with New and Source.Tools.
package mcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

// The time limits of this package.
const (
	listTime    = 3 * time.Second  // to connect and list the tools of a server that is not pinned
	connectTime = 10 * time.Second // to connect for the first call
	closeTime   = 2 * time.Second  // to close a session
	callTime    = 2 * time.Minute  // for one call
)

// The states of a server whose tools are missing from a run.
const (
	Late = "late" // it did not list its tools in time
	Down = "down"
)

// SourceError says that the tools of one server are missing from a run.
type SourceError struct {
	Server string
	State  string // Late or Down
	Err    error
}

// Error names the server, its state and the cause.
func (e *SourceError) Error() string {
	return fmt.Sprintf("MCP server %s is %s: %v", e.Server, e.State, e.Err)
}

// Unwrap returns the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// Credentials authorize requests to one server. Authorize adds what the server requires to a request of this run, such
// as a header. It is called for every request, so nothing is kept from one user to the next.
type Credentials interface {
	Authorize(ctx context.Context, uc *usercontext.Context, r *http.Request) error
}

// Config is what a Source is made from.
type Config struct {
	Servers []Server
	Pins    Pins
	// Credentials returns the credentials of a server whose kind is not None. It is called once for each.
	Credentials func(Server) (Credentials, error)
	Transport   http.RoundTripper // nil: one of its own
	Version     string            // of this program, for the servers; 1 if it is empty
}

// Source provides the tools of all servers. It implements tool.Source. It holds no user's data.
type Source struct {
	servers []declared
	next    http.RoundTripper
	version string
}

// declared is one server, with its pinned tools and its credentials.
type declared struct {
	Server
	credentials Credentials // nil: none
	pinned      []Listed    // nil: not pinned
}

// New returns a Source. It contacts no server. Pins of another address and credentials that cannot be made are errors.
func New(c Config) (*Source, error) {
	s := &Source{next: c.Transport, version: cmp.Or(c.Version, "1")}
	if s.next == nil {
		s.next = newTransport()
	}
	for _, server := range c.Servers {
		d := declared{Server: server}
		var err error
		if d.pinned, err = c.Pins.of(server); err != nil {
			return nil, err
		}
		if server.Credentials != None {
			if c.Credentials == nil {
				return nil, fmt.Errorf("MCP server %s: no credentials of the kind %s are available", server.Name,
					server.Credentials)
			}
			if d.credentials, err = c.Credentials(server); err != nil {
				return nil, fmt.Errorf("MCP server %s: %w", server.Name, err)
			}
		}
		s.servers = append(s.servers, d)
	}
	return s, nil
}

// Tools returns the tools of all servers whose grant the user has. The tools of a pinned server are returned without a
// request. The others are listed concurrently, within three seconds. The error joins a *SourceError for each server
// whose tools are missing, and one error for each tool that cannot be offered.
func (s *Source) Tools(ctx context.Context, uc *usercontext.Context) ([]tool.Tool, error) {
	type answer struct {
		tools []tool.Tool
		err   error
	}
	var answers []chan answer
	for _, d := range s.servers {
		if !uc.Granted(d.Grant) {
			continue
		}
		session, err := newSession(uc, d, s.next, s.version)
		if err != nil {
			return nil, err
		}
		got := make(chan answer, 1)
		answers = append(answers, got)
		list := func(context.Context) {
			tools, err := session.tools(ctx)
			got <- answer{tools, err}
		}
		if err := uc.Go("list the tools of "+d.Name, list); err != nil {
			return nil, err
		}
	}
	var tools []tool.Tool
	var errs []error
	for _, got := range answers {
		a := <-got
		tools, errs = append(tools, a.tools...), append(errs, a.err)
	}
	return tools, errors.Join(errs...)
}

// Missing returns the servers whose tools are missing from a run, by the error of Tools.
func Missing(err error) []*SourceError {
	var found []*SourceError
	var walk func(error)
	walk = func(err error) {
		switch e := err.(type) {
		case *SourceError:
			found = append(found, e)
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				walk(inner)
			}
		case interface{ Unwrap() error }:
			walk(e.Unwrap())
		}
	}
	walk(err)
	return found
}
