package mcp_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/tool/mcp"
	"carrel/shared/usercontext"
)

// signer signs with the user's hash.
type signer struct{}

func (signer) Sign(_ context.Context, u chat.User, service, region string, r *http.Request) error {
	r.Header.Set("Authorization", service+" "+region+" "+u.Hash())
	return nil
}

// A request carries the deployment's secret, or the signature of its run's user for the server's host.
func TestCredentialsFrom(t *testing.T) {
	getenv := func(name string) string { return map[string]string{"GIT_API_KEY": "k3y"}[name] }
	uc, err := usercontext.New(t.Context(), usercontext.Config{
		User: chattest.User(t, "alice"), Thread: "t", Run: "r", Request: "q",
	})
	if err != nil {
		t.Fatal(err)
	}
	authorize := func(s mcp.Server, address string) (http.Header, error) {
		c, err := mcp.CredentialsFrom(getenv, signer{})(s)
		if err != nil {
			return nil, err
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.Header, c.Authorize(t.Context(), uc, r)
	}
	key := mcp.Server{URL: "https://a.example/mcp", Credentials: mcp.Secret, Secret: "GIT_API_KEY"}
	named, missing := key, key
	named.Header, missing.Secret = "X-Key", "OTHER_API_KEY"
	own := mcp.Server{URL: key.URL, Credentials: mcp.SigV4, Service: "lambda", Region: "eu-west-1"}
	for name, c := range map[string]struct {
		server                mcp.Server
		address, header, want string
	}{
		"a secret":              {key, key.URL, "Authorization", "Bearer k3y"},
		"a secret's own header": {named, key.URL, "X-Key", "k3y"},
		"the user's signature":  {own, key.URL, "Authorization", "lambda eu-west-1 " + uc.User().Hash()},
	} {
		if got, err := authorize(c.server, c.address); err != nil || got.Get(c.header) != c.want {
			t.Errorf("%s: %v, %v; want %s", name, got, err, c.want)
		}
	}
	if _, err := authorize(missing, key.URL); err == nil || !strings.Contains(err.Error(), "OTHER_API_KEY") {
		t.Errorf("a missing secret: %v", err)
	}
	if got, err := authorize(own, "https://b.example/mcp"); err == nil || got.Get("Authorization") != "" {
		t.Errorf("another host: %v, %v", got, err)
	}
	if err := uc.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
