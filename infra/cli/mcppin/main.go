// Command mcppin writes agents/mcp.lock.json: what the MCP servers of agents/mcp.yaml offer now. It prints each tool
// that it adds, changes or removes, because pinning a tool approves its description and schema.
//
//	go run ./infra/cli/mcppin [server …]      (or: make mcp-pin SERVERS="…")
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"carrel/shared/tool/mcp"
	"carrel/shared/visible"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := pin(ctx, "agents", os.Args[1:], os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mcp-pin:", err)
		os.Exit(1)
	}
}

// pin pins the named servers of a folder, or all of them, and keeps the pins of the others. Pins of servers that the
// file no longer declares are removed.
func pin(ctx context.Context, folder string, names []string, getenv func(string) string, out io.Writer) error {
	lock := filepath.Join(folder, "mcp.lock.json")
	file, err1 := os.ReadFile(filepath.Join(folder, "mcp.yaml"))
	text, err2 := os.ReadFile(lock)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	servers, err := mcp.Parse(file)
	if err != nil {
		return err
	}
	before, err := mcp.ParsePins(text)
	if err != nil {
		return err
	}
	after, all := mcp.Pins{Servers: map[string]mcp.Pinned{}}, len(names) == 0
	for _, s := range servers {
		asked := slices.Contains(names, s.Name)
		names = slices.DeleteFunc(names, func(name string) bool { return name == s.Name })
		if old, pinned := before.Servers[s.Name]; pinned {
			after.Servers[s.Name] = old
		}
		if asked || all {
			p, err := mcp.Pin(ctx, s, authorize(s, getenv))
			if err != nil {
				return err
			}
			after.Servers[s.Name] = p
		}
		report(out, s.Name, before.Servers[s.Name].Tools, after.Servers[s.Name].Tools)
	}
	if len(names) > 0 {
		return fmt.Errorf("agents/mcp.yaml declares no server %q", names)
	}
	encoded, err := json.MarshalIndent(after, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(lock, append(encoded, '\n'), 0o644)
}

// authorize returns what adds a server's secret to a request, or nil.
func authorize(s mcp.Server, getenv func(string) string) func(*http.Request) error {
	if s.Credentials == mcp.None {
		return nil
	}
	return func(r *http.Request) error {
		if s.Credentials == mcp.SigV4 {
			return errors.New("a server with credentials: sigv4 cannot be pinned from here yet; leave it unpinned")
		}
		c, err := mcp.CredentialsFrom(getenv, nil)(s)
		if err != nil {
			return err
		}
		return c.Authorize(r.Context(), nil, r)
	}
}

// report prints how the tools of a server differ.
func report(out io.Writer, server string, before, after []mcp.Listed) {
	old := map[string]mcp.Listed{}
	for _, l := range before {
		old[l.Name] = l
	}
	for _, l := range after {
		switch was, there := old[l.Name]; {
		case !there:
			fmt.Fprintf(out, "new      %s %s: %s\n", server, visible.Line(l.Name), visible.Line(l.Description))
		case was.Digest != l.Digest:
			fmt.Fprintf(out, "changed  %s %s: %s\n", server, visible.Line(l.Name), visible.Line(l.Description))
		}
		delete(old, l.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		fmt.Fprintf(out, "removed  %s %s\n", server, visible.Line(name))
	}
	fmt.Fprintf(out, "%s: %d tools pinned\n", server, len(after))
}
