package oidc_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/oidc"

	goidc "github.com/coreos/go-oidc/v3/oidc"
)

const redirect = "http://127.0.0.1:3000/callback"

// site is a running issuer with a clock that only the test moves.
type site struct {
	*testing.T
	issuer *oidc.Issuer
	url    string
	client *http.Client
	now    time.Time
	// restart replaces the issuer by a new one with the same address and files.
	restart func()
}

func start(t *testing.T, keyFile string) *site {
	t.Helper()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s := &site{T: t, url: server.URL + "/issuer", client: client, now: time.Now()}
	s.restart = func() {
		issuer, err := oidc.New(oidc.Config{Issuer: s.url, KeyFile: keyFile, Now: func() time.Time { return s.now }})
		if err != nil {
			t.Fatal(err)
		}
		s.issuer, handler = issuer, issuer
	}
	s.restart()
	return s
}

func newSite(t *testing.T) *site { return start(t, filepath.Join(t.TempDir(), "keys.pem")) }

// tokens is a response of the token endpoint.
type tokens struct {
	Access      string `json:"access_token"`
	ID          string `json:"id_token"`
	Refresh     string `json:"refresh_token"`
	Type        string `json:"token_type"`
	Expires     int    `json:"expires_in"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func (s *site) token(form url.Values) (int, tokens) {
	s.Helper()
	response, err := s.client.PostForm(s.url+"/token", form)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	var out tokens
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil {
		s.Fatal(err)
	}
	return response.StatusCode, out
}

// claims verifies a token with the discovery document and published keys, as a relying party does, and returns its
// claims.
func (s *site) claims(token string) map[string]any {
	s.Helper()
	ctx, cancel := context.WithTimeout(goidc.ClientContext(context.Background(), s.client), 10*time.Second)
	defer cancel()
	provider, err := goidc.NewProvider(ctx, s.url)
	if err != nil {
		s.Fatal(err)
	}
	verified, err := provider.Verifier(&goidc.Config{SkipClientIDCheck: true, SupportedSigningAlgs: []string{"ES256"},
		Now: func() time.Time { return s.now }}).Verify(ctx, token)
	if err != nil {
		s.Fatal(err)
	}
	claims := map[string]any{}
	if err := verified.Claims(&claims); err != nil {
		s.Fatal(err)
	}
	return claims
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func request(verifier string) url.Values {
	return url.Values{"response_type": {"code"}, "client_id": {"carrel-page"}, "redirect_uri": {redirect},
		"scope": {"openid notes"}, "state": {"st"}, "nonce": {"no"}, "code_challenge": {challenge(verifier)},
		"code_challenge_method": {"S256"}}
}

// choose submits the sign-in page's form and returns the address of the redirect.
func (s *site) choose(q url.Values, user string) *url.URL {
	s.Helper()
	response, err := s.client.PostForm(s.url+"/authorize?"+q.Encode(), url.Values{"user": {user}})
	if err != nil {
		s.Fatal(err)
	}
	response.Body.Close()
	target, err := response.Location()
	if err != nil {
		s.Fatalf("status %d: %v", response.StatusCode, err)
	}
	return target
}

func exchange(code, verifier string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier},
		"client_id": {"carrel-page"}, "redirect_uri": {redirect}}
}

func TestSignIn(t *testing.T) {
	s := newSite(t)
	target := s.choose(request("verifier"), "Zoë from next door")
	if target.Query().Get("state") != "st" || !strings.HasPrefix(target.String(), redirect+"?") {
		t.Fatalf("redirected to %s", target)
	}
	status, got := s.token(exchange(target.Query().Get("code"), "verifier"))
	if status != 200 || got.Type != "Bearer" || got.Expires != 3600 {
		t.Fatalf("%d %+v", status, got)
	}
	access := s.claims(got.Access)
	for name, want := range map[string]any{"iss": s.url, "sub": "Zoë from next door", "username": "Zoë from next door",
		"client_id": "carrel-page", "token_use": "access", "scope": "openid notes", "aud": nil,
		"auth_time": float64(s.now.Unix())} {
		if access[name] != want {
			t.Errorf("access token's %s = %v, want %v", name, access[name], want)
		}
	}
	id := s.claims(got.ID)
	if fmt.Sprint(id["aud"]) != "[carrel-page]" || id["nonce"] != "no" || id["token_use"] != "id" ||
		id["sub"] != access["sub"] {
		t.Errorf("id token %v", id)
	}
	s.now = s.now.Add(2 * time.Hour)
	status, refreshed := s.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh},
		"client_id": {"carrel-page"}})
	if status != 200 || s.claims(refreshed.Access)["sub"] != access["sub"] ||
		s.claims(refreshed.Access)["scope"] != "openid notes" {
		t.Errorf("refresh: %d %+v", status, refreshed)
	}
	status, got = s.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshed.Access},
		"client_id": {"carrel-page"}})
	if status != 400 {
		t.Errorf("an access token refreshed: %+v", got)
	}
}

// A code works once, for a minute, for the client and address that it was issued for, and with the verifier.
func TestCode(t *testing.T) {
	for name, change := range map[string]func(*site, url.Values){
		"used code":      func(s *site, f url.Values) { s.token(f) },
		"expired code":   func(s *site, f url.Values) { s.now = s.now.Add(61 * time.Second) },
		"other verifier": func(s *site, f url.Values) { f.Set("code_verifier", "other") },
		"no verifier":    func(s *site, f url.Values) { f.Del("code_verifier") },
		"other address":  func(s *site, f url.Values) { f.Set("redirect_uri", "http://localhost/") },
		"other client":   func(s *site, f url.Values) { f.Set("client_id", "other") },
		"no code":        func(s *site, f url.Values) { f.Del("code") },
		"failed attempt": func(s *site, f url.Values) { g := exchange(f.Get("code"), "guess"); s.token(g) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			form := exchange(s.choose(request("verifier"), "alice").Query().Get("code"), "verifier")
			change(s, form)
			if status, got := s.token(form); status != 400 || got.Error != "invalid_grant" || got.Access != "" {
				t.Errorf("%d %+v", status, got)
			}
		})
	}
}

func TestAuthorizationRequest(t *testing.T) {
	s := newSite(t)
	get := func(q url.Values) (*http.Response, string) {
		response, err := s.client.Get(s.url + "/authorize?" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response, string(body)
	}
	if response, body := get(request("v")); response.StatusCode != 200 || !strings.Contains(body, `value="alice"`) ||
		!strings.Contains(body, "any other name") || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
		t.Errorf("page: %d %s", response.StatusCode, body)
	}
	for _, c := range []struct{ name, value, want string }{
		{"client_id", "other", ""},
		{"redirect_uri", "https://example.com/", ""},
		{"redirect_uri", "http://127.0.0.1.example.com/", ""},
		{"redirect_uri", "http://user@127.0.0.1/", ""},
		{"redirect_uri", "javascript:alert(1)", ""},
		{"response_type", "token", "unsupported_response_type"},
		{"code_challenge", "", "invalid_request"},
		{"code_challenge_method", "plain", "invalid_request"},
		{"scope", "notes", "invalid_scope"},
		{"prompt", "none", "login_required"},
	} {
		q := request("v")
		q.Set(c.name, c.value)
		response, _ := get(q)
		target, err := response.Location()
		switch {
		case c.want == "" && (response.StatusCode != 400 || err == nil):
			t.Errorf("%s=%s: %d, redirected to %v", c.name, c.value, response.StatusCode, target)
		case c.want != "" && (err != nil || target.Query().Get("error") != c.want ||
			target.Query().Get("state") != "st"):
			t.Errorf("%s=%s: %d, redirected to %v", c.name, c.value, response.StatusCode, target)
		}
	}
}

func TestToken_Script(t *testing.T) {
	s := newSite(t)
	_, got := s.token(url.Values{"user": {"bob"}})
	claims := s.claims(got.Access)
	if claims["sub"] != "bob" || claims["scope"] != oidc.DefaultScope() || got.Expires != 3600 || got.ID != "" {
		t.Errorf("%+v %v", got, claims)
	}
	if claims["auth_time"] != float64(s.now.Unix()) {
		t.Errorf("auth_time %v", claims["auth_time"])
	}
	for age, want := range map[string]any{"600": float64(s.now.Unix() - 600), "unknown": nil} {
		_, got = s.token(url.Values{"user": {"bob"}, "auth_age": {age}})
		if claims := s.claims(got.Access); claims["auth_time"] != want {
			t.Errorf("auth_age %s: auth_time %v, want %v", age, claims["auth_time"], want)
		}
	}
	_, got = s.token(url.Values{"user": {"bob"}, "scope": {"clock"}, "expires_in": {"90"}, "shape": {"aud"}})
	claims = s.claims(got.Access)
	if fmt.Sprint(claims["aud"]) != "[carrel-page]" || claims["client_id"] != nil || claims["scope"] != "clock" ||
		claims["exp"].(float64)-claims["iat"].(float64) != 90 {
		t.Errorf("%v", claims)
	}
	for _, form := range []url.Values{{}, {"user": {""}}, {"user": {"a\nb"}}, {"user": {" a"}},
		{"user": {strings.Repeat("a", 129)}},
		{"user": {"a"}, "expires_in": {"soon"}}, {"user": {"a"}, "shape": {"odd"}}, {"user": {"a"}, "auth_age": {"-1"}},
		{"user": {"a"}, "auth_age": {"old"}}, {"grant_type": {"password"}}} {
		if status, got := s.token(form); status != 400 || got.Error == "" || got.Description == "" {
			t.Errorf("%v: %d %+v", form, status, got)
		}
	}
}
