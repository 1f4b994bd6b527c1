package oidc_test

import (
	"net/http"
	"net/url"
	"testing"
)

// Pages of this machine may read responses of the issuer. A page from the internet may not.
func TestCrossOrigin(t *testing.T) {
	s := newSite(t)
	for origin, allowed := range map[string]bool{"http://127.0.0.1:5173": true, "http://localhost:5173": true,
		"https://example.com": false, "http://127.0.0.1.example.com": false} {
		r, err := http.NewRequest(http.MethodOptions, s.url+"/token", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin)
		response, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if (response.Header.Get("Access-Control-Allow-Origin") == origin) != allowed {
			t.Errorf("%s: want it allowed: %v", origin, allowed)
		}
	}
}

// Like Cognito, the issuer ends a session only if the request names the client and logout_uri.
func TestEndSession(t *testing.T) {
	const home = "http://127.0.0.1:3000/"
	for name, c := range map[string]struct {
		q    url.Values
		want int
	}{
		"Cognito's parameters": {url.Values{"client_id": {"carrel-page"}, "logout_uri": {home}}, 303},
		"OpenID's parameter as well": {url.Values{"client_id": {"carrel-page"}, "logout_uri": {home},
			"post_logout_redirect_uri": {home}}, 303},
		"no client":                {url.Values{"logout_uri": {home}}, 400},
		"another client":           {url.Values{"client_id": {"other"}, "logout_uri": {home}}, 400},
		"no address":               {url.Values{"client_id": {"carrel-page"}}, 400},
		"OpenID's parameter alone": {url.Values{"client_id": {"carrel-page"}, "post_logout_redirect_uri": {home}}, 400},
		"two addresses": {url.Values{"client_id": {"carrel-page"}, "logout_uri": {home},
			"post_logout_redirect_uri": {home + "x"}}, 400},
		"external address": {url.Values{"client_id": {"carrel-page"}, "logout_uri": {"https://example.com/"}}, 400},
		"no parameters":    {nil, 400},
	} {
		s := newSite(t)
		s.keepCookies()
		s.choose(request("v"), "alice")
		response, err := s.client.Get(s.url + "/end-session?" + c.q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", name, response.StatusCode, c.want)
		}
		if _, still := s.silent(nil); still == (c.want == 303) {
			t.Errorf("%s: the browser still has a session: %v", name, still)
		}
	}
}
