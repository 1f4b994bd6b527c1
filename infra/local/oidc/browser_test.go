package oidc_test

import (
	"net/http"
	"net/url"
	"testing"
)

// Pages of this machine may read tokens; a page from the internet may not.
func TestCrossOrigin(t *testing.T) {
	s := fresh(t)
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
			t.Errorf("%s: allowed should be %v", origin, allowed)
		}
	}
}

// Cognito ends a session only for a request that names the client and where to go; so does this issuer.
func TestEndSession(t *testing.T) {
	const home = "http://127.0.0.1:3000/"
	for name, c := range map[string]struct {
		q    url.Values
		want int
	}{
		"as Cognito wants it": {url.Values{"client_id": {"carrel-page"}, "logout_uri": {home}}, 303},
		"with OpenID's too": {url.Values{"client_id": {"carrel-page"}, "logout_uri": {home},
			"post_logout_redirect_uri": {home}}, 303},
		"no client":      {url.Values{"logout_uri": {home}}, 400},
		"another client": {url.Values{"client_id": {"other"}, "logout_uri": {home}}, 400},
		"no address":     {url.Values{"client_id": {"carrel-page"}}, 400},
		"OpenID's alone": {url.Values{"client_id": {"carrel-page"}, "post_logout_redirect_uri": {home}}, 400},
		"two addresses": {url.Values{"client_id": {"carrel-page"}, "logout_uri": {home},
			"post_logout_redirect_uri": {home + "x"}}, 400},
		"an address far away": {url.Values{"client_id": {"carrel-page"}, "logout_uri": {"https://example.com/"}}, 400},
		"nothing":             {nil, 400},
	} {
		s := fresh(t)
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
			t.Errorf("%s: the browser's session is there: %v", name, still)
		}
	}
}
