package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/gateway"
)

var (
	expires = time.Unix(1_900_000_000, 0)
	signIn  = chat.SignIn{At: time.Unix(1_899_990_000, 0), Proven: true}
)

func verifyAlice(_ context.Context, token string) (chat.Claims, error) {
	if token != "good" {
		return chat.Claims{}, errors.New("bad signature")
	}
	return chat.Claims{Issuer: chattest.Issuer, Subject: "auth0|alice", Expires: expires, SignIn: signIn,
		Grants: []string{"calculator", "notes"}}, nil
}

func authorize(t *testing.T, headers map[string]string) (map[string]any, string, error) {
	t.Helper()
	var log bytes.Buffer
	pages, err := gateway.ParseOrigins("https://page.test http://127.0.0.1:3000")
	if err != nil {
		t.Fatal(err)
	}
	a := gateway.Authorizer{Verify: verifyAlice, Origins: pages, Log: slog.New(slog.NewTextHandler(&log, nil))}
	event, err := json.Marshal(map[string]any{"type": "REQUEST", "methodArn": "arn:aws:execute-api:r:1:a/v1/$connect",
		"headers": headers})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := a.Handle(t.Context(), event)
	return answer.Context, log.String(), err
}

// The whole way round: what the authorizer says is what every later event of the connection is read as.
func TestAuthorizer_ContextRoundTrip(t *testing.T) {
	for name, headers := range map[string]map[string]string{
		"subprotocol": {"sec-websocket-protocol": "carrel.v1, bearer.good"},
		"header":      {"Authorization": "Bearer good"},
	} {
		said, _, err := authorize(t, headers)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		said["principalId"] = said["user"]
		event, err := json.Marshal(map[string]any{
			"headers": headers, "body": `{"type":"ping"}`,
			"requestContext": map[string]any{"connectionId": "abc=", "connectedAt": 1_700_000_000_123,
				"requestId": "r1", "authorizer": said},
		})
		if err != nil {
			t.Fatal(err)
		}
		in, err := gateway.ParseInbound(event)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if in.User != chattest.User(t, "auth0|alice") || in.Connection != "abc=" || !in.TokenExpires.Equal(expires) ||
			in.SignIn != signIn ||
			!slices.Equal(in.Grants, []string{"calculator", "notes"}) || string(in.Body) != `{"type":"ping"}` ||
			in.ConnectedAt.UnixMilli() != 1_700_000_000_123 {
			t.Errorf("%s: read %+v", name, in)
		}
	}
}

func TestAuthorizer_RefusalsAreLogged(t *testing.T) {
	for name, c := range map[string]struct {
		headers map[string]string
		reason  string
	}{
		"nothing":   {nil, "no token"},
		"bad token": {map[string]string{"Authorization": "Bearer bad"}, "bad signature"},
		"no bearer": {map[string]string{"Sec-WebSocket-Protocol": "carrel.v1"}, "no token"},
		"two tokens": {map[string]string{"Authorization": "Bearer good",
			"Sec-WebSocket-Protocol": "carrel.v1, bearer.good"}, "more than one"},
	} {
		_, log, err := authorize(t, c.headers)
		if err == nil || err.Error() != "Unauthorized" {
			t.Errorf("%s: error %v; API Gateway answers 401 only to the word Unauthorized", name, err)
		}
		if !strings.Contains(log, c.reason) || strings.Contains(log, "good") {
			t.Errorf("%s: log %q, want the reason %q and no token", name, log, c.reason)
		}
	}
}

// A scheme is one in any case (RFC 9110): as another would judge it.
func TestAuthorizer_BearerInAnyCase(t *testing.T) {
	if _, log, err := authorize(t, map[string]string{"authorization": "bearer good"}); err != nil {
		t.Errorf("in small letters: %v, %s", err, log)
	}
	if _, _, err := authorize(t, map[string]string{"Authorization": "BEARER bad",
		"Sec-WebSocket-Protocol": "carrel.v1, bearer.good"}); err == nil {
		t.Error("of two tokens the good one was taken, and a proxy in between may have judged the other")
	}
}

// A grant is what the token says whole: no white space in one makes two of it.
func TestAuthorizer_GrantWithSpaces(t *testing.T) {
	verify := func(context.Context, string) (chat.Claims, error) {
		return chat.Claims{Issuer: chattest.Issuer, Subject: "alice", Expires: expires, SignIn: signIn,
			Grants: []string{"no notes", "clock", "", "a\tcalculator", "web\u2003admin"}}, nil
	}
	a := gateway.Authorizer{Verify: verify, Log: slog.New(slog.DiscardHandler)}
	answer, err := a.Handle(t.Context(), json.RawMessage(`{"headers":{"Authorization":"Bearer x"}}`))
	if err != nil {
		t.Fatal(err)
	}
	event, err := json.Marshal(map[string]any{"requestContext": map[string]any{"connectionId": "c=",
		"authorizer": answer.Context}})
	if err != nil {
		t.Fatal(err)
	}
	if in, err := gateway.ParseInbound(event); err != nil || !slices.Equal(in.Grants, []string{"clock"}) {
		t.Errorf("granted %q, %v; want the grant without spaces", in.Grants, err)
	}
}

// Two lines of one header are two tokens too: of those an event's headers have the last.
func TestAuthorizer_RepeatedHeader(t *testing.T) {
	t.Attr("row", "C5: a token header sent twice is rejected")
	a := gateway.Authorizer{Verify: verifyAlice, Log: slog.New(slog.DiscardHandler)}
	refused := 0
	for _, lines := range []string{
		`"Authorization":["Bearer bad","Bearer good"]`,
		`"authorization":["Bearer good"],"Authorization":["Bearer good"]`,
		`"Authorization":["Bearer good"],"Sec-WebSocket-Protocol":["carrel.v1","bearer.bad"]`,
	} {
		event := `{"methodArn":"arn:aws:execute-api:r:1:a/v1/$connect","headers":{"Authorization":"Bearer ` +
			`good"},"multiValueHeaders":{` + lines + `}}`
		if _, err := a.Handle(t.Context(), json.RawMessage(event)); !errors.Is(err, gateway.ErrUnauthorized) {
			t.Errorf("%s: %v", lines, err)
			continue
		}
		refused++
	}
	t.Attr("figure", fmt.Sprintf("%d handshakes with two lines of a header refused", refused))
	one := `{"methodArn":"arn:aws:execute-api:r:1:a/v1/$connect","headers":{"Authorization":"Bearer ` +
		`good"},"multiValueHeaders":{"Authorization":["Bearer good"]}}`
	if _, err := a.Handle(t.Context(), json.RawMessage(one)); err != nil {
		t.Errorf("one line: %v", err)
	}
}

func TestParseInbound_InvalidUser(t *testing.T) {
	const signedIn = `"signedIn":"1899990000","signedInBy":"auth_time"`
	sound := `{"requestContext":{"connectionId":"c=","authorizer":{"user":"alice","expires":"1900000000",` + signedIn +
		`}}}`
	if in, err := gateway.ParseInbound(json.RawMessage(sound)); err != nil || in.User != chattest.User(t, "alice") {
		t.Fatalf("the one that all others differ from: %+v, %v", in, err)
	}
	for name, authorizer := range map[string]string{
		"none":              `null`,
		"empty":             `{}`,
		"malformed key":     `{"user":"a#b","expires":"1900000000",` + signedIn + `}`,
		"principal differs": `{"principalId":"bob","user":"alice","expires":"1900000000",` + signedIn + `}`,
		"no expiry":         `{"user":"alice",` + signedIn + `}`,
		"expiry, a number":  `{"user":"alice","expires":1900000000,` + signedIn + `}`,
		"no sign-in":        `{"user":"alice","expires":"1900000000"}`,
		"sign-in, no claim": `{"user":"alice","expires":"1900000000","signedIn":"1899990000"}`,
		"sign-in, by what":  `{"user":"alice","expires":"1900000000","signedIn":"1899990000","signedInBy":"nbf"}`,
		"sign-in, a number": `{"user":"alice","expires":"1900000000","signedIn":1899990000,"signedInBy":"iat"}`,
		"sign-in, no time":  `{"user":"alice","expires":"1900000000","signedIn":"soon","signedInBy":"iat"}`,
		"sign-in in 1970":   `{"user":"alice","expires":"1900000000","signedIn":"0","signedInBy":"iat"}`,
	} {
		in, err := gateway.ParseInbound(json.RawMessage(`{"requestContext":{"connectionId":"c=","authorizer":` +
			authorizer + `}}`))
		if !errors.Is(err, chat.ErrNoUser) || !in.User.IsZero() {
			t.Errorf("%s: user %v, error %v, want nobody and ErrNoUser", name, in.User, err)
		}
		if in.Connection != "c=" {
			t.Errorf("%s: connection %q, want it all the same", name, in.Connection)
		}
	}
	if _, err := gateway.ParseInbound(json.RawMessage(`{"requestContext":{}}`)); err == nil {
		t.Error("an event without a connection was read")
	}
}

// Whose run it is stands in one place, which the deployment chooses, and in no other.
func TestParseTurn_User(t *testing.T) {
	t.Attr("row", "B2: one function decides whose run an event names")
	alice := chattest.User(t, "alice")
	const plain, named = `{"run":"r1","reason":"run"}`, `{"run":"r1","reason":"run","user":"alice"}`
	hashed := `{"ownerHash":"` + alice.Hash() + `","run":"r1","reason":"run"}`
	said := map[string]struct {
		isolation, tenant, event string
		want                     chat.User
		met                      string // two users did, and this one is whose it would be
	}{
		"its tenant":                 {"on", "alice", plain, alice, ""},
		"its tenant, nothing said":   {"", "alice", plain, alice, ""},
		"no tenant":                  {"on", "", plain, chat.User{}, ""},
		"named, but isolated":        {"on", "", named, chat.User{}, ""},
		"named beside a tenant":      {"on", "alice", named, chat.User{}, ""},
		"another tenant than named":  {"on", "bob", named, chat.User{}, "bob"},
		"its tenant, of whom it is":  {"on", "alice", hashed, alice, ""},
		"another tenant's":           {"on", "bob", hashed, chat.User{}, "bob"},
		"not a key":                  {"on", "a#b", plain, chat.User{}, ""},
		"named":                      {"off", "", named, alice, ""},
		"not named":                  {"off", "", plain, chat.User{}, ""},
		"a tenant, but not isolated": {"off", "alice", plain, chat.User{}, ""},
		"both, but not isolated":     {"off", "bob", named, chat.User{}, "alice"},
		"named, not by a key":        {"off", "", `{"run":"r1","reason":"run","user":"a#b"}`, chat.User{}, ""},
	}
	sound, met := 0, 0
	for name, c := range said {
		tenancy, err := gateway.ParseTenancy(c.isolation)
		if err != nil {
			t.Fatal(err)
		}
		ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{TenantID: c.tenant})
		u, e, err := gateway.ParseTurn(ctx, json.RawMessage(c.event), tenancy)
		if u != c.want || c.want.IsZero() != errors.Is(err, chat.ErrNoUser) || e.Run != "r1" {
			t.Errorf("%s: user %v, event %+v, error %v; want user %v", name, u, e, err, c.want)
		}
		if err == nil {
			sound++
		}
		var two *gateway.TwoUsersError
		both := errors.As(err, &two)
		if both {
			met++
		}
		if both != (c.met != "") || both && two.User != chattest.User(t, c.met) {
			t.Errorf("%s: error %v, want one of two users: %q", name, err, c.met)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d events that say whose they are, %d sound, %d in which two users meet", len(said),
		sound, met))
	if _, err := gateway.ParseTenancy("yes"); err == nil ||
		!strings.Contains(err.Error(), `tenant isolation is "yes"`) {
		t.Errorf("error %v, want one that names the value", err)
	}
}

func TestParseTurn_Event(t *testing.T) {
	alice := chattest.User(t, "alice")
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{TenantID: alice.Key()})
	u, e, err := gateway.ParseTurn(ctx, json.RawMessage(`{"reason":"eraseThread","thread":"t1","epoch":"e1"}`),
		gateway.PerTenant)
	if err != nil || u != alice || e != (gateway.TurnEvent{Reason: gateway.ReasonEraseThread, Thread: "t1",
		Epoch: "e1"}) {
		t.Errorf("user %v, event %+v, error %v", u, e, err)
	}
	for _, bad := range []string{
		`{"run":"r1"}`, `{"run":"a b","reason":"run"}`, `[]`, `{"reason":"eraseThread"}`,
		`{"reason":"eraseThread","thread":"t1","epoch":"a#b"}`,
	} {
		if _, _, err := gateway.ParseTurn(ctx, json.RawMessage(bad), gateway.PerTenant); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
	if _, _, err := gateway.ParseTurn(t.Context(), json.RawMessage(`{"run":"r1","reason":"run","user":"alice"}`),
		gateway.Shared); !errors.Is(err, chat.ErrNoUser) {
		t.Errorf("not by Lambda: error %v, want ErrNoUser", err)
	}
}

func TestParseSweep_ScheduleAndFailure(t *testing.T) {
	e,
		err := gateway.ParseSweep(json.RawMessage(`{"version":"0","source":"aws.events","detail-type":"Scheduled ` +
		`Event","detail":{}}`))
	if err != nil || e.Failed != nil {
		t.Errorf("schedule: %+v, %v", e, err)
	}
	e,
		err = gateway.ParseSweep(json.RawMessage(`{"version":"1.0","requestContext":{"condition":"RetriesExhausted"},` +
		`"requestPayload":{"run":"r7","reason":"run"}}`))
	if err != nil || e.Failed == nil || e.Failed.Run != "r7" || e.Failed.Invoked {
		t.Errorf("failure record: %+v, %v", e, err)
	}
	e,
		err = gateway.ParseSweep(json.RawMessage(`{"requestContext":{"requestId":"i"},"requestPayload":{"run":"r7",` +
		`"reason":"run"},"responseContext":{"functionError":"Unhandled"}}`))
	if err != nil || e.Failed == nil || e.Failed.Request != "i" || !e.Failed.Invoked {
		t.Errorf("failure record of an invocation that failed: %+v, %v", e, err)
	}
	if _, err := gateway.ParseSweep(json.RawMessage(`{}`)); err == nil {
		t.Error("an event of neither kind was read")
	}
}

func FuzzParseInbound(f *testing.F) {
	f.Add([]byte(`{"requestContext":{"connectionId":"c=","authorizer":{"user":"alice","expires":"1900000000",` +
		`"signedIn":"1899990000","signedInBy":"iat"}},"body":"x"}`))
	f.Add([]byte(fmt.Sprintf(`{"requestContext":{"connectionId":"c","authorizer":{"user":%q,"expires":"1",`+
		`"signedIn":"1","signedInBy":"iat"}}}`, strings.Repeat("=", 99))))
	f.Fuzz(func(t *testing.T, event []byte) {
		in, err := gateway.ParseInbound(event)
		if err == nil && (in.User.IsZero() || in.Connection == "") {
			t.Errorf("%q was read as %+v", event, in)
		}
	})
}
