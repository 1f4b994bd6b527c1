package mcp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

// session is one run's access to one server. It connects when it is first used, and again after the server has lost
// the connection.
type session struct {
	declared
	uc      *usercontext.Context
	client  *sdk.Client
	origin  *url.URL
	next    http.RoundTripper
	updates *updates

	places chan struct{} // holds one value; the goroutine that takes it may use the fields below
	conn   *connection
	found  map[string]Listed // what the server lists in this connection; nil if it was not asked
	opened bool              // a connection was made before
	closed bool
}

// connection is one connection of a session.
type connection struct {
	*sdk.ClientSession
	end context.CancelFunc // ends all of its requests
}

// close ends the connection. It notifies the server, if the server answers in time. A failure is not reported, because
// the connection may be lost.
func (c *connection) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	defer context.AfterFunc(ctx, c.end)()
	defer c.end()
	_ = c.Close()
}

// newSession returns a session that the user context closes. It makes no request.
func newSession(uc *usercontext.Context, d declared, next http.RoundTripper, version string) (*session, error) {
	origin, err := url.Parse(d.URL)
	if err != nil {
		return nil, fmt.Errorf("MCP server %s: %w", d.Name, err)
	}
	s := &session{declared: d, uc: uc, origin: origin, next: next, updates: &updates{}, places: make(chan struct{}, 1)}
	s.client = sdk.NewClient(&sdk.Implementation{Name: "carrel", Version: version}, &sdk.ClientOptions{
		Capabilities:                &sdk.ClientCapabilities{}, // no sampling, no roots, no elicitation
		MultiRoundTrip:              &sdk.MultiRoundTripOptions{Disabled: true},
		ProgressNotificationHandler: s.updates.receive,
	})
	s.places <- struct{}{}
	if err := uc.OnClose("MCP server "+d.Name, s.close); err != nil {
		return nil, err
	}
	return s, nil
}

// lock waits for the session's fields.
func (s *session) lock(ctx context.Context) error {
	select {
	case <-s.places:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *session) unlock() { s.places <- struct{}{} }

// connect returns the connection, and makes it if there is none. again reports whether an earlier one was lost.
func (s *session) connect(ctx context.Context) (conn *connection, again bool, err error) {
	if err := s.lock(ctx); err != nil {
		return nil, false, err
	}
	defer s.unlock()
	if s.closed {
		return nil, false, errors.New("the session is closed")
	}
	if s.conn != nil {
		return s.conn, false, nil
	}
	again = s.opened
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	// Connect of the SDK may not return when its context ends. A connection that comes too late is closed.
	made := make(chan *connection)
	failed := make(chan error, 1)
	err = s.uc.Go("connect to "+s.Name, func(context.Context) {
		conn, err := s.open(ctx)
		if err != nil {
			failed <- err
			return
		}
		select {
		case made <- conn:
		case <-ctx.Done():
			conn.close()
		}
	})
	if err != nil {
		return nil, again, err
	}
	select {
	case s.conn = <-made:
		s.found, s.opened = nil, true
		return s.conn, again, nil
	case err := <-failed:
		return nil, again, err
	case <-ctx.Done():
		return nil, again, context.Cause(ctx)
	}
}

// open makes a connection. A panic is returned as an error, because it concerns this server only.
func (s *session) open(ctx context.Context) (conn *connection, err error) {
	// The requests of a connection end with its close, which comes after the end of the run's context.
	ended, end := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
		if err != nil {
			end()
		}
	}()
	t := &transport{origin: s.origin, uc: s.uc, credentials: s.credentials, next: s.next, ended: ended}
	made, err := s.client.Connect(ctx, &sdk.StreamableClientTransport{
		Endpoint: s.URL, HTTPClient: t.client(), DisableStandaloneSSE: true, MaxEventSize: maxEvent,
	}, nil)
	return &connection{made, end}, err
}

// drop forgets a connection that failed, so that the next call makes another one.
func (s *session) drop(ctx context.Context, conn *connection) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	if s.conn != conn {
		return nil
	}
	s.conn, s.found = nil, nil
	return s.uc.Go("close a lost connection to "+s.Name, func(context.Context) { conn.close() })
}

// close ends the session.
func (s *session) close(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	conn := s.conn
	s.conn, s.closed = nil, true
	s.unlock()
	if conn != nil {
		conn.close()
	}
	return nil
}

// tools returns the tools of the server: the pinned tools, or the tools that it lists now. A panic costs only the tools
// of this server.
func (s *session) tools(ctx context.Context) (tools []tool.Tool, err error) {
	defer func() {
		if v := recover(); v != nil {
			tools, err = nil, &SourceError{Server: s.Name, State: Down, Err: fmt.Errorf("panic: %v", v)}
		}
	}()
	all := s.pinned
	if all == nil {
		limited, cancel := context.WithTimeout(ctx, listTime)
		defer cancel()
		found, err := s.list(limited)
		if err != nil {
			state := Down
			if limited.Err() != nil {
				state = Late
			}
			return nil, &SourceError{Server: s.Name, State: state, Err: err}
		}
		for _, name := range slices.Sorted(maps.Keys(found)) {
			all = append(all, found[name])
		}
	}
	var errs []error
	for _, l := range all {
		if !has(s.Tools, l.Name) {
			continue
		}
		made, err := offer(s.Server, l, handler{s})
		if err != nil {
			errs = append(errs, fmt.Errorf("MCP server %s: %w", s.Name, err))
			continue
		}
		tools = append(tools, made)
	}
	return tools, errors.Join(errs...)
}
