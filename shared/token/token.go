// Package token verifies OAuth access tokens: issuer, signature (RS256 or ES256), expiry, audience and kind.
package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"carrel/shared/chat"
)

// Config is what tokens must fit.
type Config struct {
	Issuer      string // exactly the iss claim; its discovery document names the keys
	Audience    string // aud contains it or, where there is no aud as with Cognito, client_id equals it
	GrantsClaim string // scope, permissions or cognito:groups: the only source of grants
	// GrantsPrefix, if there is one, stands before each grant in the claim and is not a part of it; what is without it is
	// no grant. Cognito writes its resource server's name so: carrel/calculator.
	GrantsPrefix string
	Now          func() time.Time // nil: time.Now
}

// fetchTimeout bounds the discovery and each fetch of keys: a person waits for the connect meanwhile.
const fetchTimeout = 5 * time.Second

// Verifier verifies tokens. It fetches the issuer's keys when they are first needed and again when a token names a key
// that it does not know, but not often: see keyGuard. It is shared by all requests.
type Verifier struct {
	config Config
	http   *http.Client

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier // nil until the first discovery succeeded
}

// New makes a verifier; it does no I/O. A missing or unknown member is an error that names it.
func New(c Config) (*Verifier, error) {
	switch {
	case c.Issuer == "":
		return nil, errors.New("token: no issuer is configured")
	case c.Audience == "":
		return nil, errors.New("token: no audience is configured")
	case !slices.Contains([]string{"scope", "permissions", "cognito:groups"}, c.GrantsClaim):
		return nil, fmt.Errorf("token: the grants claim is %q; it must be scope, permissions or cognito:groups", c.GrantsClaim)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	guard := &keyGuard{next: &http.Transport{Proxy: http.ProxyFromEnvironment}, now: c.Now}
	return &Verifier{config: c, http: &http.Client{Timeout: fetchTimeout, Transport: guard}}, nil
}

// claims are the members of an access token that Carrel reads beside the registered ones.
type claims struct {
	ClientID    string   `json:"client_id"`
	TokenUse    string   `json:"token_use"`
	Scope       string   `json:"scope"`
	Permissions []string `json:"permissions"`
	Groups      []string `json:"cognito:groups"`
	AuthTime    any      `json:"auth_time"`
}

// Verify returns what the token says. Its error says why not, for the operator's log alone: a client learns
// "unauthorized".
func (v *Verifier) Verify(ctx context.Context, raw string) (chat.Claims, error) {
	verifier, err := v.discovered(ctx)
	if err != nil {
		return chat.Claims{}, err
	}
	t, err := verifier.Verify(oidc.ClientContext(ctx, v.http), raw)
	if err != nil {
		return chat.Claims{}, fmt.Errorf("token: %w", err)
	}
	var c claims
	if err := t.Claims(&c); err != nil {
		return chat.Claims{}, fmt.Errorf("token: reading the claims: %w", err)
	}
	switch {
	case t.Subject == "":
		return chat.Claims{}, errors.New("token: it has no subject")
	case !slices.Contains(audience(t, c), v.config.Audience):
		return chat.Claims{}, fmt.Errorf("token: audience %q and client_id %q do not name %q", t.Audience, c.ClientID, v.config.Audience)
	case c.TokenUse != "" && c.TokenUse != "access":
		return chat.Claims{}, fmt.Errorf("token: token_use is %q, an access token is wanted", c.TokenUse)
	}
	signIn, err := signIn(t, c.AuthTime)
	if err != nil {
		return chat.Claims{}, err
	}
	return chat.Claims{Issuer: t.Issuer, Subject: t.Subject, Expires: t.Expiry, SignIn: signIn, Grants: v.config.grants(c)}, nil
}

// audience is whom a token is for. A client_id says so only of a token without aud: one that the same page got for another
// API is no way in here for who runs that.
func audience(t *oidc.IDToken, c claims) []string {
	if len(t.Audience) > 0 {
		return t.Audience
	}
	return []string{c.ClientID}
}

func (config Config) grants(c claims) []string {
	all := c.grants(config.GrantsClaim)
	if config.GrantsPrefix == "" {
		return all
	}
	var grants []string
	for _, g := range all {
		if grant, ok := strings.CutPrefix(g, config.GrantsPrefix); ok && grant != "" {
			grants = append(grants, grant)
		}
	}
	return grants
}

func (c claims) grants(claim string) []string {
	switch claim {
	case "permissions":
		return c.Permissions
	case "cognito:groups":
		return c.Groups
	}
	return strings.Fields(c.Scope)
}

// discovered returns the verifier, discovering the issuer if no call has succeeded in that yet.
func (v *Verifier) discovered(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.verifier != nil {
		return v.verifier, nil
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, v.http), fetchTimeout)
	defer cancel()
	provider, err := oidc.NewProvider(ctx, v.config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("token: discovering the issuer: %w", err)
	}
	v.verifier = provider.Verifier(&oidc.Config{
		SkipClientIDCheck:    true, // access tokens name their audience in two ways: Verify looks itself
		SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256},
		Now:                  v.config.Now,
	})
	return v.verifier, nil
}
