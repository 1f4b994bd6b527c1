package gateway_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"carrel/shared/gateway"
)

// A handshake from a browser must come from a configured page. A terminal sends no Origin and is accepted.
func TestOrigin(t *testing.T) {
	const good = "Bearer good"
	for origin, in := range map[string]bool{
		"https://page.test": true, "https://page.test:443": true, "HTTPS://Page.Test": true,
		"http://127.0.0.1:3000": true,
		"null":                  false, "": false, "http://page.test": false, "https://page.test:8443": false,
		"https://page.test.evil.test": false,
		"https://evil-page.test":      false, "https://page.test/": false, "https://page.test/x": false,
		"https://page.test?": false,
		"https://page.test#": false, "https://evil.test@page.test": false,
		"https://page.test, https://evil.test": false,
		"https://page.test https://evil.test":  false, "http://127.0.0.1": false, "http://127.0.0.1:30000": false,
		"http://[::1]:3000": false, "wss://page.test": false, "file://": false, "page.test": false,
		"//page.test": false,
	} {
		if _, log, err := authorize(t, map[string]string{"Authorization": good,
			"origin": origin}); in != (err == nil) || !in && !strings.Contains(log, "Origin") {
			t.Errorf("%q: error %v, log %q; want it accepted: %v", origin, err, log, in)
		}
	}
	if _, _, err := authorize(t, map[string]string{"Authorization": good}); err != nil {
		t.Errorf("a terminal, which sends no Origin: %v", err)
	}
	if _, _, err := authorize(t, map[string]string{"Authorization": good, "Origin": "https://page.test",
		"origin": "https://page.test"}); err == nil {
		t.Error("of two headers that differ in case one was chosen")
	}
}

func TestAuthorizer_TwoOrigins(t *testing.T) {
	pages, err := gateway.ParseOrigins("https://page.test")
	if err != nil {
		t.Fatal(err)
	}
	a := gateway.Authorizer{Verify: verifyAlice, Origins: pages, Log: slog.New(slog.DiscardHandler)}
	for lines, want := range map[string]error{
		`["https://page.test"]`: nil, `["https://evil.test","https://page.test"]`: gateway.ErrUnauthorized,
		`["https://page.test","https://page.test"]`: gateway.ErrUnauthorized,
	} {
		event := `{"headers":{"Authorization":"Bearer ` +
			`good","Origin":"https://page.test"},"multiValueHeaders":{"Origin":` + lines + `}}`
		if _, err := a.Handle(t.Context(), json.RawMessage(event)); !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", lines, err, want)
		}
	}
}

func TestParseOrigins(t *testing.T) {
	for text, want := range map[string]int{
		"https://a.test": 1, " https://a.test  http://localhost:3000 ": 2, "": 0, " ": 0, "a.test": 0, "null": 0,
		"*":               0,
		"https://a.test/": 0, "https://a.test ftp://b.test": 0, "https://*.a.test:x": 0,
	} {
		if got, err := gateway.ParseOrigins(text); (want == 0) != (err != nil) || len(got) != want {
			t.Errorf("%q: %v, %v; want %d origins", text, got, err, want)
		}
	}
}
