package audit_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"

	"carrel/shared/wire"
)

// forger makes tokens with the local issuer's own key or with another.
type forger struct {
	t        *testing.T
	key      *ecdsa.PrivateKey // the issuer's
	kid      string
	good     jwt.MapClaims // of a token that would be accepted
	original string        // that token
}

func newForger(t *testing.T, b *bench, user string) *forger {
	t.Helper()
	f := &forger{t: t, original: b.token(t, user, "600")}
	text, err := os.ReadFile(filepath.Join(b.state, "data", "issuer-keys.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	f.key = key.(*ecdsa.PrivateKey)
	parsed, _, err := jwt.NewParser().ParseUnverified(f.original, &f.good)
	if err != nil {
		t.Fatal(err)
	}
	f.kid = parsed.Header["kid"].(string)
	return f
}

// token is one that the local issuer gives, for so many seconds.
func (b *bench) token(t *testing.T, user, seconds string) string {
	t.Helper()
	form := url.Values{"user": {user}, "expires_in": {seconds}}
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.PostForm(b.stack.Endpoints().Token, form)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&token); err != nil || token.AccessToken == "" {
		t.Fatalf("no token: %s, %v", answer.Status, err)
	}
	return token.AccessToken
}

// signed is the good token with other claims; a nil one is left out.
func (f *forger) signed(method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	f.t.Helper()
	return f.typed("JWT", method, key, claims)
}

// typed is signed with this typ in the header.
func (f *forger) typed(typ string, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	f.t.Helper()
	all := jwt.MapClaims{}
	for _, set := range []jwt.MapClaims{f.good, claims} {
		for name, value := range set {
			all[name] = value
			if value == nil {
				delete(all, name)
			}
		}
	}
	t := jwt.NewWithClaims(method, all)
	t.Header["kid"], t.Header["typ"] = f.kid, typ
	signed, err := t.SignedString(key)
	if err != nil {
		f.t.Fatal(err)
	}
	return signed
}

// with is the good token with other claims, signed as the issuer does.
func (f *forger) with(name string, value any) string {
	return f.signed(jwt.SigningMethodES256, f.key, jwt.MapClaims{name: value})
}

// publicKey is what HS256 must not be verified with.
func (f *forger) publicKey() []byte {
	der, err := x509.MarshalPKIXPublicKey(&f.key.PublicKey)
	if err != nil {
		f.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// header is the good token with another header.
func (f *forger) header(header string) string {
	_, rest, _ := strings.Cut(f.original, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + rest
}

// bad are tokens, and what the operator's log must say of each.
func (f *forger) bad(b *bench, user string) []struct{ name, token, why string } {
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	parts := strings.Split(f.original, ".")
	other := strings.Split(f.with("sub", user+"-too"), ".")
	return []struct{ name, token, why string }{
		{"malformed", "abc", "malformed jwt"},
		{"two parts", parts[0] + "." + parts[1], "malformed jwt"},
		{"no signature", parts[0] + "." + parts[1] + ".", "signature"},
		{"another's signature", parts[0] + "." + other[1] + "." + parts[2], "signature"},
		{"not base64", "a." + "!" + ".c", "malformed jwt"},
		{"expired", b.token(f.t, user, "-60"), "expired"},
		{"no expiry", f.with("exp", nil), "expired"},
		{"not yet valid", f.with("nbf", time.Now().Add(time.Hour).Unix()), "before the nbf"},
		{"foreign issuer", f.with("iss", "https://issuer.test"), "different provider"},
		{"issuer with a slash more", f.with("iss", f.good["iss"].(string)+"/"), "different provider"},
		{"foreign key", f.signed(jwt.SigningMethodES256, foreign, nil), "signature"},
		{"foreign audience", f.with("client_id", "another-page"), "audience"},
		{"foreign aud", f.signed(jwt.SigningMethodES256, f.key, jwt.MapClaims{"client_id": nil, "aud": "another-page"}), "audience"},
		{"no audience", f.with("client_id", nil), "audience"},
		{"id token", f.with("token_use", "id"), "token_use"},
		{"refresh token", f.with("token_use", "refresh"), "token_use"},
		{"which kind, it does not say", f.with("token_use", nil), "token_use"},
		{"id token, by its nonce", f.with("nonce", "n"), "nonce marks an ID token"},
		{"id token, by at_hash", f.with("at_hash", "h"), "at_hash marks an ID token"},
		{"id token, by c_hash", f.with("c_hash", "h"), "c_hash marks an ID token"},
		{"logout token", f.with("events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}), "events marks a logout token"},
		{"logout token, by its header", f.typed("logout+jwt", jwt.SigningMethodES256, f.key, nil), "header's typ"},
		{"refresh token, as Keycloak's", f.with("typ", "Refresh"), "the claim typ"},
		{"bound to its sender's key", f.typed("at+jwt", jwt.SigningMethodES256, f.key, jwt.MapClaims{"cnf": map[string]string{"jkt": "x"}}), "cnf"},
		{"no time of issue", f.with("iat", nil), "iat"},
		{"issued in an hour", f.signed(jwt.SigningMethodES256, f.key, jwt.MapClaims{"iat": time.Now().Add(time.Hour).Unix(), "exp": time.Now().Add(2 * time.Hour).Unix()}), "iat is in the future"},
		{"good for two days", f.with("exp", time.Now().Add(48*time.Hour).Unix()), "it lives 48h"},
		{"signed in after its issue", f.with("auth_time", time.Now().Add(time.Hour).Unix()), "auth_time"},
		{"signed in at no time", f.with("auth_time", true), "auth_time"},
		{"a scope that is none", f.with("scope", []any{"notes", 1}), "scope"},
		{"a subject in another case", f.signed(jwt.SigningMethodES256, f.key, jwt.MapClaims{"sub": nil, "Sub": user}), "no subject"},
		{"no subject", f.with("sub", nil), "no subject"},
		{"empty subject", f.with("sub", ""), "no subject"},
		{"alg none", f.signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil), "signature"},
		{"alg none over a signature", f.header(`{"alg":"none","kid":"` + f.kid + `"}`), "signature"},
		{"HS256 with the public key", f.signed(jwt.SigningMethodHS256, f.publicKey(), nil), "signature"},
		{"RS256 over ES256's", f.header(`{"alg":"RS256","kid":"` + f.kid + `"}`), "signature"},
		{"unknown key", f.header(`{"alg":"ES256","kid":"nobodys"}`), "keys"},
	}
}

// badTokens are refused at the handshake; only the operator's log says why, and holds neither token nor name.
func badTokens(t *testing.T, b *bench) {
	user := "mallory-" + rand.Text()
	f := newForger(t, b, user)
	if p, _, err := b.dial(f.with("jti", "another")); err != nil { // else all the others prove nothing
		t.Fatalf("a good token is refused: %v", err)
	} else {
		p.lives(t)
	}
	cases := f.bad(b, user)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := len(b.log(t))
			if _, status, err := b.dial(c.token); err == nil || status != http.StatusUnauthorized {
				t.Errorf("the handshake: %d, %v", status, err)
			}
			if why := b.reason(t, before); !strings.Contains(why, c.why) {
				t.Errorf("the log says %q, want something about %q", why, c.why)
			}
		})
	}
	t.Run("in the query", func(t *testing.T) {
		before := len(b.log(t))
		request, err := http.NewRequestWithContext(b.ctx, http.MethodGet,
			strings.Replace(b.stack.Endpoints().WebSocket, "ws", "http", 1)+"?token="+f.original, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
			"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": wire.Subprotocol} {
			request.Header.Set(name, value)
		}
		answer, err := (&http.Client{Timeout: 20 * time.Second}).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if why := b.reason(t, before); answer.StatusCode != http.StatusUnauthorized || !strings.Contains(why, "no token") {
			t.Errorf("%s, the log says %q", answer.Status, why)
		}
	})
	log := string(b.log(t))
	for _, c := range cases {
		for _, part := range strings.Split(c.token, ".") {
			if len(part) > 20 && strings.Contains(log, part) {
				t.Errorf("the log holds a part of the token %q", c.name)
			}
		}
	}
	if strings.Contains(log, user) {
		t.Error("the log holds the user's name")
	}
}

func (b *bench) log(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(b.stack.Log())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// reason waits for the authorizer's line behind what the log held before.
func (b *bench) reason(t *testing.T, before int) string {
	t.Helper()
	again, end := time.NewTicker(5*time.Millisecond), time.NewTimer(10*time.Second)
	defer again.Stop()
	defer end.Stop()
	for {
		if _, said, found := bytes.Cut(b.log(t)[before:], []byte(`"msg":"connect refused","err":"`)); found {
			line, _, whole := bytes.Cut(said, []byte("\n"))
			if whole {
				return string(line)
			}
		}
		select {
		case <-again.C:
		case <-end.C:
			t.Fatal("the log does not say why")
		}
	}
}

// expires: a socket that was opened in time is told when its token is past, and again however often it asks.
func expires(t *testing.T, b *bench) {
	token := b.token(t, "alice", "3")
	p, _, err := b.dial(token)
	if err != nil {
		t.Fatal(err)
	}
	r := reply{Type: "pong"}
	for end := time.Now().Add(20 * time.Second); r.Type == "pong" && time.Now().Before(end); {
		p.say(t, websocket.MessageText, `{"type":"ping"}`)
		r = p.hear(t)
	}
	for _, frame := range []string{`{"type":"hello","n":1}`, asking(`"x"`), `{"type":"threads"}`} {
		if r.Type != "error" || r.Code != "token_expired" || r.Message == "" {
			t.Fatalf("the answer is %+v", r)
		}
		p.say(t, websocket.MessageText, frame)
		r = p.hear(t)
	}
	if r.Code != "token_expired" {
		t.Errorf("the last answer is %+v", r)
	}
	b.open(t, "alice").lives(t) // a fresh token helps
}
