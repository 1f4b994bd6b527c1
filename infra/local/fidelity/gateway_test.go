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

// upgraded is a scenario of the status that a handshake is answered with.
func upgraded(says string, from source, f fakes, want int) scenario {
	return scenario{"Handshake", says, from, needsFunction, func(t *testing.T, _ *target) {
		g := serve(t, f, func(c *apigateway.Config) {
			if f["authorize"] != nil {
				c.Authorizer = "authorize"
			}
		})
		if _, status := open(t, g.URL()); status != want {
			t.Errorf("answered with %d, want %d", status, want)
		}
	}}
}

func handshakes() []scenario {
	const area = "Handshake"
	deny := strings.Replace(allow, `"Allow"`, `"Deny"`, 1)
	connect := func(f fake) fakes { return fakes{"connect": f} }
	return []scenario{
		{area, "An authorizer that fails with \"Unauthorized\" makes it 401.", documented, "",
			func(t *testing.T, on *target) {
				if _, status := open(t, on.url, protocol, "bearer.none"); status != http.StatusUnauthorized {
					t.Errorf("answered with %d", status)
				}
			}},
		upgraded("An authorizer's Deny makes it 403.", documented, fakes{"authorize": answers(deny)}, 403),
		upgraded("An authorizer that fails otherwise makes it 500.", uncertain, fakes{"authorize": fails("oops")}, 500),
		upgraded("An authorizer's answer over 8 KB is a failure.", documented,
			fakes{"authorize": answers(strings.Replace(allow, `"x"`, `"`+strings.Repeat("x", 8<<10)+`"`, 1))}, 500),
		upgraded("An authorizer's context value that is a list or an object is a failure.", documented,
			fakes{"authorize": answers(strings.Replace(allow, `"x"`, `["x"]`, 1))}, 500),
		upgraded("The $connect function's failure makes it 502.", captured, connect(fails("oops")), 502),
		upgraded("The $connect function's status, if it is not 2xx, is the answer's.", documented,
			connect(answers(`{"statusCode":418}`)), 418),
		{area, "The subprotocol in the $connect function's headers is on the 101.", documented, "",
			func(t *testing.T, on *target) {
				if got := on.mustOpen(t).Subprotocol(); got != protocol {
					t.Errorf("the subprotocol is %q", got)
				}
			}},
		{area, "Any path but the stage's is 403.", uncertain, "", func(t *testing.T, on *target) {
			if _, status := open(t, on.url+"/more", protocol, "bearer."+on.token); status != http.StatusForbidden {
				t.Errorf("answered with %d", status)
			}
		}},
		{area, "A URL over 4,096 characters is refused.", documented, "", func(t *testing.T, on *target) {
			if _, status := open(t, on.url+"?"+strings.Repeat("x", 4096), protocol, "bearer."+on.token); status < 400 ||
				status > 499 {
				t.Errorf("answered with %d", status)
			}
		}},
		{area, "A request head over 10,240 bytes is refused. (AWS documents this for its other APIs.)", uncertain, "",
			func(t *testing.T, on *target) {
				if _, status := open(t, on.url, protocol, "bearer."+on.token, strings.Repeat("x", 10240)); status < 400 ||
					status > 499 {
					t.Errorf("answered with %d", status)
				}
			}},
	}
}

// lived opens a socket with ?q=1, sends "text", closes with 4001, and gives the events of its routes.
func lived(t *testing.T) (connect, message, disconnect events.APIGatewayWebsocketProxyRequest) {
	t.Helper()
	told := make(chan []byte, 3)
	g := serve(t, fakes{"authorize": answers(allow), "connect": tells(told), "default": tells(told),
		"disconnect": tells(told)},
		func(c *apigateway.Config) { c.Authorizer = "authorize" })
	conn, _ := open(t, g.URL()+"?q=1")
	connect = event(t, told)
	say(t, conn, websocket.MessageText, "text")
	message = event(t, told)
	if err := conn.Close(4001, "enough"); err != nil {
		t.Fatal(err)
	}
	return connect, message, event(t, told)
}

func event(t *testing.T, told <-chan []byte) (e events.APIGatewayWebsocketProxyRequest) {
	t.Helper()
	select {
	case text := <-told:
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("no event came")
	}
	return e
}

// ended is a scenario of the code that a socket is closed with for a frame.
func ended(says string, kind websocket.MessageType, size int, want websocket.StatusCode) scenario {
	return scenario{"Messages and events", says, documented, "", func(t *testing.T, on *target) {
		conn := on.mustOpen(t)
		say(t, conn, kind, strings.Repeat(" ", size))
		if code := ends(t, conn); code != want {
			t.Errorf("closed with %d, want %d", code, want)
		}
	}}
}

// limited is a scenario of a socket that API Gateway ends by itself.
func limited(says, byHand string, change func(*apigateway.Config)) scenario {
	return scenario{"Messages and events", says, documented, byHand, func(t *testing.T, _ *target) {
		conn, _ := open(t, serve(t, fakes{"default": answers(`{}`)}, change).URL())
		if code := ends(t, conn); code != websocket.StatusGoingAway {
			t.Errorf("closed with %d, want 1001", code)
		}
	}}
}

// noticed is a scenario of what API Gateway itself sends for a message.
func noticed(says string, from source, message string, f fakes, change func(*apigateway.Config)) scenario {
	return scenario{"Messages and events", says, from, needsFunction, func(t *testing.T, _ *target) {
		conn, _ := open(t, serve(t, f, change).URL())
		for range 2 { // the socket stays open
			say(t, conn, websocket.MessageText, "text")
			var told struct{ Message, ConnectionID, RequestID string }
			text := hear(t, conn)
			if err := json.Unmarshal([]byte(text), &told); err != nil || told.Message != message ||
				told.ConnectionID == "" || told.RequestID == "" {
				t.Errorf("it sent %s", text)
			}
		}
	}}
}

func messages() []scenario {
	const area = "Messages and events"
	hangs := func(ctx context.Context, _ []byte) ([]byte, string, error) { <-ctx.Done(); return nil, "", ctx.Err() }
	return []scenario{
		ended("A frame over 32 KB closes the socket with 1009.", websocket.MessageText, 32<<10+1,
			websocket.StatusMessageTooBig),
		ended("A binary frame closes it with 1003.", websocket.MessageBinary, 1, websocket.StatusUnsupportedData),
		{area, "A frame of 32 KB is taken.", documented, "", func(t *testing.T, on *target) {
			conn := on.mustOpen(t)
			say(t, conn, websocket.MessageText, `{"type":"none","x":"`+strings.Repeat("x", 32<<10-22)+`"}`)
			say(t, conn, websocket.MessageBinary, "end") // the first frame alone would have ended it with 1009
			if code := ends(t, conn); code != websocket.StatusUnsupportedData {
				t.Errorf("closed with %d", code)
			}
		}},
		limited("After 10 minutes without traffic the socket is closed.", "ten minutes of waiting: hello, then nothing",
			func(c *apigateway.Config) { c.Idle = 50 * time.Millisecond }),
		limited("After two hours it is closed, traffic or not.", "two hours of waiting",
			func(c *apigateway.Config) { c.Life = 50 * time.Millisecond }),
		noticed("A function's failure sends \"Internal server error\" and leaves the socket open.", captured,
			"Internal server error",
			fakes{"default": fails("oops")}, nil),
		noticed("A function that takes longer than 29 s is a failure.", documented, "Internal server error",
			fakes{"default": hangs}, func(c *apigateway.Config) { c.IntegrationTimeout = 50 * time.Millisecond }),
		noticed("No route and no $default sends \"Forbidden\".", captured, "Forbidden",
			fakes{"connect": answers(`{"statusCode":200}`)}, nil),
	}
}

func answered() []scenario {
	const area = "Messages and events"
	return []scenario{
		{area, "What a function returns for a message is dropped.", documented, needsFunction,
			func(t *testing.T, _ *target) {
				answered := make(chan struct{})
				conn, _ := open(t, serve(t, fakes{"default": func(ctx context.Context, e []byte) ([]byte, string, error) {
					if strings.Contains(string(e), `"one"`) {
						close(answered)
						return []byte(`{"statusCode":200,"body":"dropped"}`), "", nil
					}
					return fails("oops")(ctx, e)
				}}, nil).URL())
				say(t, conn, websocket.MessageText, "one")
				<-answered
				say(t, conn, websocket.MessageText, "two")
				if text := hear(t, conn); strings.Contains(text, "dropped") {
					t.Errorf("it was sent: %s", text)
				}
			}},
	}
}

func told() []scenario {
	const area = "Messages and events"
	return []scenario{
		{area, "CONNECT has headers and query, MESSAGE only a body, DISCONNECT a code and a reason.", documented,
			needsEvents, func(t *testing.T, _ *target) {
				connect, message, disconnect := lived(t)
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
		{area, "Every event has the authorizer's context, its values as strings.", captured, needsEvents,
			func(t *testing.T, _ *target) {
				connect, message, disconnect := lived(t)
				want := fmt.Sprint(map[string]any{"principalId": "ann", "n": "7", "yes": "true", "s": "x"})
				for _, e := range []events.APIGatewayWebsocketProxyRequest{connect, message, disconnect} {
					if got := fmt.Sprint(e.RequestContext.Authorizer); got != want {
						t.Errorf("%s has %s, want %s", e.RequestContext.EventType, got, want)
					}
				}
			}},
		{area, "A connection's id holds \"=\" and is the same in each of its events.", captured, needsEvents,
			func(t *testing.T, _ *target) {
				connect, message, disconnect := lived(t)
				id := connect.RequestContext.ConnectionID
				if !strings.Contains(id, "=") || message.RequestContext.ConnectionID != id ||
					disconnect.RequestContext.ConnectionID != id {
					t.Errorf("ids %s, %s, %s", id, message.RequestContext.ConnectionID,
						disconnect.RequestContext.ConnectionID)
				}
			}},
	}
}

func delivered() []scenario {
	const area = "Messages and events"
	return []scenario{
		{area, "Messages of one socket are handed to functions side by side, in no promised order.", documented,
			needsEvents, func(t *testing.T, _ *target) {
				both := make(chan struct{}, 2)
				all := make(chan struct{})
				conn, _ := open(t, serve(t, fakes{"default": func(ctx context.Context, _ []byte) ([]byte, string, error) {
					if both <- struct{}{}; len(both) == 2 {
						close(all)
					}
					select {
					case <-all:
					case <-ctx.Done():
					}
					return []byte(`{}`), "", ctx.Err()
				}}, nil).URL())
				say(t, conn, websocket.MessageText, "one")
				say(t, conn, websocket.MessageText, "two")
				select {
				case <-all:
				case <-time.After(patience):
					t.Error("the second waits for the first")
				}
			}},
		{area, "$disconnect may never come.", documented, "nothing makes it not come", func(t *testing.T, _ *target) {
			told := make(chan []byte, 1)
			g := serve(t, fakes{"disconnect": tells(told)}, func(c *apigateway.Config) { c.LoseDisconnects = true })
			conn, _ := open(t, g.URL())
			if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Fatal(err)
			}
			if err := g.Close(); err != nil || len(told) > 0 {
				t.Errorf("it came, or %v", err)
			}
		}},
	}
}
