// Package site serves the built page and its configuration, which names the stack.
package site

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// Index is the file that is served for every path of the page itself.
const Index = "index.html"

// Config is config.json, which the page reads first.
type Config struct {
	WebSocket string `json:"websocket"`
	Issuer    string `json:"issuer"`
	ClientID  string `json:"clientId"`
	Scope     string `json:"scope"`
}

// ServeHTTP serves config.json.
func (c Config) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(c) // it fails only if the client has closed the connection
}

// Files serves the built page. A path without an extension belongs to the page and gets index.html.
type Files struct{ From fs.FS }

// ServeHTTP serves one file.
func (f Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "Files are read with GET.", http.StatusMethodNotAllowed)
		return
	}
	name := Name(r.URL.Path)
	content, err := fs.ReadFile(f.From, name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && name == Index:
		http.Error(w, "The page is not built: run make web/dist/index.html, or make run.",
			http.StatusServiceUnavailable)
		return
	case err != nil:
		http.Error(w, "The file does not exist.", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", ContentType(name))
	h.Set("X-Content-Type-Options", "nosniff")
	// Files below assets/ have a hash of their content in their names. Other files keep their names when they change.
	h.Set("Cache-Control", "no-cache")
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(content) // fails only if the client has closed the connection
}

// Name returns the file that is served for a path.
func Name(urlPath string) string {
	name := strings.TrimPrefix(path.Clean(urlPath), "/")
	if path.Ext(name) == "" {
		return Index
	}
	return name
}

// ContentType returns the type of a file by its extension. It does not use the machine's own table, which differs
// between machines.
func ContentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".ico":
		return "image/x-icon"
	case ".woff2":
		return "font/woff2"
	case ".wasm":
		return "application/wasm"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}
