package token_test

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"carrel/shared/chat"
	"carrel/shared/token"
)

// issuer is an HTTP server that acts as an issuer, with RSA keys and one EC key.
type issuer struct {
	*httptest.Server
	rsa     *rsa.PrivateKey
	weak    *rsa.PrivateKey // of 1024 bits
	keysAt  string          // the address of the keys that the discovery document names; "": the issuer's own
	ec      *ecdsa.PrivateKey
	ecID    atomic.Value // of the EC key in the key set
	fetches atomic.Int64 // of the key set
	down    atomic.Bool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	var err error
	if i.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if i.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	i.ecID.Store("ec1")
	if i.weak, err = rsa.GenerateKey(rand.Reader, 1024); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		if i.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": cmp.Or(i.keysAt, i.URL+"/keys"),
			"authorization_endpoint": i.URL, "token_endpoint": i.URL})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		i.fetches.Add(1)
		json.NewEncoder(w).Encode(map[string]any{"keys": []any{
			map[string]string{"kty": "RSA", "kid": "rsa0", "alg": "RS256", "use": "sig", "n": b64(i.weak.N.Bytes()),
				"e": b64(big.NewInt(int64(i.weak.E)).Bytes())},
			map[string]string{"kty": "RSA", "kid": "rsa1", "alg": "RS256", "use": "sig", "n": b64(i.rsa.N.Bytes()),
				"e": b64(big.NewInt(int64(i.rsa.E)).Bytes())},
			map[string]string{"kty": "EC", "kid": i.ecID.Load().(string), "alg": "ES256", "use": "sig", "crv": "P-256",
				"x": b64(i.ec.X.FillBytes(make([]byte, 32))), "y": b64(i.ec.Y.FillBytes(make([]byte, 32)))},
		}})
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (i *issuer) claims(changes jwt.MapClaims) jwt.MapClaims {
	c := jwt.MapClaims{"iss": i.URL, "sub": "auth0|alice", "client_id": "page", "token_use": "access",
		"scope": "calculator notes", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	for k, v := range changes {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

func sign(t *testing.T, m jwt.SigningMethod, kid string, key crypto.PrivateKey, c jwt.MapClaims) string {
	t.Helper()
	j := jwt.NewWithClaims(m, c)
	j.Header["kid"] = kid
	s, err := j.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (i *issuer) verifier(t *testing.T, c token.Config) *token.Verifier {
	t.Helper()
	c.Issuer, c.Audiences, c.Kind = i.URL, []string{"spare", "page"}, cmp.Or(c.Kind, token.KindTokenUse)
	if c.GrantsClaim == "" {
		c.GrantsClaim = "scope"
	}
	v, err := token.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVerify_ValidTokens(t *testing.T) {
	i := newIssuer(t)
	for name, c := range map[string]struct{ kind, raw string }{
		"Cognito, ES256": {"token_use", sign(t, jwt.SigningMethodES256, "ec1", i.ec, i.claims(nil))},
		"aud, RS256": {"audience", sign(t, jwt.SigningMethodRS256, "rsa1", i.rsa,
			i.claims(jwt.MapClaims{"aud": []string{"x", "page"}, "client_id": nil, "token_use": nil}))},
		"aud, client": {"audience", sign(t, jwt.SigningMethodES256, "ec1", i.ec,
			i.claims(jwt.MapClaims{"aud": "page", "client_id": "another"}))},
		"a day long": {"token_use", sign(t, jwt.SigningMethodES256, "ec1", i.ec,
			i.claims(jwt.MapClaims{"iat": now(0), "exp": now(24 * time.Hour)}))},
	} {
		got, err := i.verifier(t, token.Config{Kind: token.Kind(c.kind), PageClient: "app"}).Verify(t.Context(), c.raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got.Subject != "auth0|alice" || got.Issuer != i.URL ||
			!slices.Equal(got.Grants, []string{"calculator", "notes"}) || got.Expires.Before(time.Now()) {
			t.Errorf("%s: claims %+v, want the subject, the issuer, a future expiry and the grants", name, got)
		}
	}
}

// now returns the current time plus d, as the seconds that a token holds.
func now(d time.Duration) int64 { return time.Now().Add(d).Unix() }

// The time of a sign-in is auth_time, which a refresh keeps, or the time of issue if the token has no auth_time.
func TestSignIn(t *testing.T) {
	i := newIssuer(t)
	iat := time.Now().Truncate(time.Second)
	before := iat.Add(-3 * time.Hour)
	for name, c := range map[string]struct {
		authTime any
		want     chat.SignIn
	}{
		"auth_time":              {before.Unix(), chat.SignIn{At: before, Proven: true}},
		"auth_time equal to iat": {iat.Unix(), chat.SignIn{At: iat, Proven: true}},
		"a fraction of a second": {float64(before.Unix()) + 0.5, chat.SignIn{At: before, Proven: true}},
		"AD FS writes a date":    {before.UTC().Format(time.RFC3339Nano), chat.SignIn{At: before, Proven: true}},
		"no auth_time":           {nil, chat.SignIn{At: iat}},
		"auth_time of 0":         {0, chat.SignIn{At: iat}},
	} {
		raw := sign(t, jwt.SigningMethodES256, "ec1", i.ec,
			i.claims(jwt.MapClaims{"iat": iat.Unix(), "auth_time": c.authTime}))
		got, err := i.verifier(t, token.Config{}).Verify(t.Context(), raw)
		if err != nil || !got.SignIn.At.Equal(c.want.At) || got.SignIn.Proven != c.want.Proven {
			t.Errorf("%s: %+v, %v, want %+v", name, got.SignIn, err, c.want)
		}
	}
}

func TestVerify_InvalidTokens(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	es := func(changes jwt.MapClaims) string {
		return sign(t, jwt.SigningMethodES256, "ec1", i.ec, i.claims(changes))
	}
	der, err := x509.MarshalPKIXPublicKey(&i.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	v := i.verifier(t, token.Config{})
	if _, err := v.Verify(t.Context(), es(nil)); err != nil {
		t.Fatalf("the valid token, of which all cases are variants: %v", err)
	}
	for name, c := range map[string]struct{ raw, reason string }{
		"empty":                    {"", "malformed"},
		"not a token":              {"a.b.c", "malformed"},
		"expired":                  {es(jwt.MapClaims{"exp": time.Now().Add(-time.Minute).Unix()}), "expired"},
		"no expiry":                {es(jwt.MapClaims{"exp": nil}), "expired"},
		"foreign issuer":           {es(jwt.MapClaims{"iss": other.URL}), "different provider"},
		"foreign key":              {sign(t, jwt.SigningMethodES256, "ec1", other.ec, i.claims(nil)), "keys"},
		"foreign audience":         {es(jwt.MapClaims{"client_id": "other", "aud": "other"}), "audience"},
		"foreign aud, own client":  {es(jwt.MapClaims{"aud": "https://another-api"}), "audience"},
		"an empty aud, own client": {es(jwt.MapClaims{"aud": ""}), "audience"},
		"no audience":              {es(jwt.MapClaims{"client_id": nil}), "audience"},
		"an id token":              {es(jwt.MapClaims{"token_use": "id"}), "token_use"},
		"no iat":                   {es(jwt.MapClaims{"iat": nil}), "iat"},
		"iat in the future": {es(jwt.MapClaims{"iat": now(time.Hour), "exp": now(2 * time.Hour)}),
			"iat is in the future"},
		"iat, a text": {es(jwt.MapClaims{"iat": "now"}), ""},
		"more than a day long": {es(jwt.MapClaims{"iat": now(-time.Hour),
			"exp": now(23*time.Hour + 2*time.Minute)}), "valid for 24h2m0s"},
		"subject in another case": {es(jwt.MapClaims{"sub": nil, "SUB": "bob"}), "subject"},
		"issuer in another case":  {es(jwt.MapClaims{"iss": nil, "ISS": i.URL}), "provider"},
		"expiry in another case":  {es(jwt.MapClaims{"exp": nil, "Exp": now(time.Hour)}), "expired"},
		"a subject in two cases":  {es(jwt.MapClaims{"sub": "", "suB": "bob"}), "subject"},
		"RSA of 1024 bits":        {sign(t, jwt.SigningMethodRS256, "rsa0", i.weak, i.claims(nil)), "2048"},
		"auth_time in words":      {es(jwt.MapClaims{"auth_time": "today"}), "auth_time"},
		"auth_time, a list":       {es(jwt.MapClaims{"auth_time": []int{1}}), "auth_time"},
		"auth_time before 1970":   {es(jwt.MapClaims{"auth_time": -1}), "auth_time"},
		"auth_time after iat":     {es(jwt.MapClaims{"auth_time": time.Now().Add(time.Hour).Unix()}), "auth_time"},
		"no subject":              {es(jwt.MapClaims{"sub": nil}), "subject"},
		"alg none": {sign(t, jwt.SigningMethodNone, "ec1", jwt.UnsafeAllowNoneSignatureType,
			i.claims(nil)), "malformed"},
		"HS256 with the public key": {sign(t, jwt.SigningMethodHS256, "rsa1", publicPEM, i.claims(nil)), "algorithm"},
	} {
		_, err := v.Verify(t.Context(), c.raw)
		if err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: error %v, want it to contain %q", name, err, c.reason)
		}
	}
}

func TestVerify_UnknownKeysFetchOnce(t *testing.T) {
	i := newIssuer(t)
	now := time.Now()
	v := i.verifier(t, token.Config{Now: func() time.Time { return now }})
	for n := range 20 {
		if _, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodES256, fmt.Sprint("made-up", n), i.ec,
			i.claims(nil))); err == nil {
			t.Fatal("a token of an unknown key was accepted")
		}
	}
	if n := i.fetches.Load(); n != 1 {
		t.Errorf("20 unknown key ids caused %d fetches of the key set, want 1", n)
	}
	i.ecID.Store("ec2") // the issuer rotates its key
	rotated := sign(t, jwt.SigningMethodES256, "ec2", i.ec, i.claims(nil))
	now = now.Add(11 * time.Second)
	// The library shares one fetch among concurrent calls, and releases it a moment after the response. Here no time
	// passes in between, so a call may still get the response of the previous fetch.
	_, err := v.Verify(t.Context(), rotated)
	for n := 0; err != nil && n < 1000; n++ {
		_, err = v.Verify(t.Context(), rotated)
	}
	if err != nil {
		t.Errorf("a rotated key 11 s later: %v", err)
	}
}

func TestVerify_IssuerRecovers(t *testing.T) {
	i := newIssuer(t)
	i.down.Store(true)
	now := time.Now()
	v := i.verifier(t, token.Config{Now: func() time.Time { return now }})
	raw := sign(t, jwt.SigningMethodES256, "ec1", i.ec, i.claims(nil))
	if _, err := v.Verify(t.Context(), raw); err == nil || !strings.Contains(err.Error(), "discover the issuer") {
		t.Fatalf("issuer down: error %v, want it to contain \"discover the issuer\"", err)
	}
	i.down.Store(false)
	now = now.Add(2 * time.Second)
	if _, err := v.Verify(t.Context(), raw); err != nil {
		t.Errorf("issuer up again: %v", err)
	}
}

func TestNew_WrongConfig(t *testing.T) {
	aud := []string{"a"}
	for want, c := range map[string]token.Config{
		"no issuer": {Audiences: aud, Kind: token.KindTyp, GrantsClaim: "scope"},
		"must begin with": {Issuer: "http://issuer.test", Audiences: aud, Kind: token.KindTyp,
			GrantsClaim: "scope"},
		"audience":          {Issuer: "https://i", Kind: token.KindTyp, GrantsClaim: "scope"},
		"grants":            {Issuer: "https://i", Audiences: aud, Kind: token.KindTyp, GrantsClaim: "role"},
		"kind of token":     {Issuer: "https://i", Audiences: aud, GrantsClaim: "scope"},
		"the page's client": {Issuer: "https://i", Audiences: aud, Kind: token.KindAudience, GrantsClaim: "scope"},
		"differ from every a": {Issuer: "https://i", Audiences: []string{"b", "a"}, PageClient: "a",
			Kind: token.KindAudience, GrantsClaim: "scope"},
	} {
		if _, err := token.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want it to contain %q", err, want)
		}
	}
	_, err := token.New(token.Config{Issuer: "http://issuer.test", Kind: token.KindAudience, GrantsClaim: "role"})
	for _, want := range []string{"must begin with", "no audience", "the page's client", "grants claim"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("four wrong members: error %v, want it to contain %q too", err, want)
		}
	}
	for _, local := range []string{"https://issuer.test", "http://127.0.0.1:3000/issuer", "http://localhost:1",
		"http://[::1]:1"} {
		if _, err := token.New(token.Config{Issuer: local, Audiences: aud, Kind: token.KindTyp,
			GrantsClaim: "scope"}); err != nil {
			t.Errorf("%s: %v", local, err)
		}
	}
}

// The verifier does not fetch keys from an address without TLS.
func TestVerify_KeysWithoutTLS(t *testing.T) {
	i := newIssuer(t)
	i.keysAt = "http://keys.test/"
	raw := sign(t, jwt.SigningMethodES256, "ec1", i.ec, i.claims(nil))
	if _, err := i.verifier(t, token.Config{}).Verify(t.Context(), raw); err == nil ||
		!strings.Contains(err.Error(), "https://") {
		t.Errorf("error %v, want it to contain https://", err)
	}
}
