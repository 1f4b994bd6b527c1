package apigateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/coder/websocket"

	"carrel/infra/local/apigateway"
)

const allow = `{"principalId":"alice","policyDocument":{"Version":"2012-10-17",` +
	`"Statement":[{"Action":["execute-api:Invoke"],"Effect":"Allow","Resource":["*"]}]},"context":{"user":"u1",` +
	`"expires":1700000000,"admin":true}}`

// policy returns an authorizer's response with one statement.
func policy(effect, action, resource string) function {
	return answers(`{"principalId":"alice","policyDocument":{"Statement":{"Action":"` + action + `","Effect":"` +
		effect + `","Resource":"` + resource + `"}}}`)
}

type handshake struct {
	name                string
	authorizer, connect function
	want                int
}

func handshakes() []handshake {
	const arn = "arn:aws:execute-api:eu-central-1:123456789012:api123/v1/$connect"
	ok := answers(`{"statusCode":200}`)
	withContext := func(context string) function {
		return answers(strings.Replace(allow, `{"user":"u1","expires":1700000000,"admin":true}`, context, 1))
	}
	slow := function(func(ctx context.Context, _ []byte) ([]byte, string, error) {
		<-ctx.Done()
		return nil, "", ctx.Err()
	})
	return []handshake{
		{"both functions allow", answers(allow), ok, 101},
		{"allowed for the exact ARN", policy("Allow", "execute-api:Invoke", arn), ok, 101},
		{"allowed by wildcards", policy("Allow", "execute-api:*", "arn:aws:execute-api:*:123456789012:api12?/v1/*"), ok,
			101},
		{"connect returns another 2xx", answers(allow), answers(`{"statusCode":204}`), 101},
		{"authorizer fails with Unauthorized", fails("Unauthorized"), ok, 401},
		{"policy denies", policy("Deny", "execute-api:Invoke", "*"), ok, 403},
		{"policy allows another API", policy("Allow", "execute-api:Invoke", "arn:aws:execute-api:*:*:other/*"), ok,
			403},
		{"policy allows another action", policy("Allow", "execute-api:ManageConnections", "*"), ok, 403},
		{"deny overrides allow",
			answers(`{"principalId":"a","policyDocument":{"Statement":[{"Action":"*","Effect":"Allow",` +
				`"Resource":"*"},{"Action":"*","Effect":"Deny","Resource":"*"}]}}`), ok, 403},
		{"policy without statements", answers(`{"principalId":"a","policyDocument":{"Statement":[]}}`), ok, 403},
		{"authorizer fails with another error", fails("unauthorized, in other words"), ok, 500},
		{"authorizer times out", slow, ok, 500},
		{"authorizer returns invalid JSON", answers(`yes`), ok, 500},
		{"response without a principal", answers(strings.Replace(allow, "alice", "", 1)), ok, 500},
		{"response without a policy", answers(`{"principalId":"a"}`), ok, 500},
		{"policy with a condition",
			answers(`{"principalId":"a","policyDocument":{"Statement":[{"Action":"*","Effect":"Allow","Resource":"*",` +
				`"Condition":{}}]}}`), ok, 500},
		{"list in the context", withContext(`{"grants":["a"]}`), ok, 500},
		{"object in the context", withContext(`{"grants":{}}`), ok, 500},
		{"null in the context", withContext(`{"grants":null}`), ok, 500},
		{"response over 8 KB", withContext(`{"grants":"` + strings.Repeat("x", 8<<10) + `"}`), ok, 500},
		{"connect returns 403", answers(allow), answers(`{"statusCode":403}`), 403},
		{"connect returns 503", answers(allow), answers(`{"statusCode":503,"body":"x"}`), 503},
		{"connect fails", answers(allow), fails("Unauthorized"), 502},
		{"connect times out", answers(allow), slow, 502},
		{"connect returns null", answers(allow), answers(`null`), 502},
		{"connect returns invalid JSON", answers(allow), answers(`ok`), 502},
		{"connect cannot be invoked", answers(allow), nil, 502},
	}
}

func TestHandshake_FunctionResponses(t *testing.T) {
	for _, test := range handshakes() {
		t.Run(test.name, func(t *testing.T) {
			c := config(functions{"authorize": test.authorizer, "connect": test.connect}, "$connect")
			c.Authorizer = "authorize"
			c.IntegrationTimeout = 200 * time.Millisecond
			conn, r, err := websocket.Dial(t.Context(), start(t, c).URL(), nil)
			if err == nil {
				conn.CloseNow()
			}
			if r == nil || r.StatusCode != test.want {
				t.Fatalf("response %v, %v; want %d", r, err, test.want)
			}
			if test.want == 101 {
				return
			}
			var body struct{ Message, ConnectionID, RequestID string }
			if b, err := io.ReadAll(r.Body); err != nil || json.Unmarshal(b, &body) != nil || body.Message == "" ||
				body.RequestID == "" {
				t.Errorf("body %s, %v; want message, connectionId and requestId", b, err)
			}
		})
	}
}

func TestHandshake_InvalidRequests(t *testing.T) {
	called := make(chan []byte, 8)
	g := start(t, config(functions{"connect": forwards(called)}, "$connect"))
	base := strings.Replace(g.URL(), "ws://", "http://", 1)
	upgrade := http.Header{"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
	old := upgrade.Clone()
	old.Set("Sec-Websocket-Version", "8")
	short := upgrade.Clone()
	short.Set("Sec-Websocket-Key", "short")
	for _, test := range []struct {
		name, url string
		header    http.Header
		want      int
	}{
		{"another stage", strings.TrimSuffix(base, "v1") + "v2", upgrade, 403},
		{"no stage", strings.TrimSuffix(base, "v1"), upgrade, 403},
		{"below the stage", base + "/x", upgrade, 403},
		{"no upgrade", base, nil, 426},
		{"old version", base, old, 400},
		{"bad key", base, short, 400},
		{"long URL", base + "?x=" + strings.Repeat("x", 4096), upgrade, 414},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if test.header != nil {
			r.Header = test.header
		}
		answer, err := (&http.Client{Timeout: patience}).Do(r)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		answer.Body.Close()
		if answer.StatusCode != test.want {
			t.Errorf("%s: %d, want %d", test.name, answer.StatusCode, test.want)
		}
	}
	if len(called) > 0 {
		t.Error("the $connect function was invoked")
	}
}

// A token that lists many groups makes the request head long. The gateway must refuse exactly the heads that AWS
// refuses.
func TestHandshake_HeadSizeLimit(t *testing.T) {
	g := start(t, config(functions{}))
	u, err := url.Parse(g.URL())
	if err != nil {
		t.Fatal(err)
	}
	before := "GET " + u.Path + " HTTP/1.1\r\nHost: " + u.Host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Protocol: carrel.v1, bearer."
	for size, want := range map[int]int{9000: 101, 10239: 101, 10240: 101, 10241: 431, 10800: 431, 14334: 431,
		20000: 431} {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, before+strings.Repeat("t", size-len(before)-4)+"\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || answer.StatusCode != want {
			t.Errorf("a head of %d bytes: %v %v, want %d", size, answer, err, want)
		}
		conn.Close()
	}
}

func TestConnect_ResponseHeaders(t *testing.T) {
	for _, name := range []string{"Sec-WebSocket-Protocol", "sec-websocket-protocol"} {
		g := start(t, config(functions{"connect": answers(`{"statusCode":200,"headers":{"` + name +
			`":"carrel.v1","X-Seen":"yes","Upgrade":"h2c","X-Bad":"a\r\nX-Injected: b"}}`)}, "$connect"))
		conn, r, err := websocket.Dial(t.Context(), g.URL(),
			&websocket.DialOptions{Subprotocols: []string{"carrel.v1", "bearer.x"}})
		if err != nil {
			t.Fatal(err)
		}
		if conn.Subprotocol() != "carrel.v1" || r.Header.Get("X-Seen") != "yes" || r.Header.Get("X-Injected") != "" ||
			len(r.Header.Values("Upgrade")) != 1 {
			t.Errorf("with %s: subprotocol %q, headers %v", name, conn.Subprotocol(), r.Header)
		}
		conn.CloseNow()
	}
}

func TestConnect_RunsBeforeUpgrade(t *testing.T) {
	arrived, release := make(chan string), make(chan struct{})
	g := start(t, config(functions{"connect": func(ctx context.Context, event []byte) ([]byte, string, error) {
		var e events.APIGatewayWebsocketProxyRequest
		if err := json.Unmarshal(event, &e); err != nil {
			return nil, "", err
		}
		arrived <- e.RequestContext.ConnectionID
		<-release
		return []byte(`{"statusCode":200}`), "", nil
	}}, "$connect"))
	answered := make(chan *websocket.Conn, 1)
	go func() {
		conn, _, err := websocket.Dial(t.Context(), g.URL(), nil)
		if err != nil {
			t.Error(err)
		}
		answered <- conn
	}()
	id := <-arrived
	if err := post(t, management(g, "AKIA1"), id, "early"); status(err) != 410 {
		t.Errorf("a post during $connect: %v, want 410", err)
	}
	select {
	case <-answered:
		t.Error("the client was connected before the function returned")
	default:
	}
	close(release)
	if conn := <-answered; conn != nil {
		defer conn.CloseNow()
		if err := post(t, management(g, "AKIA1"), id, "hello"); err != nil {
			t.Fatal(err)
		}
		if got := read(t, conn); got != "hello" {
			t.Errorf("got %q", got)
		}
	}
}

func TestConnect_ClientGivesUp(t *testing.T) {
	entered, disconnects := make(chan context.Context), make(chan []byte, 1)
	release := make(chan struct{})
	g := start(t, config(functions{"disconnect": forwards(disconnects),
		"connect": func(ctx context.Context, _ []byte) ([]byte, string, error) {
			entered <- ctx
			<-release
			return []byte(`{"statusCode":200}`), "", ctx.Err()
		}}, "$connect", "$disconnect"))
	dialing, giveUp := context.WithCancel(t.Context())
	dialed := make(chan struct{})
	go func() {
		defer close(dialed)
		if conn, _, err := websocket.Dial(dialing, g.URL(), nil); err == nil {
			t.Error("connected before the function returned")
			conn.CloseNow()
		}
	}()
	<-entered
	giveUp()
	<-dialed
	close(release)
	if e := receive(t, disconnects).RequestContext; e.DisconnectStatusCode != 1006 {
		t.Errorf("$disconnect received the code %d, want 1006", e.DisconnectStatusCode)
	}
}

func TestStart_Errors(t *testing.T) {
	g := start(t, config(functions{}))
	taken := config(functions{})
	taken.Addr = strings.TrimSuffix(strings.TrimPrefix(g.URL(), "ws://"), "/v1")
	custom := config(functions{}, "send")
	expression := config(functions{})
	expression.RouteSelectionExpression = "$request.header.x"
	noInvoker := config(functions{})
	noInvoker.Invoker = nil
	for name, c := range map[string]apigateway.Config{"address taken": taken, "custom route without expression": custom,
		"unsupported expression": expression, "no invoker": noInvoker, "empty config": {},
		"unknown route key": config(functions{}, "$other")} {
		if g, err := apigateway.Start(t.Context(), c); err == nil {
			t.Errorf("%s: no error", name)
			if err := errors.Join(g.Close()); err != nil {
				t.Error(err)
			}
		}
	}
}
