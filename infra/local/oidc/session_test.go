package oidc_test

import (
	"encoding/base64"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// keepCookies makes the client store cookies like a browser.
func (s *site) keepCookies() {
	s.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.Fatal(err)
	}
	s.client.Jar = jar
}

// with returns a valid authorization request with additional parameters.
func with(more url.Values) url.Values {
	q := request("verifier")
	for name, values := range more {
		q[name] = values
	}
	return q
}

// silent requests tokens without a page, and reports whether it got them.
func (s *site) silent(more url.Values) (tokens, bool) {
	s.Helper()
	q := with(more)
	q.Set("prompt", "none")
	response, err := s.client.Get(s.url + "/authorize?" + q.Encode())
	if err != nil {
		s.Fatal(err)
	}
	response.Body.Close()
	target, err := response.Location()
	if err != nil {
		s.Fatalf("%d: %v", response.StatusCode, err)
	}
	if code := target.Query().Get("code"); code != "" {
		_, got := s.token(exchange(code, "verifier"))
		return got, true
	}
	if target.Query().Get("error") != "login_required" {
		s.Errorf("sent to %s, want login_required", target)
	}
	return tokens{}, false
}

// signInTime signs in on the page and returns the tokens' auth_time.
func (s *site) signInTime(more url.Values, user string) time.Time {
	s.Helper()
	_, got := s.token(exchange(s.choose(with(more), user).Query().Get("code"), "verifier"))
	return s.authTimeOf(got)
}

// authTimeOf returns the auth_time of the tokens, which must be the same in both.
func (s *site) authTimeOf(got tokens) time.Time {
	s.Helper()
	access, id := s.claims(got.Access)["auth_time"], s.claims(got.ID)["auth_time"]
	if access == nil || access != id {
		s.Fatalf("auth_time is %v in the access token and %v in the ID token", access, id)
	}
	return time.Unix(int64(access.(float64)), 0)
}

// A browser with a session gets a code without a new sign-in, and auth_time stays the same, unless the request requires
// a new sign-in.
func TestSession_AuthTime(t *testing.T) {
	s := newSite(t)
	s.keepCookies()
	if _, ok := s.silent(nil); ok {
		t.Error("got a code without a sign-in")
	}
	first := s.signInTime(nil, "alice")
	s.now = s.now.Add(10 * time.Minute)
	for name, c := range map[string]struct {
		more url.Values
		kept bool
	}{
		"no parameter":      {nil, true},
		"max_age above age": {url.Values{"max_age": {"601"}}, true},
		"prompt consent":    {url.Values{"prompt": {"consent"}}, true},
		"max_age 0":         {url.Values{"max_age": {"0"}}, false},
		"max_age below age": {url.Values{"max_age": {"599"}}, false},
		"prompt login":      {url.Values{"prompt": {"login"}}, false},
	} {
		s.keepCookies()
		s.now = s.now.Add(-10 * time.Minute)
		before := s.signInTime(nil, "alice")
		s.now = s.now.Add(10 * time.Minute)
		if got, ok := s.silent(c.more); c.more.Get("prompt") == "" &&
			(ok != c.kept || ok && !s.authTimeOf(got).Equal(before)) {
			t.Errorf("%s, without a page: got a code: %v, want %v", name, ok, c.kept)
		}
		got := s.signInTime(c.more, "alice")
		if c.kept != got.Equal(first) || !c.kept && got.Unix() != s.now.Unix() {
			t.Errorf("%s: signed in at %v, first at %v, now %v; want it kept: %v", name, got, first, s.now, c.kept)
		}
	}
	if got := s.signInTime(nil, "bob"); got.Unix() != s.now.Unix() {
		t.Error("another user got the auth_time of the session")
	}
	s.now = s.now.Add(2 * time.Hour)
	if _, ok := s.silent(nil); ok {
		t.Error("the session is valid for more than an hour")
	}
	for _, more := range []url.Values{{"max_age": {"soon"}}, {"max_age": {"-1"}}, {"prompt": {"none login"}},
		{"prompt": {"please"}}} {
		if target := s.choose(with(more), "alice"); target.Query().Get("error") != "invalid_request" {
			t.Errorf("%v: sent to %s", more, target)
		}
	}
}

// A refreshed token keeps auth_time. The header's typ is the type of the token.
func TestRefresh_KeepsAuthTime(t *testing.T) {
	s := newSite(t)
	_, got := s.token(exchange(s.choose(request("verifier"), "alice").Query().Get("code"), "verifier"))
	at := s.authTimeOf(got)
	for range 2 {
		s.now = s.now.Add(time.Hour)
		_, got = s.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh},
			"client_id": {"carrel-page"}})
		if !s.authTimeOf(got).Equal(at) {
			t.Errorf("after a refresh auth_time is %v, want %v", s.authTimeOf(got), at)
		}
	}
	for token, want := range map[string]string{got.Access: `"typ":"at+jwt"`, got.ID: `"typ":"JWT"`,
		got.Refresh: `"typ":"JWT"`} {
		header, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
		if err != nil || !strings.Contains(string(header), want) {
			t.Errorf("header %s, %v, want %s", header, err, want)
		}
	}
}

// A revocation ends the refresh tokens of one sign-in, even after a restart, and no others.
func TestRevoke(t *testing.T) {
	s := newSite(t)
	sign := func(user string) tokens {
		_, got := s.token(exchange(s.choose(request("verifier"), user).Query().Get("code"), "verifier"))
		return got
	}
	refresh := func(of string) (int, tokens) {
		return s.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {of}, "client_id": {"carrel-page"}})
	}
	revoke := func(form url.Values) int {
		response, err := s.client.PostForm(s.url+"/revoke", form)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	first, other := sign("alice"), sign("alice")
	_, second := refresh(first.Refresh)
	for name, c := range map[string]struct {
		form url.Values
		want int
	}{
		"another client":   {url.Values{"token": {second.Refresh}, "client_id": {"other"}}, 400},
		"an access token":  {url.Values{"token": {second.Access}, "client_id": {"carrel-page"}}, 400},
		"an unknown token": {url.Values{"token": {"abc"}, "client_id": {"carrel-page"}}, 200},
		"no token":         {url.Values{"client_id": {"carrel-page"}}, 200},
	} {
		if got := revoke(c.form); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if status, _ := refresh(first.Refresh); status != http.StatusOK {
		t.Fatalf("refresh before the revocation: %d", status)
	}
	for range 2 {
		if got := revoke(url.Values{"token": {second.Refresh}, "client_id": {"carrel-page"}}); got != 200 {
			t.Errorf("revocation: %d", got)
		}
	}
	s.restart()
	for name, c := range map[string]struct {
		token string
		want  int
	}{"the revoked token": {second.Refresh, 400}, "its predecessor": {first.Refresh, 400},
		"token of another sign-in": {other.Refresh, 200}} {
		if status, _ := refresh(c.token); status != c.want {
			t.Errorf("%s: %d, want %d", name, status, c.want)
		}
	}
}
