package oidc

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

const (
	maxUser     = 128
	maxBody     = 16 << 10
	refreshLife = 30 * 24 * time.Hour
	daySeconds  = 24 * 60 * 60
)

// tokens is the response of the token endpoint.
type tokens struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token,omitempty"`
	Refresh string `json:"refresh_token,omitempty"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"`
	Scope   string `json:"scope"`
}

// claims are the claims of access, id and refresh tokens. TokenUse distinguishes them.
type claims struct {
	jwt.RegisteredClaims
	ClientID string `json:"client_id,omitempty"`
	TokenUse string `json:"token_use"`
	Scope    string `json:"scope,omitempty"`
	Username string `json:"username,omitempty"`
	Name     string `json:"name,omitempty"`
	Nonce    string `json:"nonce,omitempty"`
	AuthTime int64  `json:"auth_time,omitempty"`
	Family   string `json:"family,omitempty"` // identifies the refresh tokens of one sign-in
}

// Request describes an access token to mint.
type Request struct {
	User    string
	Scope   string        // default DefaultScope
	Expires time.Duration // lifetime; default the issuer's; negative: an expired token, for tests
	Aud     bool          // put the client into aud, like most issuers; otherwise into client_id only, like Cognito
	// SignedIn is the time for auth_time; default now. Unproven omits auth_time, like some issuers.
	SignedIn time.Time
	Unproven bool
}

// Mint returns a signed access token. The user's name must have 1 to 128 characters and no control characters.
func (i *Issuer) Mint(r Request) (string, error) {
	if r.User == "" || utf8.RuneCountInString(r.User) > maxUser || !utf8.ValidString(r.User) ||
		strings.ContainsFunc(r.User, unicode.IsControl) || strings.TrimSpace(r.User) != r.User {
		return "", fmt.Errorf("user must be 1 to %d characters, without control characters or space around it", maxUser)
	}
	if r.Expires == 0 {
		r.Expires = i.config.Life
	}
	if r.Scope == "" {
		r.Scope = DefaultScope()
	}
	c := i.claims(r.User, "access", r.Expires)
	c.Scope, c.Username = r.Scope, r.User
	if r.Aud {
		c.Audience = jwt.ClaimStrings{i.config.ClientID}
	} else {
		c.ClientID = i.config.ClientID
	}
	if !r.Unproven {
		c.AuthTime = cmp.Or(r.SignedIn, i.config.Now()).Unix()
	}
	return i.sign("at+jwt", c)
}

func (i *Issuer) claims(user, use string, life time.Duration) claims {
	now := i.config.Now()
	return claims{TokenUse: use, RegisteredClaims: jwt.RegisteredClaims{Issuer: i.config.Issuer, Subject: user,
		ID: rand.Text(), IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life))}}
}

// sign signs a token. The header's typ is at+jwt for an access token (RFC 9068), else JWT.
func (i *Issuer) sign(typ string, c claims) (string, error) {
	k := i.allKeys()[0]
	t := jwt.NewWithClaims(jwt.SigningMethodES256, c)
	t.Header["kid"], t.Header["typ"] = k.id, typ
	signed, err := t.SignedString(k.private)
	if err != nil {
		return "", fmt.Errorf("oidc: sign a token: %w", err)
	}
	return signed, nil
}

// token serves the token endpoint: by grant type for the page, by user name for scripts.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request", "the form cannot be parsed: "+err.Error())
		return
	}
	switch kind := r.PostForm.Get("grant_type"); kind {
	case "":
		i.mintForScript(w, r)
	case "authorization_code":
		i.exchange(w, r)
	case "refresh_token":
		i.refresh(w, r)
	default:
		refuse(w, http.StatusBadRequest, "unsupported_grant_type",
			fmt.Sprintf("%q: use authorization_code or refresh_token, or send a user and no grant_type", kind))
	}
}

// mintForScript returns a token for any user name. The form has the fields user, scope (optional), expires_in (optional
// seconds; negative for an expired token), shape (optional; aud for an aud claim) and auth_age (optional seconds since
// the sign-in, default 0; "unknown" for no auth_time).
func (i *Issuer) mintForScript(w http.ResponseWriter, r *http.Request) {
	request := Request{User: r.PostForm.Get("user"), Scope: r.PostForm.Get("scope")}
	seconds := int(i.config.Life / time.Second)
	if text := r.PostForm.Get("expires_in"); text != "" {
		var err error
		if seconds, err = strconv.Atoi(text); err != nil || seconds < -daySeconds || seconds > daySeconds ||
			seconds == 0 {
			refuse(w, http.StatusBadRequest, "invalid_request",
				"expires_in must be seconds from -86400 to 86400, not 0")
			return
		}
	}
	request.Expires = time.Duration(seconds) * time.Second
	switch shape := r.PostForm.Get("shape"); shape {
	case "", "cognito":
	case "aud":
		request.Aud = true
	default:
		refuse(w, http.StatusBadRequest, "invalid_request", "shape must be cognito or aud")
		return
	}
	if age := r.PostForm.Get("auth_age"); age == "unknown" {
		request.Unproven = true
	} else if age != "" {
		ago, err := strconv.Atoi(age)
		if err != nil || ago < 0 {
			refuse(w, http.StatusBadRequest, "invalid_request", "auth_age must be seconds, or unknown")
			return
		}
		request.SignedIn = i.config.Now().Add(-time.Duration(ago) * time.Second)
	}
	access, err := i.Mint(request)
	if err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	scope := request.Scope
	if scope == "" {
		scope = DefaultScope()
	}
	answer(w, http.StatusOK, tokens{Access: access, Type: "Bearer", Expires: seconds, Scope: scope})
}

// exchange returns tokens for a code that is valid and was issued for this request.
func (i *Issuer) exchange(w http.ResponseWriter, r *http.Request) {
	g, ok := i.takeCode(r.PostForm.Get("code"))
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	switch {
	case !ok:
		refuse(w, http.StatusBadRequest, "invalid_grant", "the code is unknown, used or too old: sign in again")
	case r.PostForm.Get("client_id") != g.client || r.PostForm.Get("redirect_uri") != g.redirect:
		refuse(w, http.StatusBadRequest, "invalid_grant",
			"client_id and redirect_uri must be those of the authorization request")
	case base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge:
		refuse(w, http.StatusBadRequest, "invalid_grant", "code_verifier does not match the code_challenge")
	default:
		i.grant(w, g)
	}
}

// refresh returns new tokens for a refresh token. Refresh tokens are signed, so they survive a restart.
func (i *Issuer) refresh(w http.ResponseWriter, r *http.Request) {
	c, err := i.read(r.PostForm.Get("refresh_token"), jwt.WithIssuer(i.config.Issuer), jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(i.config.Now))
	if err != nil || c.TokenUse != "refresh" || c.ClientID != r.PostForm.Get("client_id") || i.isRevoked(c.Family) {
		refuse(w, http.StatusBadRequest, "invalid_grant", "the refresh token is not valid here: sign in again")
		return
	}
	i.grant(w, grant{client: c.ClientID, user: c.Subject, scope: c.Scope, family: c.Family,
		signedIn: time.Unix(c.AuthTime, 0)})
}

// read verifies that this issuer signed a token and returns its claims.
func (i *Issuer) read(raw string, o ...jwt.ParserOption) (claims, error) {
	var c claims
	_, err := jwt.ParseWithClaims(raw, &c, i.verificationKey, append(o, jwt.WithValidMethods([]string{"ES256"}))...)
	return c, err
}

func (i *Issuer) verificationKey(t *jwt.Token) (any, error) {
	for _, k := range i.allKeys() {
		if k.id == t.Header["kid"] {
			return &k.private.PublicKey, nil
		}
	}
	return nil, errors.New("oidc: unknown key")
}

// grant responds with an access token, an id token and a refresh token.
func (i *Issuer) grant(w http.ResponseWriter, g grant) {
	access, err := i.Mint(Request{User: g.user, Scope: g.scope, SignedIn: g.signedIn})
	identity := i.claims(g.user, "id", i.config.Life)
	identity.Audience = jwt.ClaimStrings{g.client}
	identity.Name, identity.Nonce, identity.AuthTime = g.user, g.nonce, g.signedIn.Unix()
	id, idErr := i.sign("JWT", identity)
	refreshClaims := i.claims(g.user, "refresh", refreshLife)
	refreshClaims.ClientID, refreshClaims.Scope = g.client, g.scope
	refreshClaims.AuthTime, refreshClaims.Family = g.signedIn.Unix(), cmp.Or(g.family, rand.Text())
	refresh, refreshErr := i.sign("JWT", refreshClaims)
	if err := errors.Join(err, idErr, refreshErr); err != nil {
		refuse(w, http.StatusInternalServerError, "server_error", err.Error())
		return
	}
	answer(w, http.StatusOK, tokens{Access: access, ID: id, Refresh: refresh, Type: "Bearer",
		Expires: int(i.config.Life / time.Second), Scope: g.scope})
}
