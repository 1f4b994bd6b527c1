package stack

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"carrel/infra/local/loopback"
	"carrel/infra/local/oidc"
)

// stopTime is how long the answers that are being written may take when the stack ends.
const stopTime = 2 * time.Second

// servePage serves the page, its configuration, sign-in and /ops.
func (s *Stack) servePage(l *loopback.Listener) error {
	issuer, err := oidc.New(oidc.Config{Issuer: s.endpoints.Issuer, ClientID: client, KeyFile: s.state.path(dataFolder, "issuer-keys.pem")})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/issuer/", issuer)
	mux.HandleFunc("GET /config.json", s.pageConfig)
	mux.HandleFunc("GET /meters.json", s.meter.serve)
	(&operations{stack: s}).serve(mux)
	mux.Handle("/", files{os.DirFS(filepath.Join(s.config.Root, "web", "dist"))})
	server := l.Server(loopback.Config{Handler: mux, Origins: s.origins(), Opens: s.opens, Idle: time.Minute,
		Log: func(line string) { s.journal.add("page", line) }})
	served := make(chan error, 1)
	s.tasks.Go(func() {
		<-s.ending.Done()
		if err := errors.Join(server.Stop(stopTime), <-served); err != nil {
			s.journal.add("stack", "the page server: "+err.Error())
		}
	})
	s.tasks.Go(func() { served <- server.Serve() })
	return nil
}

// origins are the web pages that may use the stack: its own page, by both names of this machine, and those that the
// template's parameter Origins names.
func (s *Stack) origins() []string {
	own := strings.TrimSuffix(s.endpoints.Page, "/")
	return append([]string{own, strings.Replace(own, "127.0.0.1", "localhost", 1)}, strings.Fields(s.config.Parameters["Origins"])...)
}

// opens reports whether another site may open a path: the page, to which an issuer redirects after a sign-in, and the two
// pages of our own issuer to which a page on another origin redirects. Not /ops.
func (s *Stack) opens(path string) bool {
	switch {
	case path == "/issuer/authorize" || path == "/issuer/end-session":
		return true
	case path == "/ops" || strings.HasPrefix(path, "/issuer/"):
		return false
	}
	return pageName(path) == "index.html"
}

// pageConfig tells the page where everything is.
func (s *Stack) pageConfig(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(struct { // who does not read it has gone
		WebSocket string `json:"websocket"`
		Issuer    string `json:"issuer"`
		ClientID  string `json:"clientId"`
		Scope     string `json:"scope"`
	}{s.endpoints.WebSocket, s.endpoints.Issuer, client, oidc.DefaultScope})
}

// files serves the built page. A path without an extension is one of the page's own: it gets index.html.
type files struct{ from fs.FS }

// ServeHTTP serves one file.
func (f files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "Files are read with GET.", http.StatusMethodNotAllowed)
		return
	}
	name := pageName(r.URL.Path)
	content, err := fs.ReadFile(f.from, name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && name == "index.html":
		http.Error(w, "The page is not built: run make web/dist/index.html, or make run.", http.StatusServiceUnavailable)
		return
	case err != nil:
		http.Error(w, "There is no such file.", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", contentType(name))
	h.Set("X-Content-Type-Options", "nosniff")
	// The build names what is below assets/ for its content; all else keeps its name when it changes.
	h.Set("Cache-Control", "no-cache")
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(content) // who does not read it has gone
}

// pageName is the file that a path of the page stands for.
func pageName(urlPath string) string {
	name := strings.TrimPrefix(path.Clean(urlPath), "/")
	if path.Ext(name) == "" {
		return "index.html"
	}
	return name
}

// contentType does not ask the machine's own table, which differs from one to the next.
func contentType(name string) string {
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
