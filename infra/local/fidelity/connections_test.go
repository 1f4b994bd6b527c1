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

// managed is one connection and the client of @connections that can reach it.
type managed struct {
	*apigatewaymanagementapi.Client
	conn *websocket.Conn
	id   *string
}

func manage(t *testing.T, on *target) managed {
	t.Helper()
	told := make(chan []byte, 1)
	g := serve(t, fakes{"connect": tells(told)}, nil)
	conn, _ := open(t, g.URL())
	id := event(t, told).RequestContext.ConnectionID
	return managed{on.client(g.Management()), conn, &id}
}

func (m managed) post(ctx context.Context, text string) error {
	_, err := m.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: m.id, Data: []byte(text)})
	return err
}

// stranger posts to an id.
func (on *target) stranger(t *testing.T, id string) error {
	t.Helper()
	_, err := on.client(on.management).PostToConnection(t.Context(), &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: []byte("x")})
	return err
}

func connections() []scenario {
	const area = "@connections"
	return []scenario{
		{area, "A post to a connection that is not there is GoneException, 410.", documented, "", func(t *testing.T, on *target) {
			as[*types.GoneException](t, on.stranger(t, "L0SM9cOFvHcCIhw="))
		}},
		{area, "A malformed id is an untyped 400.", captured, "", func(t *testing.T, on *target) {
			if got := as[*awshttp.ResponseError](t, on.stranger(t, "nobody")).HTTPStatusCode(); got != http.StatusBadRequest {
				t.Errorf("status %d", got)
			}
		}},
		{area, "A call that is not signed is 403.", documented, "", func(t *testing.T, on *target) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, on.management+"/@connections/L0SM9cOFvHcCIhw%3D", strings.NewReader("x"))
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

func reached() []scenario {
	const area = "@connections"
	return []scenario{
		{area, "Errors name their kind in X-Amzn-ErrorType, where the SDK reads it.", sdkSource, needsID, func(t *testing.T, on *target) {
			m := manage(t, on)
			err := m.post(t.Context(), strings.Repeat("x", 128<<10+1))
			as[*types.PayloadTooLargeException](t, err)
			if got := as[*awshttp.ResponseError](t, err).Response.Header.Get("X-Amzn-ErrorType"); got != "PayloadTooLargeException" {
				t.Errorf("the header is %q", got)
			}
		}},
		{area, "A post of 128 KB arrives, one byte more is PayloadTooLargeException, 413.", documented, needsID, func(t *testing.T, on *target) {
			m := manage(t, on)
			text := strings.Repeat("x", 128<<10)
			if err := m.post(t.Context(), text); err != nil || hear(t, m.conn) != text {
				t.Errorf("128 KB did not arrive: %v", err)
			}
			as[*types.PayloadTooLargeException](t, m.post(t.Context(), text+"x"))
		}},
		{area, "GET tells when a connection was opened and active, and from where.", documented, needsID, func(t *testing.T, on *target) {
			m := manage(t, on)
			got, err := m.GetConnection(t.Context(), &apigatewaymanagementapi.GetConnectionInput{ConnectionId: m.id})
			if err != nil || time.Since(*got.ConnectedAt) > time.Minute || got.LastActiveAt == nil || aws.ToString(got.Identity.SourceIp) != "127.0.0.1" {
				t.Errorf("%+v, %v", got, err)
			}
		}},
		{area, "DELETE closes a connection, which is gone then.", documented, needsID, func(t *testing.T, on *target) {
			m := manage(t, on)
			if _, err := m.DeleteConnection(t.Context(), &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: m.id}); err != nil {
				t.Fatal(err)
			}
			ends(t, m.conn)
			as[*types.GoneException](t, m.post(t.Context(), "x"))
		}},
		{area, "A post inside $connect is GoneException: the connection is not there yet.", captured, needsEvents, func(t *testing.T, on *target) {
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
		{area, "A client that does not read fills its buffer: LimitExceededException, 429.", documented, needsID, func(t *testing.T, on *target) {
			m := manage(t, on)
			var err error
			for n := 0; n < 100 && err == nil; n++ {
				err = m.post(t.Context(), strings.Repeat("x", 128<<10))
			}
			as[*types.LimitExceededException](t, err)
		}},
	}
}
