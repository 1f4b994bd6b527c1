package input_test

import (
	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"context"

	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"carrel/shared/wire"
)

// badToken is a token that must be refused, and what the operator's log must say about it.
type badToken struct{ name, token, reason string }

// badTokenCases returns tokens that must be refused.
func badTokenCases(t *testing.T, e stack.Endpoints, f *testkit.Forger, user string) []badToken {
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(f.Signed, ".")
	other := strings.Split(f.With("sub", user+"-too"), ".")
	return []badToken{
		{"malformed", "abc", "malformed jwt"},
		{"two parts", parts[0] + "." + parts[1], "malformed jwt"},
		{"no signature", parts[0] + "." + parts[1] + ".", "signature"},
		{"foreign signature", parts[0] + "." + other[1] + "." + parts[2], "signature"},
		{"not base64", "a." + "!" + ".c", "malformed jwt"},
		{"expired", testkit.Token(t, t.Context(), e, user, -time.Minute), "expired"},
		{"no expiry", f.With("exp", nil), "expired"},
		{"not yet valid", f.With("nbf", time.Now().Add(time.Hour).Unix()), "before the nbf"},
		{"foreign issuer", f.With("iss", "https://issuer.test"), "different provider"},
		{"issuer with another slash", f.With("iss", f.Good["iss"].(string)+"/"), "different provider"},
		{"foreign key", f.Sign(jwt.SigningMethodES256, foreign, nil), "signature"},
		{"foreign audience", f.With("client_id", "another-page"), "audience"},
		{"foreign aud", f.Sign(jwt.SigningMethodES256, f.Key, jwt.MapClaims{"client_id": nil, "aud": "another-page"}),
			"audience"},
		{"no audience", f.With("client_id", nil), "audience"},
		{"id token", f.With("token_use", "id"), "token_use"},
		{"refresh token", f.With("token_use", "refresh"), "token_use"},
		{"no kind", f.With("token_use", nil), "token_use"},
		{"id token, by its nonce", f.With("nonce", "n"), "nonce marks an ID token"},
		{"id token, by at_hash", f.With("at_hash", "h"), "at_hash marks an ID token"},
		{"id token, by c_hash", f.With("c_hash", "h"), "c_hash marks an ID token"},
		{"logout token", f.With("events",
			map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}),
			"events marks a logout token"},
		{"logout token, by its header", f.SignTyped("logout+jwt", jwt.SigningMethodES256, f.Key, nil), "header's typ"},
		{"refresh token, as Keycloak's", f.With("typ", "Refresh"), "the claim typ"},
		{"bound to its sender's key", f.SignTyped("at+jwt", jwt.SigningMethodES256, f.Key,
			jwt.MapClaims{"cnf": map[string]string{"jkt": "x"}}), "cnf"},
		{"no time of issue", f.With("iat", nil), "iat"},
		{"issued in an hour", f.Sign(jwt.SigningMethodES256, f.Key,
			jwt.MapClaims{"iat": time.Now().Add(time.Hour).Unix(), "exp": time.Now().Add(2 * time.Hour).Unix()}),
			"iat is in the future"},
		{"good for two days", f.With("exp", time.Now().Add(48*time.Hour).Unix()), "valid for 48h"},
		{"signed in after its issue", f.With("auth_time", time.Now().Add(time.Hour).Unix()), "auth_time"},
		{"no time of the sign-in", f.With("auth_time", true), "auth_time"},
		{"a scope of a wrong type", f.With("scope", []any{"notes", 1}), "scope"},
		{"sub in another case", f.Sign(jwt.SigningMethodES256, f.Key, jwt.MapClaims{"sub": nil, "Sub": user}),
			"no subject"},
		{"no subject", f.With("sub", nil), "no subject"},
		{"empty subject", f.With("sub", ""), "no subject"},
		{"alg none", f.Sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil), "signature"},
		{"alg none over a signature", f.WithHeader(`{"alg":"none","kid":"` + f.KeyID + `"}`), "signature"},
		{"HS256 with the public key", f.Sign(jwt.SigningMethodHS256, publicKeyPEM(t, f), nil), "signature"},
		{"RS256 over ES256's", f.WithHeader(`{"alg":"RS256","kid":"` + f.KeyID + `"}`), "signature"},
		{"unknown key", f.WithHeader(`{"alg":"ES256","kid":"nobodys"}`), "keys"},
	}
}

// publicKeyPEM returns the issuer's public key, which must not verify an HS256 signature.
func publicKeyPEM(t *testing.T, f *testkit.Forger) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&f.Key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// badTokens are refused at the handshake. Only the operator's log says why, and it holds neither the token nor the
// name.
func (f *fixture) badTokens(t *testing.T) {
	user := "mallory-" + rand.Text()
	e := f.s.Endpoints()
	forger := testkit.NewForger(t, f.s, user)
	if r, _, err := testkit.DialRaw(f.ctx, e, user, forger.With("jti", "another")); err != nil { // the control
		t.Fatalf("a good token is refused: %v", err)
	} else {
		f.checkOpen(t, r)
	}
	cases := badTokenCases(t, e, forger, user)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := len(testkit.Log(t, f.s))
			if _, status, err := testkit.DialRaw(f.ctx, e, user, c.token); err == nil ||
				status != http.StatusUnauthorized {
				t.Errorf("the handshake is answered with %d, %v", status, err)
			}
			if reason := f.loggedReason(t, before); !strings.Contains(reason, c.reason) {
				t.Errorf("the log says %q, want something about %q", reason, c.reason)
			}
		})
	}
	t.Run("in the query", func(t *testing.T) {
		before := len(testkit.Log(t, f.s))
		status := f.handshake(t, http.Header{"Sec-Websocket-Protocol": {wire.Subprotocol}}, "?token="+forger.Signed)
		reason := f.loggedReason(t, before)
		if status != http.StatusUnauthorized || !strings.Contains(reason, "no token") {
			t.Errorf("the handshake is answered with %d, and the log says %q", status, reason)
		}
	})
	log := testkit.Log(t, f.s)
	for _, c := range cases {
		for part := range strings.SplitSeq(c.token, ".") {
			if len(part) > 20 && strings.Contains(log, part) {
				t.Errorf("the log holds a part of the token %q", c.name)
			}
		}
	}
	if strings.Contains(log, user) {
		t.Error("the log holds the user's name")
	}
}

// loggedReason waits for the authorizer's next line in the log after an offset, and returns the reason that it gives.
func (f *fixture) loggedReason(t *testing.T, offset int) (reason string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(f.ctx, 10*time.Second)
	defer cancel()
	testkit.Eventually(t, ctx, "the log says why the token is refused", func() (found bool) {
		_, rest, _ := strings.Cut(testkit.Log(t, f.s)[offset:], `"msg":"connect refused","err":"`)
		reason, _, found = strings.Cut(rest, "\n")
		return found
	})
	return reason
}

// tokenExpires opens a socket whose token expires soon. After that every frame is answered with token_expired.
func (f *fixture) tokenExpires(t *testing.T) {
	e := f.s.Endpoints()
	r, _, err := testkit.DialRaw(f.ctx, e, "alice", testkit.Token(t, f.ctx, e, "alice", 3*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	a := testkit.Answer{Type: "pong"}
	for end := time.Now().Add(20 * time.Second); a.Type == "pong" && time.Now().Before(end); {
		a = f.send(t, r, `{"type":"ping"}`)
	}
	for _, frame := range []string{`{"type":"hello","n":1}`, runFrame(`"x"`), `{"type":"threads"}`} {
		if a.Type != "error" || a.Code != "token_expired" || a.Message == "" {
			t.Fatalf("the answer is %s", a.Raw)
		}
		a = f.send(t, r, frame)
	}
	if a.Code != "token_expired" {
		t.Errorf("the last answer is %s", a.Raw)
	}
	f.checkOpen(t, f.open(t, "alice")) // with a fresh token
}
