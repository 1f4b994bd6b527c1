package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"carrel/shared/usercontext"
)

// Pins fix what servers offer. They are the content of the pin file, which is written when a person has looked at the
// tools of a server.
type Pins struct {
	Servers map[string]Pinned `json:"servers"`
}

// Pinned is what one server offered when it was pinned.
type Pinned struct {
	URL   string   `json:"url"`
	Tools []Listed `json:"tools"`
}

// ParsePins reads the pin file. An empty file pins nothing.
func ParsePins(file []byte) (Pins, error) {
	var p Pins
	if len(file) == 0 {
		return p, nil
	}
	if err := json.Unmarshal(file, &p); err != nil {
		return Pins{}, fmt.Errorf("mcp.lock.json: %w; write it again with make mcp-pin", err)
	}
	return p, nil
}

// of returns the pinned tools of a server, or nil if it is not pinned.
func (p Pins) of(s Server) ([]Listed, error) {
	pinned, ok := p.Servers[s.Name]
	switch {
	case !ok:
		return nil, nil
	case pinned.URL != s.URL:
		return nil, fmt.Errorf("mcp.lock.json: server %s was pinned at %s and is now at %s: run make mcp-pin", s.Name,
			pinned.URL, s.URL)
	}
	return append([]Listed{}, pinned.Tools...), nil
}

// Pin lists the tools of a server that its allow list has, for the pin file. authorize adds credentials to each
// request; it may be nil.
func Pin(ctx context.Context, s Server, authorize func(*http.Request) error) (Pinned, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	origin, err := url.Parse(s.URL)
	if err != nil {
		return Pinned{}, err
	}
	t := &transport{origin: origin, next: newTransport(), ended: ctx}
	if authorize != nil {
		t.credentials = authorizer(authorize)
	}
	client := sdk.NewClient(&sdk.Implementation{Name: "carrel-pin", Version: "1"},
		&sdk.ClientOptions{Capabilities: &sdk.ClientCapabilities{}})
	conn, err := client.Connect(ctx, &sdk.StreamableClientTransport{
		Endpoint: s.URL, HTTPClient: t.client(), DisableStandaloneSSE: true, MaxRetries: -1, MaxEventSize: maxEvent,
	}, nil)
	if err != nil {
		return Pinned{}, fmt.Errorf("connect to %s: %w", s.Name, err)
	}
	p := Pinned{URL: s.URL, Tools: []Listed{}}
	for t, err := range conn.Tools(ctx, nil) {
		if err != nil {
			return Pinned{}, errors.Join(fmt.Errorf("list the tools of %s: %w", s.Name, err), conn.Close())
		}
		l, err := listed(t)
		if err != nil {
			return Pinned{}, errors.Join(err, conn.Close())
		}
		if has(s.Tools, l.Name) {
			p.Tools = append(p.Tools, l)
		}
	}
	slices.SortFunc(p.Tools, func(a, b Listed) int { return strings.Compare(a.Name, b.Name) })
	return p, conn.Close()
}

// authorizer makes Credentials from a function, outside of a run.
type authorizer func(*http.Request) error

// Authorize implements Credentials.
func (a authorizer) Authorize(_ context.Context, _ *usercontext.Context, r *http.Request) error {
	return a(r)
}
