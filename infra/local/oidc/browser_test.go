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

func TestEndSession(t *testing.T) {
	s := fresh(t)
	for target, want := range map[string]int{"http://127.0.0.1:3000/": 303, "https://example.com/": 400, "": 200} {
		response, err := s.client.Get(s.url + "/end-session?" + url.Values{"post_logout_redirect_uri": {target}}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%q: %d, want %d", target, response.StatusCode, want)
		}
	}
}
