// Package token verifies OAuth access tokens: issuer, signature (RS256 or ES256), times, audience and kind.
package token

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"carrel/shared/chat"
)

// Config says which tokens are accepted.
type Config struct {
	Issuer     string   // equal to the iss claim; https, except on this machine; its discovery document names the keys
	Audiences  []string // aud must contain one of them; in a token without aud, as Cognito's, client_id must equal one
	Kind       Kind     // decides which tokens are access tokens
	PageClient string   // the client id of the page, which is the aud of its ID tokens; required for KindAudience
	// GrantsClaim is the only source of grants: scope, scp, permissions, roles, groups, cognito:groups or
	// realm_access.roles.
	GrantsClaim string
	// GrantsPrefix is removed from each entry of the claim. Entries without it are ignored. Cognito writes the name of
	// its resource server before each scope: carrel/calculator.
	GrantsPrefix string
	Now          func() time.Time // time.Now if nil
}

// fetchTimeout bounds the discovery and each fetch of keys. The handshake waits for them.
const fetchTimeout = 5 * time.Second

// Verifier verifies tokens. It fetches the issuer's keys when it first needs them, and again when a token names a key
// that it does not have. keyGuard limits how often it fetches. It is safe for concurrent use.
type Verifier struct {
	config Config
	http   *http.Client

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier // nil until the first discovery succeeded
}

// New returns a verifier. It makes no request. Its error names every member of the configuration that is missing or
// wrong.
func New(c Config) (*Verifier, error) {
	if err := errors.Join(c.checkIssuer(), c.checkAudience(), c.checkGrants()); err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	guard := &keyGuard{next: &http.Transport{Proxy: http.ProxyFromEnvironment}, now: c.Now}
	return &Verifier{config: c, http: &http.Client{Timeout: fetchTimeout, Transport: guard}}, nil
}

func (c Config) checkIssuer() error {
	if c.Issuer == "" {
		return errors.New("token: no issuer is configured")
	}
	if issuer, err := url.Parse(c.Issuer); err != nil || !private(issuer) {
		return fmt.Errorf("token: the issuer is %q; it must begin with https://, or be on this machine", c.Issuer)
	}
	return nil
}

// checkAudience checks the members that together decide which tokens are access tokens for this API.
func (c Config) checkAudience() error {
	var errs []error
	if len(c.Audiences) == 0 || slices.Contains(c.Audiences, "") {
		errs = append(errs, errors.New("token: no audience is configured"))
	}
	if !slices.Contains([]Kind{KindAudience, KindTyp, KindTokenUse}, c.Kind) {
		errs = append(errs, fmt.Errorf("token: the kind of token is %q; it must be audience, typ or token_use", c.Kind))
	}
	if c.Kind == KindAudience && (c.PageClient == "" || slices.Contains(c.Audiences, c.PageClient)) {
		errs = append(errs,
			errors.New("token: the kind audience needs the page's client id, which must differ from every audience"))
	}
	return errors.Join(errs...)
}

func (c Config) checkGrants() error {
	if _, known := grantsShapes()[c.GrantsClaim]; !known {
		return fmt.Errorf("token: the grants claim is %q; it must be one of %s", c.GrantsClaim, grantsNames())
	}
	return nil
}

// Verify returns the claims of an access token. Its error gives the reason of a refusal and is only for the operator's
// log: a client gets "unauthorized".
func (v *Verifier) Verify(ctx context.Context, raw string) (chat.Claims, error) {
	verifier, err := v.discovered(ctx)
	if err != nil {
		return chat.Claims{}, err
	}
	t, err := verifier.Verify(oidc.ClientContext(ctx, v.http), raw)
	if err != nil {
		return chat.Claims{}, fmt.Errorf("token: %w", err)
	}
	h, err := header(raw)
	if err != nil {
		return chat.Claims{}, err
	}
	var c claims
	if err := t.Claims(&c); err != nil {
		return chat.Claims{}, fmt.Errorf("token: decode the claims: %w", err)
	}
	if err := errors.Join(strongKey(h, raw), v.config.Kind.access(h, c)); err != nil {
		return chat.Claims{}, err
	}
	return v.read(c)
}

// read checks the claims of an access token and returns them. The library has checked them too, but it ignores the case
// of their names. read uses exact names.
func (v *Verifier) read(c claims) (chat.Claims, error) {
	issuer, issErr := c.text("iss")
	subject, subErr := c.text("sub")
	expires, expErr := c.time("exp")
	audience, audErr := audience(c)
	grants, grantsErr := v.config.grants(c)
	if err := errors.Join(issErr, subErr, expErr, audErr, grantsErr); err != nil {
		return chat.Claims{}, err
	}
	now := v.config.Now()
	switch {
	case issuer != v.config.Issuer:
		return chat.Claims{}, fmt.Errorf("token: different provider: iss is %q", issuer)
	case subject == "":
		return chat.Claims{}, errors.New("token: no subject")
	case expires.Before(now):
		return chat.Claims{}, errors.New("token: expired, or without exp")
	case !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(v.config.Audiences, a) }):
		return chat.Claims{}, fmt.Errorf("token: the audience %q contains none of %q", audience, v.config.Audiences)
	}
	iat, err := issued(c, now, expires)
	if err != nil {
		return chat.Claims{}, err
	}
	signIn, err := signIn(c, iat)
	if err != nil {
		return chat.Claims{}, err
	}
	return chat.Claims{Issuer: issuer, Subject: subject, Expires: expires, SignIn: signIn, Grants: grants}, nil
}

// audience returns the audience of a token: its aud or, in a token without aud, its client_id. The client_id of a token
// with aud must not count, because the page may have obtained that token for another API, whose operator could use it
// here.
func audience(c claims) ([]string, error) {
	if c.has("aud") {
		aud, _, err := c.list("aud")
		return aud, err
	}
	client, err := c.text("client_id")
	return []string{client}, err
}

// minRSA is the size of the smallest RSA key whose signatures are accepted, in bytes.
const minRSA = 2048 / 8

// strongKey refuses a signature by an RSA key of less than 2048 bits. A verified RSA signature is as long as its key.
func strongKey(h claims, raw string) error {
	alg, err := h.text("alg")
	signature := raw[strings.LastIndex(raw, ".")+1:]
	if err == nil && alg == oidc.RS256 && base64.RawURLEncoding.DecodedLen(len(signature)) < minRSA {
		return errors.New("token: signed with an RSA key of less than 2048 bits")
	}
	return err
}

// discovered returns the verifier of the library. It fetches the discovery document unless an earlier call succeeded.
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
		return nil, fmt.Errorf("token: discover the issuer: %w", err)
	}
	v.verifier = provider.Verifier(&oidc.Config{
		SkipClientIDCheck:    true, // access tokens name their audience in two ways, which read checks
		SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256},
		Now:                  v.config.Now,
	})
	return v.verifier, nil
}
