package testkit

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"carrel/infra/local/stack"
)

// Forger makes tokens with the local issuer's own key or with another one.
type Forger struct {
	Key    *ecdsa.PrivateKey // the issuer's
	KeyID  string
	Good   jwt.MapClaims // of a token that the stack accepts
	Signed string        // that token

	t testing.TB
}

// NewForger returns a Forger for a stack, with a good token of a user.
func NewForger(t testing.TB, s *stack.Stack, user string) *Forger {
	t.Helper()
	f := &Forger{t: t, Signed: Token(t, t.Context(), s.Endpoints(), user, 10*time.Minute)}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(s.EndpointsFile()), "data", "issuer-keys.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	parsed, _, err := jwt.NewParser().ParseUnverified(f.Signed, &f.Good)
	if err != nil {
		t.Fatal(err)
	}
	f.Key, f.KeyID = key.(*ecdsa.PrivateKey), parsed.Header["kid"].(string)
	return f
}

// Sign returns the good token with other claims, signed with a key; a claim of nil is left out.
func (f *Forger) Sign(method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	f.t.Helper()
	return f.SignTyped("JWT", method, key, claims)
}

// SignTyped is Sign with this typ in the header.
func (f *Forger) SignTyped(typ string, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	f.t.Helper()
	all := jwt.MapClaims{}
	for _, set := range []jwt.MapClaims{f.Good, claims} {
		for name, value := range set {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
	}
	token := jwt.NewWithClaims(method, all)
	token.Header["kid"], token.Header["typ"] = f.KeyID, typ
	signed, err := token.SignedString(key)
	if err != nil {
		f.t.Fatal(err)
	}
	return signed
}

// With returns the good token with another value of one claim, signed as the issuer does.
func (f *Forger) With(claim string, value any) string {
	return f.Sign(jwt.SigningMethodES256, f.Key, jwt.MapClaims{claim: value})
}

// WithHeader returns the good token with another header and its old signature.
func (f *Forger) WithHeader(header string) string {
	_, rest, _ := strings.Cut(f.Signed, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + rest
}
