package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Pinning prints each tool that is new, changed or removed, and writes the allowed ones.
func TestPin(t *testing.T) {
	server := sdk.NewServer(&sdk.Implementation{Name: "test", Version: "1"}, nil)
	add := func(name, description string) {
		schema := json.RawMessage(`{"type":"object"}`)
		server.AddTool(&sdk.Tool{Name: name, Description: description, InputSchema: schema},
			func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) { return nil, nil })
	}
	add("read", "Reads.")
	add("write", "Writes.")
	add("secret", "Not allowed.")
	handler := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, nil)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") != "k3y" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	defer web.Close()
	folder := t.TempDir()
	declared := fmt.Sprintf("servers:\n  git:\n    url: %s\n    tools: [read, write, later]\n"+
		"    credentials: secret\n    secret: GIT_API_KEY\n    header: X-Key\n", web.URL)
	for name, text := range map[string]string{"mcp.yaml": declared, "mcp.lock.json": "{}"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	getenv := func(name string) string { return map[string]string{"GIT_API_KEY": "k3y"}[name] }
	run := func(want string, names ...string) {
		t.Helper()
		var out bytes.Buffer
		if err := pin(t.Context(), folder, names, getenv, &out); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("printed\n%swant\n%s", &out, want)
		}
	}
	run("new      git read: Reads.\nnew      git write: Writes.\ngit: 2 tools pinned\n")
	server.RemoveTools("write")
	add("read", "Reads it all.\u202e")
	run("changed  git read: Reads it all.[U+202E]\nremoved  git write\ngit: 1 tools pinned\n", "git")
	if err := pin(t.Context(), folder, []string{"other"}, getenv, &bytes.Buffer{}); err == nil ||
		!strings.Contains(err.Error(), `no server ["other"]`) {
		t.Errorf("a server that is not declared: %v", err)
	}
	empty := func(string) string { return "" }
	if err := pin(t.Context(), folder, nil, empty, &bytes.Buffer{}); err == nil ||
		!strings.Contains(err.Error(), "GIT_API_KEY") {
		t.Errorf("without the key: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "mcp.lock.json"))
	if err != nil || strings.Contains(string(text), "k3y") || !strings.Contains(string(text), `"digest"`) {
		t.Errorf("the pin file is %s, %v", text, err)
	}
}
