// Package oidc is the sign-in of the local stack: an OpenID Connect issuer with made-up users. Every client that
// reaches it can get a token for any name. The issuer therefore listens on the loopback interface only and signs with a
// key that no other stack trusts.
package oidc

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"carrel/agents"
	"carrel/shared/catalog"
)

// DefaultScope returns the scope of a token whose request names none: it has every grant of the catalog.
func DefaultScope() string {
	return "openid profile " + strings.Join(catalog.Scopes(agents.Grants()), " ")
}

// Config describes an issuer.
type Config struct {
	Issuer   string           // the issuer's URL without a trailing slash, such as http://127.0.0.1:3000/issuer
	ClientID string           // the only client; default carrel-page
	KeyFile  string           // file for the signing keys; created if it does not exist
	Life     time.Duration    // lifetime of access and id tokens; default 1 h
	Now      func() time.Time // the clock; default time.Now
}

// Issuer serves the requests below its URL. It is safe for concurrent use.
type Issuer struct {
	config Config
	mux    *http.ServeMux
	page   *template.Template

	base string // the path of its URL

	mu       sync.Mutex
	keys     []key // newest first; the newest signs
	codes    map[string]grant
	sessions map[string]session
	revoked  map[string]bool // revoked families of refresh tokens
}

//go:embed page.html
var page string

// New returns an issuer. It reads its keys from KeyFile, or creates them.
func New(c Config) (*Issuer, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || strings.HasSuffix(c.Issuer, "/") {
		return nil, fmt.Errorf("oidc: the issuer %q must be a URL without a trailing slash", c.Issuer)
	}
	if c.KeyFile == "" {
		return nil, errors.New("oidc: KeyFile is missing: name a file for the signing keys")
	}
	c.ClientID = cmp.Or(c.ClientID, "carrel-page")
	c.Life = cmp.Or(c.Life, time.Hour)
	if c.Now == nil {
		c.Now = time.Now
	}
	i := &Issuer{config: c, base: u.Path, codes: map[string]grant{}, sessions: map[string]session{},
		revoked: map[string]bool{}, mux: http.NewServeMux()}
	if err := i.loadRevoked(); err != nil {
		return nil, err
	}
	if i.page, err = template.New("page").Parse(page); err != nil {
		return nil, fmt.Errorf("oidc: parse the page: %w", err)
	}
	if i.keys, err = loadKeys(c.KeyFile); err != nil {
		return nil, err
	}
	if len(i.keys) == 0 {
		if err := i.Rotate(); err != nil {
			return nil, err
		}
	}
	i.routes(i.base)
	return i, nil
}

func (i *Issuer) routes(base string) {
	i.mux.HandleFunc("GET "+base+"/.well-known/openid-configuration", i.discovery)
	i.mux.HandleFunc("GET "+base+"/keys", i.serveKeys)
	i.mux.HandleFunc("GET "+base+"/authorize", i.authorize)
	i.mux.HandleFunc("POST "+base+"/authorize", i.authorize)
	i.mux.HandleFunc("POST "+base+"/token", i.token)
	i.mux.HandleFunc("POST "+base+"/revoke", i.revoke)
	i.mux.HandleFunc("GET "+base+"/end-session", i.endSession)
}

// ServeHTTP serves all requests below the issuer's URL.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Origin")
	// Pages of this machine may read the responses. Pages from the internet may not, because tokens are free here.
	if origin := r.Header.Get("Origin"); loopback(origin) {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Headers", "Content-Type, Authorization")
		h.Set("Access-Control-Allow-Methods", "GET, POST")
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	i.mux.ServeHTTP(w, r)
}

// loopback reports whether a URL is http on this machine.
func loopback(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "http" && u.User == nil && u.Fragment == "" &&
		(u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost")
}

// document is the discovery document.
type document struct {
	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Keys          string   `json:"jwks_uri"`
	EndSession    string   `json:"end_session_endpoint"`
	Revocation    string   `json:"revocation_endpoint"`
	ResponseTypes []string `json:"response_types_supported"`
	ResponseModes []string `json:"response_modes_supported"`
	GrantTypes    []string `json:"grant_types_supported"`
	Subjects      []string `json:"subject_types_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	Scopes        []string `json:"scopes_supported"`
	ClientAuth    []string `json:"token_endpoint_auth_methods_supported"`
	Challenges    []string `json:"code_challenge_methods_supported"`
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	issuer := i.config.Issuer
	answer(w, http.StatusOK, document{
		Issuer: issuer, Authorization: issuer + "/authorize", Token: issuer + "/token", Keys: issuer + "/keys",
		EndSession: issuer + "/end-session", Revocation: issuer + "/revoke", ResponseTypes: []string{"code"},
		ResponseModes: []string{"query"},
		GrantTypes:    []string{"authorization_code", "refresh_token"}, Subjects: []string{"public"},
		Algorithms: []string{"ES256"}, Scopes: strings.Fields(DefaultScope()), ClientAuth: []string{"none"},
		Challenges: []string{"S256"},
	})
}

// answer writes a JSON response. A write error means that the client has disconnected.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// refuse writes an error response in OAuth's format.
func refuse(w http.ResponseWriter, status int, code, description string) {
	answer(w, status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, description})
}
