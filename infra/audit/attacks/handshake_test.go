package attacks_test

import (
	"carrel/infra/testkit"

	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"

	"carrel/shared/wire"
)

// headers are the headers of a handshake, each line as it is sent.
type headers = map[string][]string

// withHeaders sends a handshake with other headers and another query than the WebSocket library made.
type withHeaders struct {
	next    *http.Transport
	headers headers
	query   string
}

// RoundTrip removes the library's subprotocols and adds the headers.
func (w withHeaders) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("Sec-WebSocket-Protocol")
	for name, values := range w.headers {
		r.Header[name] = values
	}
	r.URL.RawQuery = w.query
	return w.next.RoundTrip(r)
}

// handshake makes a handshake. It returns the socket, as one of an attacker of this name, or nil if it was refused.
func (s *attack) handshake(name string, h headers, query string) (p *testkit.Raw, status int) {
	s.Helper()
	s.countTry()
	transport := &http.Transport{DisableKeepAlives: true}
	p, status, err := testkit.DialRawWith(s.ctx, s.Endpoints(), name, &websocket.DialOptions{
		Subprotocols: []string{wire.Subprotocol}, HTTPClient: &http.Client{Transport: withHeaders{transport, h,
			query}}})
	if status == 0 {
		s.Fatalf("the handshake is not answered: %v", err)
	}
	if status == http.StatusUnauthorized {
		s.refused++
	}
	if err != nil {
		return nil, status
	}
	return s.join(p), status
}

// checkAlone requests everything that an account has. The account must have nothing; verify checks the bytes.
func (s *attack) checkAlone(p *testkit.Raw, what string) {
	s.Helper()
	v := s.victim
	for _, frame := range []string{
		`{"type":"threads","limit":100}`, `{"type":"runs","limit":100}`, `{"type":"ping","threadId":"` +
			v.running.thread + `"}`,
		`{"type":"history","threadId":"` + v.history.thread + `"}`,
		`{"type":"hello","n":` + testkit.NextN + `,"threadId":"` + v.interrupted.thread + `"}`,
	} {
		a := s.request(p, []byte(frame))
		if len(a.Threads)+len(a.Runs)+len(a.Messages)+len(a.Interrupts) > 0 || a.Epoch != "" {
			s.Errorf("%s: %s is answered with %s", what, frame, a.Raw)
		}
	}
}

// handshakeCase is a handshake, and whether it must be accepted, as the sender's own account.
type handshakeCase struct {
	name     string
	headers  headers
	query    string
	accepted bool
}

// handshakeCases returns handshakes with the attacker's own token and a forged one in the victim's name.
func handshakeCases(own, forged, victim string) []handshakeCase {
	protocol := func(all ...string) headers { return headers{"Sec-WebSocket-Protocol": all} }
	ownEntry, forgedEntry := "bearer."+own, "bearer."+forged
	return []handshakeCase{
		{"two entries, the own first", protocol("carrel.v1, " + ownEntry + ", " + forgedEntry), "", false},
		{"two entries, the own last", protocol(forgedEntry + ", carrel.v1, " + ownEntry), "", false},
		{"the own entry twice", protocol("carrel.v1, " + ownEntry + ", " + ownEntry), "", false},
		{"the own and an empty entry", protocol("carrel.v1, " + ownEntry + ", bearer."), "", false},
		{"two lines, the own first", protocol("carrel.v1, "+ownEntry, forgedEntry), "", false},
		{"two lines, the own last", protocol(forgedEntry, "carrel.v1, "+ownEntry), "", false},
		{"two lines of Authorization", headers{"Authorization": {"Bearer " + own, "Bearer " + forged}}, "", false},
		{"two lines of Authorization, reversed", headers{"Authorization": {"Bearer " + forged, "Bearer " + own}}, "",
			false},
		{"own header, forged entry", headers{"Authorization": {"Bearer " + own},
			"Sec-WebSocket-Protocol": {"carrel.v1, " + forgedEntry}}, "", false},
		{"forged header, own entry", headers{"Authorization": {"Bearer " + forged},
			"Sec-WebSocket-Protocol": {"carrel.v1, " + ownEntry}}, "", false},
		{"forged header in lower case, own entry", headers{"Authorization": {"bearer " + forged},
			"Sec-WebSocket-Protocol": {"carrel.v1, " + ownEntry}}, "", false},
		{"another scheme", headers{"Authorization": {"Basic " + own}}, "", false},
		{"the scheme in upper case", protocol("carrel.v1, BEARER." + own), "", false},
		{"a cookie", headers{"Cookie": {"access_token=" + own}}, "", false},
		{"other headers", headers{"X-Authorization": {"Bearer " + own}, "Proxy-Authorization": {"Bearer " + own},
			"Sec-Websocket-Protocol-2": {ownEntry}}, "", false},
		{"the query", protocol("carrel.v1"), "token=" + own + "&access_token=" + own + "&Authorization=Bearer%20" + own,
			false},
		{"no token", protocol("carrel.v1"), "", false},
		{"the scheme in lower case", headers{"Authorization": {"bearer " + own}}, "", true},
		{"a comma without a space", protocol("carrel.v1, " + ownEntry + "," + forged), "", true},
		{"the reverse order", protocol(ownEntry + ",carrel.v1"), "", true},
		{"no protocol", protocol(ownEntry), "", true},
		{"another protocol", protocol("graphql-ws, " + ownEntry + ", user." + victim), "", true},
		{"headers that name the victim", headers{"Authorization": {"Bearer " + own}, "User": {victim},
			"X-User": {victim}, "X-Forwarded-User": {victim},
			"Principalid": {victim}, "X-Amzn-Oidc-Identity": {victim}, "X-Amz-Tenant-Id": {victim},
			"X-Forwarded-For": {"127.0.0.1"}}, "", true},
		{"a query that names the victim", protocol("carrel.v1, " + ownEntry), "user=" + victim + "&principalId=" +
			victim + "&sub=" + victim + "&tenant=" + victim, true},
	}
}

// The attacker puts another identity into a handshake in every place. Two tokens, in any places and order, are refused.
// Names beside the token are ignored. An accepted socket belongs to the subject of the token.
func TestAttack_TwoIdentitiesInHandshake(t *testing.T) {
	t.Attr("row", "C5: two identities in one handshake")
	s := newAttack(t)
	const name = "mallory-handshakes"
	f := testkit.NewForger(t, s.Stack, name)
	parts, others := strings.Split(f.Signed, "."), strings.Split(f.With("sub", s.victim.name), ".")
	forged := parts[0] + "." + others[1] + "." + parts[2] // the victim's name with the attacker's signature
	for _, d := range handshakeCases(f.Signed, forged, s.victim.name) {
		p, status := s.handshake(name, d.headers, d.query)
		if d.accepted != (p != nil) || !d.accepted && status != http.StatusUnauthorized {
			t.Errorf("%s: the answer is %d", d.name, status)
		}
		if p != nil {
			s.checkAlone(p, d.name)
			if err := p.Conn.CloseNow(); err != nil {
				t.Error(err)
			}
		}
	}
	s.verify()
}

// The attacker sends tokens in the victim's name that the issuer did not sign: with a key or the address of a key in
// the token itself, with no algorithm, or with an empty signature. Each is refused, and no address in a token is ever
// requested. The more common forgeries are in infra/audit/input.
func TestAttack_ForgedToken(t *testing.T) {
	t.Attr("row", "C5: forged tokens")
	s := newAttack(t)
	f := testkit.NewForger(t, s.Stack, "mallory-forges")
	var requested atomic.Int32
	keySet := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requested.Add(1) }))
	defer keySet.Close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	jwk := map[string]string{"kty": "EC", "crv": "P-256", "kid": f.KeyID, "x": b64(public[1:33]), "y": b64(public[33:])}
	forge := func(header map[string]any) string {
		token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": f.Good["iss"], "sub": s.victim.name,
			"client_id": f.Good["client_id"],
			"token_use": "access", "exp": time.Now().Add(time.Hour).Unix()})
		for k, v := range header {
			token.Header[k] = v
		}
		signed, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	claims := strings.Split(f.With("sub", s.victim.name), ".")[1]
	bare := func(header string, signature []byte) string {
		return b64([]byte(header)) + "." + claims + "." + b64(signature)
	}
	for name, token := range map[string]string{
		"a key of its own":        forge(map[string]any{"kid": f.KeyID, "jwk": jwk}),
		"an address of a key set": forge(map[string]any{"kid": f.KeyID, "jku": keySet.URL, "x5u": keySet.URL}),
		"an address as a key id":  forge(map[string]any{"kid": keySet.URL}),
		"a path as a key id":      forge(map[string]any{"kid": "../../../../dev/null"}),
		"no key id":               forge(nil),
		"alg None":                bare(`{"alg":"None","kid":"`+f.KeyID+`"}`, nil),
		"alg nOnE":                bare(`{"alg":"nOnE","kid":"`+f.KeyID+`"}`, nil),
		"no alg":                  bare(`{"kid":"`+f.KeyID+`"}`, nil),
		"a signature of zeros":    bare(`{"alg":"ES256","kid":"`+f.KeyID+`"}`, make([]byte, 64)),
		"five parts":              forge(map[string]any{"kid": f.KeyID}) + ".a.b",
		"a list as the subject":   f.With("sub", []string{s.victim.name}),
		"an object as a subject":  f.With("sub", map[string]string{"sub": s.victim.name}),
	} {
		if p, status := s.handshake("nobody", headers{"Authorization": {"Bearer " + token}}, ""); p != nil ||
			status != http.StatusUnauthorized {
			t.Errorf("%s: the answer is %d", name, status)
		}
	}
	if n := requested.Load(); n > 0 {
		t.Errorf("an address in a token was requested %d times", n)
	}
	s.checkAlone(s.attacker("mallory-forges"), "an own token")
	s.verify()
}

// Users whose names begin like the victim's name, look like it, or look like a key of the victim, are other users.
// Other claims of a token than its subject change no user's identity.
func TestAttack_SimilarName(t *testing.T) {
	t.Attr("row", "B3: users with nearly equal names, over sockets")
	s := newAttack(t)
	v := s.victim
	f := testkit.NewForger(t, s.Stack, "mallory-alike")
	names := []string{"Victim", "VICTIM", "victi", "victim1", "victim ", " victim", "victim#", "victim#T", "victim#T#" +
		v.running.thread, "victim#T#" + v.running.thread + "#" + v.running.epoch,
		"victim#D", "victim#RUN#" + v.running.run, "U#victim", "U", "#victim", "victim=", "victim=23D", "=76ictim",
		"victim/", "victim%23D", "victim*", "victim?", "*", "${aws:PrincipalTag/user}",
		"victim\x00", "victim\n", "victim~", "victim!", "vict\u0131m", "v\u0456ctim", "\uff56ictim", "victim\u200b",
		"victi\u006d\u0301", "h=victim", "victim" + strings.Repeat("#", 300), "null", "0"}
	for _, name := range names {
		p, status := s.handshake(name, headers{"Authorization": {"Bearer " + f.With("sub", name)}}, "")
		if p == nil {
			t.Errorf("%q, a user of the issuer, is refused with %d", name, status)
			continue
		}
		s.checkAlone(p, fmt.Sprintf("%q", name))
		if strings.HasPrefix(name, "victim#") && len(name) < 12 {
			h := newIDs()
			s.request(p, h.runFrame("/call notes_list\n/call notes_search {\"words\":\"secret\"}"))
			s.waitIdle(p)
		}
	}
	others := map[string]any{}
	for _, claim := range []string{"username", "email", "preferred_username", "cognito:username", "name", "user",
		"user_id", "uid", "oid", "upn", "act", "azp", "tenant"} {
		others[claim] = v.name
	}
	if p, status := s.handshake("mallory-alike", headers{"Authorization": {"Bearer " +
		f.Sign(jwt.SigningMethodES256, f.Key, others)}}, ""); p == nil {
		t.Errorf("a token that names the victim beside its subject is refused with %d", status)
	} else {
		s.checkAlone(p, "a token that names the victim beside its subject")
	}
	s.verify()
}

// invoke invokes a function with an event as API Gateway would, whose authorizer context names an attacker.
func (s *attack) invoke(function, kind, connection, attacker, body string) (answer string, failed string) {
	s.Helper()
	event, err := json.Marshal(map[string]any{"body": body, "requestContext": map[string]any{"eventType": kind,
		"connectionId": connection, "requestId": "stolen",
		"authorizer": map[string]string{"principalId": attacker, "user": attacker,
			"expires":  fmt.Sprint(time.Now().Add(time.Hour).Unix()),
			"signedIn": fmt.Sprint(time.Now().Unix()), "signedInBy": "auth_time", "grants": "notes calculator clock"}}})
	if err != nil {
		s.Fatal(err)
	}
	s.countTry()
	if function == "MessageFunction" {
		target.invocation++
	}
	b, failed, err := s.Host().Invoke(s.ctx, s.Function(function), event)
	if err != nil {
		s.Fatal(err)
	}
	return string(b), failed
}
