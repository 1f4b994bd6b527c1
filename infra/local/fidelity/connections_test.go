package fidelity_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/apigateway"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"
	"github.com/coder/websocket"
)

// managed is one connection and a client of @connections.
type managed struct {
	*apigatewaymanagementapi.Client
	conn *websocket.Conn
	id   *string
}

// manage opens a connection and returns it with a client.
func manage(t *testing.T, on *target) managed {
	t.Helper()
	received := make(chan []byte, 1)
	g := serve(t, fakes{"connect": forwards(received)}, nil)
	conn, _ := open(t, g.URL())
	id := event(t, received).RequestContext.ConnectionID
	return managed{on.client(g.Management()), conn, &id}
}

func (m managed) post(ctx context.Context, text string) error {
	_, err := m.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: m.id,
		Data: []byte(text)})
	return err
}

// postTo posts to a connection id that the test made up.
func (on *target) postTo(t *testing.T, id string) error {
	t.Helper()
	_, err := on.client(on.management).PostToConnection(t.Context(),
		&apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: []byte("x")})
	return err
}

func connections() []scenario {
	const area = "@connections"
	return []scenario{
		{area, "A post to a connection that does not exist is GoneException, 410.", documented, "",
			func(t *testing.T, on *target) {
				as[*types.GoneException](t, on.postTo(t, "L0SM9cOFvHcCIhw="))
			}},
		{area, "A malformed connection id is an untyped 400.", captured, "", func(t *testing.T, on *target) {
			if got := as[*awshttp.ResponseError](t, on.postTo(t,
				"nobody")).HTTPStatusCode(); got != http.StatusBadRequest {
				t.Errorf("status %d", got)
			}
		}},
		{area, "An unsigned call is 403.", documented, "", func(t *testing.T, on *target) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
				on.management+"/@connections/L0SM9cOFvHcCIhw%3D", strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			response, err := (&http.Client{Timeout: patience}).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusForbidden {
				t.Errorf("%s, %v", response.Status, err)
			}
		}},
	}
}

func connectionCalls() []scenario {
	const area = "@connections"
	return []scenario{
		{area, "X-Amzn-ErrorType names the type of an error, and the SDK reads it there.", sdkSource, needsID,
			func(t *testing.T, on *target) {
				m := manage(t, on)
				err := m.post(t.Context(), strings.Repeat("x", 128<<10+1))
				as[*types.PayloadTooLargeException](t, err)
				if got := as[*awshttp.ResponseError](t,
					err).Response.Header.Get("X-Amzn-ErrorType"); got != "PayloadTooLargeException" {
					t.Errorf("the header is %q", got)
				}
			}},
		{area, "A post of 128 KB arrives; with one byte more it is PayloadTooLargeException, 413.", documented, needsID,
			func(t *testing.T, on *target) {
				m := manage(t, on)
				text := strings.Repeat("x", 128<<10)
				if err := m.post(t.Context(), text); err != nil || receive(t, m.conn) != text {
					t.Errorf("128 KB did not arrive: %v", err)
				}
				as[*types.PayloadTooLargeException](t, m.post(t.Context(), text+"x"))
			}},
		{area, "GET returns when a connection was opened and last active, and its source IP.", documented, needsID,
			func(t *testing.T, on *target) {
				m := manage(t, on)
				got, err := m.GetConnection(t.Context(),
					&apigatewaymanagementapi.GetConnectionInput{ConnectionId: m.id})
				if err != nil || time.Since(*got.ConnectedAt) > time.Minute || got.LastActiveAt == nil ||
					aws.ToString(got.Identity.SourceIp) != "127.0.0.1" {
					t.Errorf("%+v, %v", got, err)
				}
			}},
	}
}

func connectionErrors() []scenario {
	const area = "@connections"
	return []scenario{
		{area, "DELETE closes a connection; later posts are GoneException.", documented, needsID,
			func(t *testing.T, on *target) {
				m := manage(t, on)
				if _, err := m.DeleteConnection(t.Context(),
					&apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: m.id}); err != nil {
					t.Fatal(err)
				}
				awaitClose(t, m.conn)
				as[*types.GoneException](t, m.post(t.Context(), "x"))
			}},
		{area, "A post during $connect is GoneException, because the connection does not exist yet.", captured,
			needsEvents, func(t *testing.T, on *target) {
				var g *apigateway.Gateway
				posted := make(chan error, 1)
				g = serve(t, fakes{"connect": func(ctx context.Context, text []byte) ([]byte, string, error) {
					var e events.APIGatewayWebsocketProxyRequest
					if err := json.Unmarshal(text, &e); err != nil {
						return nil, "", err
					}
					posted <- managed{on.client(g.Management()), nil, &e.RequestContext.ConnectionID}.post(ctx, "x")
					return []byte(`{"statusCode":200}`), "", nil
				}}, nil)
				open(t, g.URL())
				as[*types.GoneException](t, <-posted)
			}},
		{area, "If a client does not read, its buffer fills up: LimitExceededException, 429.", documented, needsID,
			func(t *testing.T, on *target) {
				m := manage(t, on)
				var err error
				for n := 0; n < 100 && err == nil; n++ {
					err = m.post(t.Context(), strings.Repeat("x", 128<<10))
				}
				as[*types.LimitExceededException](t, err)
			}},
	}
}
