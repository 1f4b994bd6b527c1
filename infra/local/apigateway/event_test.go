package apigateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/coder/websocket"
)

// connectionEvents connects as a browser does, sends one message, closes with code 4001, and returns all events.
func connectionEvents(t *testing.T) (authorizer []byte, connect, message,
	disconnect events.APIGatewayWebsocketProxyRequest) {
	authorized, connected, messages, disconnected := make(chan []byte, 1), make(chan []byte, 1), make(chan []byte, 1),
		make(chan []byte, 1)
	c := config(functions{
		"authorize": func(ctx context.Context, event []byte) ([]byte, string, error) {
			authorized <- event
			return []byte(allow), "", nil
		},
		"connect": forwards(connected), "default": forwards(messages), "disconnect": forwards(disconnected),
	}, "$connect", "$default", "$disconnect")
	c.Authorizer = "authorize"
	g := start(t, c)
	header := map[string][]string{"User-Agent": {"test/1"}, "X-Twice": {"a", "b"}}
	conn, _, err := websocket.Dial(t.Context(), g.URL()+"?q=1&q=2",
		&websocket.DialOptions{HTTPHeader: header, Subprotocols: []string{"carrel.v1"}})
	if err != nil {
		t.Fatal(err)
	}
	connect = receive(t, connected)
	write(t, conn, `{"text":"<é>"}`)
	message = receive(t, messages)
	if err := conn.Close(4001, "had enough"); err != nil {
		t.Errorf("close: %v", err)
	}
	return <-authorized, connect, message, receive(t, disconnected)
}

func TestEvents_Shape(t *testing.T) {
	before := time.Now().UnixMilli()
	_, connect, message, disconnect := connectionEvents(t)
	after := time.Now().UnixMilli()
	id := connect.RequestContext.ConnectionID
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{12,}=$`).MatchString(id) {
		t.Errorf("connection id %q does not have AWS's format", id)
	}
	seen := map[string]bool{}
	for _, test := range []struct {
		e         events.APIGatewayWebsocketProxyRequest
		key, kind string
	}{{connect, "$connect", "CONNECT"}, {message, "$default", "MESSAGE"}, {disconnect, "$disconnect", "DISCONNECT"}} {
		c := test.e.RequestContext
		if c.RouteKey != test.key || c.EventType != test.kind || c.ConnectionID != id || c.MessageDirection != "IN" ||
			c.Stage != "v1" || c.APIID != "api123" {
			t.Errorf("%s: context %+v", test.kind, c)
		}
		if c.DomainName == "" || c.Identity.SourceIP != "127.0.0.1" || c.Identity.UserAgent != "test/1" {
			t.Errorf("%s: domain %q, identity %+v", test.kind, c.DomainName, c.Identity)
		}
		if c.ConnectedAt != connect.RequestContext.ConnectedAt || c.ConnectedAt < before ||
			c.RequestTimeEpoch < c.ConnectedAt || c.RequestTimeEpoch > after {
			t.Errorf("%s: connected at %d, request at %d, not between %d and %d", test.kind, c.ConnectedAt,
				c.RequestTimeEpoch, before, after)
		}
		if at, err := time.Parse("02/Jan/2006:15:04:05 -0700", c.RequestTime); err != nil ||
			at.Unix() != c.RequestTimeEpoch/1000 {
			t.Errorf("%s: request time %q, %v", test.kind, c.RequestTime, err)
		}
		if c.RequestID == "" || c.RequestID != c.ExtendedRequestID || seen[c.RequestID] {
			t.Errorf("%s: request id %q, extended %q", test.kind, c.RequestID, c.ExtendedRequestID)
		}
		seen[c.RequestID] = true
		got := fmt.Sprint(c.Authorizer)
		if want := fmt.Sprint(map[string]any{"principalId": "alice", "user": "u1", "expires": "1700000000",
			"admin": "true"}); got != want {
			t.Errorf("%s: authorizer %v, want %v", test.kind, got, want)
		}
		if values, ok := c.Authorizer.(map[string]any); ok {
			for name, v := range maps.All(values) {
				if _, ok := v.(string); !ok {
					t.Errorf("%s: authorizer's %s is a %T, want a string", test.kind, name, v)
				}
			}
		}
	}
}

func TestEvents_PartsByType(t *testing.T) {
	_, connect, message, disconnect := connectionEvents(t)
	if connect.Headers["X-Twice"] != "b" || fmt.Sprint(connect.MultiValueHeaders["X-Twice"]) != "[a b]" ||
		connect.Headers["Sec-WebSocket-Protocol"] != "carrel.v1" || connect.Headers["Host"] == "" {
		t.Errorf("CONNECT: headers %v, %v", connect.Headers, connect.MultiValueHeaders)
	}
	if connect.QueryStringParameters["q"] != "2" ||
		fmt.Sprint(connect.MultiValueQueryStringParameters["q"]) != "[1 2]" {
		t.Errorf("CONNECT: query %v, %v", connect.QueryStringParameters, connect.MultiValueQueryStringParameters)
	}
	if connect.Headers["Upgrade"] != "" || connect.Body != "" || connect.RequestContext.MessageID != nil {
		t.Errorf("CONNECT has unexpected parts: %+v", connect)
	}
	if message.Body != `{"text":"<é>"}` || message.IsBase64Encoded || message.RequestContext.MessageID == nil {
		t.Errorf("MESSAGE: %+v", message)
	}
	if message.Headers != nil || message.MultiValueHeaders != nil || message.QueryStringParameters != nil {
		t.Errorf("MESSAGE has headers or query: %+v", message)
	}
	if c := disconnect.RequestContext; c.DisconnectStatusCode != 4001 || c.DisconnectReason == nil ||
		*c.DisconnectReason != "had enough" || c.MessageID != nil {
		t.Errorf("DISCONNECT: %+v", c)
	}
}

func TestEvents_Authorizer(t *testing.T) {
	raw, connect, _, _ := connectionEvents(t)
	var e struct {
		events.APIGatewayCustomAuthorizerRequestTypeRequest
		RequestContext events.APIGatewayWebsocketProxyRequestContext `json:"requestContext"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	if e.Type != "REQUEST" || e.MethodArn != "arn:aws:execute-api:eu-central-1:123456789012:api123/v1/$connect" {
		t.Errorf("type %q, methodArn %q", e.Type, e.MethodArn)
	}
	if e.Headers["Sec-WebSocket-Protocol"] != "carrel.v1" || len(e.MultiValueHeaders["X-Twice"]) != 2 ||
		e.QueryStringParameters["q"] != "2" {
		t.Errorf("headers %v, query %v", e.MultiValueHeaders, e.QueryStringParameters)
	}
	c := e.RequestContext
	if c.ConnectionID != connect.RequestContext.ConnectionID || c.RouteKey != "$connect" || c.EventType != "CONNECT" ||
		c.Authorizer != nil {
		t.Errorf("context %+v", c)
	}
}

func TestDisconnect_Codes(t *testing.T) {
	for _, test := range []struct {
		name   string
		end    func(*websocket.Conn)
		code   int64
		reason string
	}{
		{"closed normally", func(c *websocket.Conn) { c.Close(websocket.StatusNormalClosure, "") }, 1000, ""},
		{"closed without a code", func(c *websocket.Conn) { c.Close(websocket.StatusNoStatusRcvd, "") }, 1005,
			"Client-side close frame status not set"},
		{"connection lost", func(c *websocket.Conn) { c.CloseNow() }, 1006, "Connection closed abnormally"},
	} {
		t.Run(test.name, func(t *testing.T) {
			disconnects := make(chan []byte, 4)
			g := start(t, config(functions{"disconnect": forwards(disconnects)}, "$disconnect"))
			test.end(dial(t, g))
			e := receive(t, disconnects).RequestContext
			if e.DisconnectStatusCode != test.code || e.DisconnectReason == nil || *e.DisconnectReason != test.reason {
				t.Errorf("code %d, reason %v; want %d %q", e.DisconnectStatusCode, *e.DisconnectReason, test.code,
					test.reason)
			}
			if err := g.Close(); err != nil {
				t.Error(err)
			}
			if len(disconnects) > 0 {
				t.Error("$disconnect was invoked more than once")
			}
		})
	}
}
