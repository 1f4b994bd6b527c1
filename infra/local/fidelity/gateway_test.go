package fidelity_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/apigateway"

	"github.com/aws/aws-lambda-go/events"
	"github.com/coder/websocket"
)

// handshakeStatus is a scenario about the status of a handshake.
func handshakeStatus(behaviour string, from source, f fakes, want int) scenario {
	return scenario{"Handshake", behaviour, from, needsFunction, func(t *testing.T, _ *target) {
		g := serve(t, f, func(c *apigateway.Config) {
			if f["authorize"] != nil {
				c.Authorizer = "authorize"
			}
		})
		if _, status := open(t, g.URL()); status != want {
			t.Errorf("status %d, want %d", status, want)
		}
	}}
}

func handshakes() []scenario {
	const area = "Handshake"
	deny := strings.Replace(allow, `"Allow"`, `"Deny"`, 1)
	connect := func(f fake) fakes { return fakes{"connect": f} }
	return []scenario{
		{area, "If the authorizer fails with \"Unauthorized\", the handshake is 401.", documented, "",
			func(t *testing.T, on *target) {
				if _, status := open(t, on.url, protocol, "bearer.none"); status != http.StatusUnauthorized {
					t.Errorf("status %d, want 401", status)
				}
			}},
		handshakeStatus("If the authorizer's policy denies, the handshake is 403.", documented,
			fakes{"authorize": answers(deny)}, 403),
		handshakeStatus("If the authorizer fails with another error, the handshake is 500.", uncertain,
			fakes{"authorize": fails("oops")}, 500),
		handshakeStatus("An authorizer's response over 8 KB counts as a failure.", documented,
			fakes{"authorize": answers(strings.Replace(allow, `"x"`, `"`+strings.Repeat("x", 8<<10)+`"`, 1))}, 500),
		handshakeStatus("A list or object in the authorizer's context counts as a failure.", documented,
			fakes{"authorize": answers(strings.Replace(allow, `"x"`, `["x"]`, 1))}, 500),
		handshakeStatus("If the $connect function fails, the handshake is 502.", captured, connect(fails("oops")), 502),
		handshakeStatus("If the $connect function returns a status other than 2xx, the handshake has that status.",
			documented, connect(answers(`{"statusCode":418}`)), 418),
		{area, "The 101 response has the subprotocol from the $connect function's headers.", documented, "",
			func(t *testing.T, on *target) {
				if got := on.mustOpen(t).Subprotocol(); got != protocol {
					t.Errorf("the subprotocol is %q", got)
				}
			}},
		{area, "A path other than the stage's is 403.", uncertain, "", func(t *testing.T, on *target) {
			if _, status := open(t, on.url+"/more", protocol, "bearer."+on.token); status != http.StatusForbidden {
				t.Errorf("status %d, want 403", status)
			}
		}},
		{area, "A URL over 4,096 characters is rejected.", documented, "", func(t *testing.T, on *target) {
			if _, status := open(t, on.url+"?"+strings.Repeat("x", 4096), protocol, "bearer."+on.token); status < 400 ||
				status > 499 {
				t.Errorf("status %d", status)
			}
		}},
		{area, "A request head over 10,240 bytes is rejected. (AWS documents this for its other APIs.)", uncertain, "",
			func(t *testing.T, on *target) {
				_, status := open(t, on.url, protocol, "bearer."+on.token, strings.Repeat("x", 10240))
				if status < 400 || status > 499 {
					t.Errorf("status %d", status)
				}
			}},
	}
}

// connectionEvents opens a socket with ?q=1, sends "text", closes it with 4001, and returns the events of its routes.
func connectionEvents(t *testing.T) (connect, message, disconnect events.APIGatewayWebsocketProxyRequest) {
	t.Helper()
	received := make(chan []byte, 3)
	g := serve(t, fakes{"authorize": answers(allow), "connect": forwards(received), "default": forwards(received),
		"disconnect": forwards(received)}, func(c *apigateway.Config) { c.Authorizer = "authorize" })
	conn, _ := open(t, g.URL()+"?q=1")
	connect = event(t, received)
	send(t, conn, websocket.MessageText, "text")
	message = event(t, received)
	if err := conn.Close(4001, "enough"); err != nil {
		t.Fatal(err)
	}
	return connect, message, event(t, received)
}

func event(t *testing.T, received <-chan []byte) (e events.APIGatewayWebsocketProxyRequest) {
	t.Helper()
	select {
	case text := <-received:
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("no event arrived")
	}
	return e
}

// closeCode is a scenario about the close code that answers a frame.
func closeCode(behaviour string, kind websocket.MessageType, size int, want websocket.StatusCode) scenario {
	return scenario{"Messages and events", behaviour, documented, "", func(t *testing.T, on *target) {
		conn := on.mustOpen(t)
		send(t, conn, kind, strings.Repeat(" ", size))
		if code := awaitClose(t, conn); code != want {
			t.Errorf("closed with %d, want %d", code, want)
		}
	}}
}

// timesOut is a scenario about a socket that API Gateway closes after some time.
func timesOut(behaviour, byHand string, change func(*apigateway.Config)) scenario {
	return scenario{"Messages and events", behaviour, documented, byHand, func(t *testing.T, _ *target) {
		conn, _ := open(t, serve(t, fakes{"default": answers(`{}`)}, change).URL())
		if code := awaitClose(t, conn); code != websocket.StatusGoingAway {
			t.Errorf("closed with %d, want 1001", code)
		}
	}}
}

// sendsNotice is a scenario about a frame of API Gateway itself.
func sendsNotice(behaviour string, from source, message string, f fakes, change func(*apigateway.Config)) scenario {
	return scenario{"Messages and events", behaviour, from, needsFunction, func(t *testing.T, _ *target) {
		conn, _ := open(t, serve(t, f, change).URL())
		for range 2 { // the socket stays open
			send(t, conn, websocket.MessageText, "text")
			var received struct{ Message, ConnectionID, RequestID string }
			text := receive(t, conn)
			if err := json.Unmarshal([]byte(text), &received); err != nil || received.Message != message ||
				received.ConnectionID == "" || received.RequestID == "" {
				t.Errorf("received %s", text)
			}
		}
	}}
}

func messages() []scenario {
	const area = "Messages and events"
	hangs := func(ctx context.Context, _ []byte) ([]byte, string, error) { <-ctx.Done(); return nil, "", ctx.Err() }
	return []scenario{
		closeCode("A frame over 32 KB closes the socket with 1009.", websocket.MessageText, 32<<10+1,
			websocket.StatusMessageTooBig),
		closeCode("A binary frame closes the socket with 1003.", websocket.MessageBinary, 1,
			websocket.StatusUnsupportedData),
		{area, "A frame of 32 KB is accepted.", documented, "", func(t *testing.T, on *target) {
			conn := on.mustOpen(t)
			send(t, conn, websocket.MessageText, `{"type":"none","x":"`+strings.Repeat("x", 32<<10-22)+`"}`)
			// If the first frame were rejected, the code would be 1009.
			send(t, conn, websocket.MessageBinary, "end")
			if code := awaitClose(t, conn); code != websocket.StatusUnsupportedData {
				t.Errorf("closed with %d", code)
			}
		}},
		timesOut("After 10 minutes without traffic the socket is closed.", "takes ten minutes: hello, then no traffic",
			func(c *apigateway.Config) { c.Idle = 50 * time.Millisecond }),
		timesOut("After two hours the socket is closed, even with traffic.", "takes two hours",
			func(c *apigateway.Config) { c.Life = 50 * time.Millisecond }),
		sendsNotice("If a function fails, the client receives \"Internal server error\" and the socket stays open.",
			captured, "Internal server error", fakes{"default": fails("oops")}, nil),
		sendsNotice("A function that runs longer than 29 s counts as failed.", documented, "Internal server error",
			fakes{"default": hangs}, func(c *apigateway.Config) { c.IntegrationTimeout = 50 * time.Millisecond }),
		sendsNotice("Without a matching route and without $default the client receives \"Forbidden\".", captured,
			"Forbidden",
			fakes{"connect": answers(`{"statusCode":200}`)}, nil),
	}
}

func responses() []scenario {
	const area = "Messages and events"
	return []scenario{
		{area, "A function's response to a message is discarded.", documented, needsFunction,
			func(t *testing.T, _ *target) {
				answered := make(chan struct{})
				respond := func(ctx context.Context, e []byte) ([]byte, string, error) {
					if strings.Contains(string(e), `"one"`) {
						close(answered)
						return []byte(`{"statusCode":200,"body":"dropped"}`), "", nil
					}
					return fails("oops")(ctx, e)
				}
				conn, _ := open(t, serve(t, fakes{"default": respond}, nil).URL())
				send(t, conn, websocket.MessageText, "one")
				<-answered
				send(t, conn, websocket.MessageText, "two")
				if text := receive(t, conn); strings.Contains(text, "dropped") {
					t.Errorf("the client received %s", text)
				}
			}},
	}
}

func eventShapes() []scenario {
	const area = "Messages and events"
	return []scenario{
		{area, "CONNECT has headers and query, MESSAGE only a body, DISCONNECT a code and a reason.", documented,
			needsEvents, func(t *testing.T, _ *target) {
				connect, message, disconnect := connectionEvents(t)
				if connect.QueryStringParameters["q"] != "1" || connect.Headers["Host"] == "" || connect.Body != "" {
					t.Errorf("CONNECT: %+v", connect)
				}
				if message.Body != "text" || message.IsBase64Encoded || message.Headers != nil ||
					message.QueryStringParameters != nil || message.RequestContext.MessageID == nil {
					t.Errorf("MESSAGE: %+v", message)
				}
				if c := disconnect.RequestContext; c.DisconnectStatusCode != 4001 || c.DisconnectReason == nil ||
					*c.DisconnectReason != "enough" {
					t.Errorf("DISCONNECT: %+v", c)
				}
			}},
		{area, "Every event has the authorizer's context, with all values as strings.", captured, needsEvents,
			func(t *testing.T, _ *target) {
				connect, message, disconnect := connectionEvents(t)
				want := fmt.Sprint(map[string]any{"principalId": "ann", "n": "7", "yes": "true", "s": "x"})
				for _, e := range []events.APIGatewayWebsocketProxyRequest{connect, message, disconnect} {
					if got := fmt.Sprint(e.RequestContext.Authorizer); got != want {
						t.Errorf("%s has %s, want %s", e.RequestContext.EventType, got, want)
					}
				}
			}},
		{area, "A connection's id contains \"=\" and is the same in all its events.", captured, needsEvents,
			func(t *testing.T, _ *target) {
				connect, message, disconnect := connectionEvents(t)
				id := connect.RequestContext.ConnectionID
				if !strings.Contains(id, "=") || message.RequestContext.ConnectionID != id ||
					disconnect.RequestContext.ConnectionID != id {
					t.Errorf("ids %s, %s, %s", id, message.RequestContext.ConnectionID,
						disconnect.RequestContext.ConnectionID)
				}
			}},
	}
}

func delivery() []scenario {
	const area = "Messages and events"
	return []scenario{
		{area, "Functions process the messages of one socket concurrently, in no guaranteed order.", documented,
			needsEvents, func(t *testing.T, _ *target) {
				both := make(chan struct{}, 2)
				all := make(chan struct{})
				wait := func(ctx context.Context, _ []byte) ([]byte, string, error) {
					if both <- struct{}{}; len(both) == 2 {
						close(all)
					}
					select {
					case <-all:
					case <-ctx.Done():
					}
					return []byte(`{}`), "", ctx.Err()
				}
				conn, _ := open(t, serve(t, fakes{"default": wait}, nil).URL())
				send(t, conn, websocket.MessageText, "one")
				send(t, conn, websocket.MessageText, "two")
				select {
				case <-all:
				case <-time.After(patience):
					t.Error("the second message waits for the first")
				}
			}},
		{area, "$disconnect may never be invoked.", documented, "cannot be provoked", func(t *testing.T, _ *target) {
			received := make(chan []byte, 1)
			g := serve(t, fakes{"disconnect": forwards(received)},
				func(c *apigateway.Config) { c.LoseDisconnects = true })
			conn, _ := open(t, g.URL())
			if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Fatal(err)
			}
			if err := g.Close(); err != nil || len(received) > 0 {
				t.Errorf("$disconnect was invoked, or %v", err)
			}
		}},
	}
}
