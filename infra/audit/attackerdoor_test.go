package audit_test

import (
	"context"
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

// lines are the headers of a handshake, each line as it is sent.
type lines = map[string][]string

// rewrites sends a handshake with other headers than the client of WebSockets made.
type rewrites struct {
	next  *http.Transport
	lines lines
	query string
}

// RoundTrip takes the client's tokens away and puts the lines in.
func (w rewrites) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("Sec-WebSocket-Protocol")
	for name, values := range w.lines {
		r.Header[name] = values
	}
	r.URL.RawQuery = w.query
	return w.next.RoundTrip(r)
}

// knock makes a handshake. The socket that comes of it is that of an attacker of this name; nil: it was refused.
func (s *siege) knock(name string, l lines, query string) (p *party, status int) {
	s.Helper()
	s.attempt()
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true}
	conn, answer, err := websocket.Dial(ctx, s.Endpoints().WebSocket, &websocket.DialOptions{
		Subprotocols: []string{wire.Subprotocol}, HTTPClient: &http.Client{Transport: rewrites{transport, l, query}}})
	if answer == nil {
		s.Fatalf("the handshake is not answered: %v", err)
	}
	if answer.StatusCode == http.StatusUnauthorized {
		s.refused++
	}
	if err != nil {
		return nil, answer.StatusCode
	}
	return s.join(&party{name: name, conn: conn}), answer.StatusCode
}

// isAlone asks for everything that an account has: nothing of it may be the victim's, which judge sees to.
func (s *siege) isAlone(p *party, what string) {
	s.Helper()
	v := s.victim
	for _, frame := range []string{`{"type":"threads","limit":100}`, `{"type":"runs","limit":100}`, `{"type":"ping","threadId":"` + v.running.thread + `"}`,
		`{"type":"history","threadId":"` + v.past.thread + `"}`, `{"type":"hello","n":` + countsUp + `,"threadId":"` + v.ask.thread + `"}`} {
		a := s.ask(p, []byte(frame))
		if len(a.Threads)+len(a.Runs)+len(a.Messages)+len(a.Interrupts) > 0 || a.Epoch != "" {
			s.Errorf("%s: %s is answered with %s", what, frame, a.raw)
		}
	}
}

// doors are the ways in: what they are called, what is sent, and whether that lets one in, as oneself.
func doors(mine, forged, victim string) []struct {
	name  string
	lines lines
	query string
	in    bool
} {
	protocol := func(all ...string) lines { return lines{"Sec-WebSocket-Protocol": all} }
	me, they := "bearer."+mine, "bearer."+forged
	return []struct {
		name  string
		lines lines
		query string
		in    bool
	}{
		{"two entries, the own one first", protocol("carrel.v1, " + me + ", " + they), "", false},
		{"two entries, the own one last", protocol(they + ", carrel.v1, " + me), "", false},
		{"the own one twice", protocol("carrel.v1, " + me + ", " + me), "", false},
		{"the own one and an empty one", protocol("carrel.v1, " + me + ", bearer."), "", false},
		{"two lines, the own one first", protocol("carrel.v1, "+me, they), "", false},
		{"two lines, the own one last", protocol(they, "carrel.v1, "+me), "", false},
		{"two lines of Authorization", lines{"Authorization": {"Bearer " + mine, "Bearer " + forged}}, "", false},
		{"two lines of Authorization, turned", lines{"Authorization": {"Bearer " + forged, "Bearer " + mine}}, "", false},
		{"one as a header and one as an entry", lines{"Authorization": {"Bearer " + mine}, "Sec-WebSocket-Protocol": {"carrel.v1, " + they}}, "", false},
		{"one as an entry and one as a header", lines{"Authorization": {"Bearer " + forged}, "Sec-WebSocket-Protocol": {"carrel.v1, " + me}}, "", false},
		{"one in small letters and one as an entry", lines{"Authorization": {"bearer " + forged}, "Sec-WebSocket-Protocol": {"carrel.v1, " + me}}, "", false},
		{"another scheme", lines{"Authorization": {"Basic " + mine}}, "", false},
		{"the scheme in capitals", protocol("carrel.v1, BEARER." + mine), "", false},
		{"a cookie", lines{"Cookie": {"access_token=" + mine}}, "", false},
		{"other headers", lines{"X-Authorization": {"Bearer " + mine}, "Proxy-Authorization": {"Bearer " + mine}, "Sec-Websocket-Protocol-2": {me}}, "", false},
		{"the query", protocol("carrel.v1"), "token=" + mine + "&access_token=" + mine + "&Authorization=Bearer%20" + mine, false},
		{"nothing", protocol("carrel.v1"), "", false},
		{"the scheme in small letters", lines{"Authorization": {"bearer " + mine}}, "", true},
		{"a comma in it", protocol("carrel.v1, " + me + "," + forged), "", true},
		{"the order turned", protocol(me + ",carrel.v1"), "", true},
		{"without the protocol", protocol(me), "", true},
		{"another protocol", protocol("graphql-ws, " + me + ", user." + victim), "", true},
		{"headers that name the victim", lines{"Authorization": {"Bearer " + mine}, "User": {victim}, "X-User": {victim}, "X-Forwarded-User": {victim},
			"Principalid": {victim}, "X-Amzn-Oidc-Identity": {victim}, "X-Amz-Tenant-Id": {victim}, "X-Forwarded-For": {"127.0.0.1"}}, "", true},
		{"a query that names the victim", protocol("carrel.v1, " + me), "user=" + victim + "&principalId=" + victim + "&sub=" + victim + "&tenant=" + victim, true},
	}
}

// Every way to smuggle another identity into a handshake: two tokens, in whichever places and order, are refused; names
// beside the token are not looked at. Who gets in is who their token says.
func TestTheAttackerSmugglesAtTheDoor(t *testing.T) {
	t.Attr("row", "C5: two identities in one handshake")
	s := besiege(t)
	const name = "mallory-at-the-door"
	f := newForger(t, &bench{T: t, ctx: s.ctx, state: arena.state, stack: s.Stack}, name)
	parts, others := strings.Split(f.original, "."), strings.Split(f.with("sub", s.victim.name), ".")
	forged := parts[0] + "." + others[1] + "." + parts[2] // the victim's name under the attacker's signature
	for _, d := range doors(f.original, forged, s.victim.name) {
		p, status := s.knock(name, d.lines, d.query)
		if d.in != (p != nil) || !d.in && status != http.StatusUnauthorized {
			t.Errorf("%s: the answer is %d", d.name, status)
		}
		if p != nil {
			s.isAlone(p, d.name)
			if err := p.conn.CloseNow(); err != nil {
				t.Error(err)
			}
		}
	}
	s.judge()
}

// Tokens in the victim's name that the issuer did not sign: with a key, or the address of one, that they bring themselves;
// with no algorithm, or a signature of nothing. None lets anybody in, and no address in a token is ever asked. The
// commoner forgeries are TestBadInput's.
func TestTheAttackerForgesTheVictimsToken(t *testing.T) {
	t.Attr("row", "C5: forged tokens")
	s := besiege(t)
	f := newForger(t, &bench{T: t, ctx: s.ctx, state: arena.state, stack: s.Stack}, "mallory-forges")
	var asked atomic.Int32
	lure := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer lure.Close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	jwk := map[string]string{"kty": "EC", "crv": "P-256", "kid": f.kid, "x": b64(public[1:33]), "y": b64(public[33:])}
	forge := func(header map[string]any) string {
		token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": f.good["iss"], "sub": s.victim.name, "client_id": f.good["client_id"],
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
	claims := strings.Split(f.with("sub", s.victim.name), ".")[1]
	bare := func(header string, signature []byte) string {
		return b64([]byte(header)) + "." + claims + "." + b64(signature)
	}
	for name, token := range map[string]string{
		"a key of its own":        forge(map[string]any{"kid": f.kid, "jwk": jwk}),
		"an address of a key set": forge(map[string]any{"kid": f.kid, "jku": lure.URL, "x5u": lure.URL}),
		"an address as a key id":  forge(map[string]any{"kid": lure.URL}),
		"a path as a key id":      forge(map[string]any{"kid": "../../../../dev/null"}),
		"no key id":               forge(nil),
		"alg None":                bare(`{"alg":"None","kid":"`+f.kid+`"}`, nil),
		"alg nOnE":                bare(`{"alg":"nOnE","kid":"`+f.kid+`"}`, nil),
		"no alg":                  bare(`{"kid":"`+f.kid+`"}`, nil),
		"a signature of zeros":    bare(`{"alg":"ES256","kid":"`+f.kid+`"}`, make([]byte, 64)),
		"five parts":              forge(map[string]any{"kid": f.kid}) + ".a.b",
		"a list as the subject":   f.with("sub", []string{s.victim.name}),
		"an object as a subject":  f.with("sub", map[string]string{"sub": s.victim.name}),
	} {
		if p, status := s.knock("nobody", lines{"Authorization": {"Bearer " + token}}, ""); p != nil || status != http.StatusUnauthorized {
			t.Errorf("%s: the answer is %d", name, status)
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("an address that a token brought was asked %d times", n)
	}
	s.isAlone(s.attacker("mallory-forges"), "an own token")
	s.judge()
}

// Users whose names begin like the victim's, or look like theirs, or like their keys, are others; and what a token says
// beside its subject makes nobody somebody else.
func TestTheAttackerIsNamedLikeTheVictim(t *testing.T) {
	t.Attr("row", "B3: users with nearly equal names, over sockets")
	s := besiege(t)
	v := s.victim
	f := newForger(t, &bench{T: t, ctx: s.ctx, state: arena.state, stack: s.Stack}, "mallory-alike")
	names := []string{"Victim", "VICTIM", "victi", "victim1", "victim ", " victim", "victim#", "victim#T", "victim#T#" + v.running.thread, "victim#T#" + v.running.thread + "#" + v.running.epoch,
		"victim#D", "victim#RUN#" + v.running.run, "U#victim", "U", "#victim", "victim=", "victim=23D", "=76ictim", "victim/", "victim%23D", "victim*", "victim?", "*", "${aws:PrincipalTag/user}",
		"victim\x00", "victim\n", "victim~", "victim!", "vict\u0131m", "v\u0456ctim", "\uff56ictim", "victim\u200b", "victi\u006d\u0301", "h=victim", "victim" + strings.Repeat("#", 300), "null", "0"}
	for _, name := range names {
		p, status := s.knock(name, lines{"Authorization": {"Bearer " + f.with("sub", name)}}, "")
		if p == nil {
			t.Errorf("%q, whom the issuer knows, is refused with %d", name, status)
			continue
		}
		s.isAlone(p, fmt.Sprintf("%q", name))
		if strings.HasPrefix(name, "victim#") && len(name) < 12 {
			h := newHoldings()
			s.ask(p, h.asks("/call notes_list\n/call notes_search {\"words\":\"secret\"}"))
			s.idle(p)
		}
	}
	also := map[string]any{}
	for _, claim := range []string{"username", "email", "preferred_username", "cognito:username", "name", "user", "user_id", "uid", "oid", "upn", "act", "azp", "tenant"} {
		also[claim] = v.name
	}
	if p, status := s.knock("mallory-alike", lines{"Authorization": {"Bearer " + f.signed(jwt.SigningMethodES256, f.key, also)}}, ""); p == nil {
		t.Errorf("a token that names the victim beside its subject is refused with %d", status)
	} else {
		s.isAlone(p, "a token that names the victim beside its subject")
	}
	s.judge()
}

// invoke has a function carry out an event as API Gateway would, whose authorizer's context names an attacker.
func (s *siege) invoke(function, kind, connection, attacker, body string) (answer string, failed string) {
	s.Helper()
	event, err := json.Marshal(map[string]any{"body": body, "requestContext": map[string]any{"eventType": kind, "connectionId": connection, "requestId": "stolen",
		"authorizer": map[string]string{"principalId": attacker, "user": attacker, "expires": fmt.Sprint(time.Now().Add(time.Hour).Unix()),
			"signedIn": fmt.Sprint(time.Now().Unix()), "signedInBy": "auth_time", "grants": "notes calculator clock"}}})
	if err != nil {
		s.Fatal(err)
	}
	s.attempt()
	if function == "MessageFunction" {
		arena.invoked++
	}
	b, failed, err := s.Host().Invoke(s.ctx, s.Function(function), event)
	if err != nil {
		s.Fatal(err)
	}
	return string(b), failed
}
