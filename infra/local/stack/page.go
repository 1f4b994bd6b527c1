package stack

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"carrel/infra/local/loopback"
	"carrel/infra/local/oidc"
	"carrel/infra/site"
)

// stopTime bounds the wait for running responses when the stack stops.
const stopTime = 2 * time.Second

// servePage starts the server of the page, its configuration, sign-in and /ops.
func (s *Stack) servePage(l *loopback.Listener) error {
	issuer, err := oidc.New(oidc.Config{Issuer: s.endpoints.Issuer, ClientID: client,
		KeyFile: s.state.path(dataFolder, "issuer-keys.pem")})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/issuer/", issuer)
	mux.HandleFunc("GET /config.json", s.pageConfig)
	mux.HandleFunc("GET /meters.json", s.meter.serve)
	(&operations{stack: s}).serve(mux)
	mux.Handle("/", site.Files{From: os.DirFS(filepath.Join(s.config.Root, "web", "dist"))})
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

// origins returns the web origins that may use the stack: its own page under both names of this machine, and the
// origins of the template's parameter Origins.
func (s *Stack) origins() []string {
	own := strings.TrimSuffix(s.endpoints.Page, "/")
	return append([]string{own, strings.Replace(own, "127.0.0.1", "localhost", 1)},
		strings.Fields(s.config.Parameters["Origins"])...)
}

// opens reports whether another site may navigate to a path: the page, to which an issuer redirects after sign-in, and
// the two issuer pages to which a page on another origin redirects. /ops is not among them.
func (s *Stack) opens(path string) bool {
	switch {
	case path == "/issuer/authorize" || path == "/issuer/end-session":
		return true
	case path == "/ops" || strings.HasPrefix(path, "/issuer/"):
		return false
	}
	return site.Name(path) == site.Index
}

// pageConfig serves the addresses that the page needs.
func (s *Stack) pageConfig(w http.ResponseWriter, r *http.Request) {
	site.Config{WebSocket: s.endpoints.WebSocket, Issuer: s.endpoints.Issuer, ClientID: client,
		Scope: oidc.DefaultScope()}.ServeHTTP(w, r)
}
