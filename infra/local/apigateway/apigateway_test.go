package apigateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/coder/websocket"

	"carrel/infra/local/apigateway"
)

const patience = 10 * time.Second

// function is a fake of one Lambda function.
type function func(ctx context.Context, event []byte) (response []byte, functionError string, err error)

// functions is an Invoker of fake functions by name.
type functions map[string]function

func (f functions) Invoke(ctx context.Context, name string, payload []byte) ([]byte, string, error) {
	if fn := f[name]; fn != nil {
		return fn(ctx, payload)
	}
	return nil, "", fmt.Errorf("no function %q", name)
}

// answers returns a function that always returns the same response.
func answers(response string) function {
	return func(context.Context, []byte) ([]byte, string, error) { return []byte(response), "", nil }
}

// fails returns a function that fails like a Go handler that returns an error.
func fails(message string) function {
	return func(context.Context, []byte) ([]byte, string, error) {
		return fmt.Appendf(nil, `{"errorMessage":%q,"errorType":"errorString"}`, message), "Unhandled", nil
	}
}

// forwards returns a function that sends each event to a channel and responds with status 200.
func forwards(to chan<- []byte) function {
	return func(ctx context.Context, event []byte) ([]byte, string, error) {
		select {
		case to <- bytes.Clone(event):
			return []byte(`{"statusCode":200}`), "", nil
		case <-ctx.Done():
			return nil, "", ctx.Err()
		}
	}
}

func config(f functions, routes ...string) apigateway.Config {
	c := apigateway.Config{
		Addr: "127.0.0.1:0", APIID: "api123", Stage: "v1", Region: "eu-central-1", Account: "123456789012",
		Routes: map[string]string{}, Invoker: f,
		AccessKeys: func(key string) (string, bool) { return "secret-of-" + key, strings.HasPrefix(key, "AKIA") },
	}
	for _, key := range routes {
		c.Routes[key] = strings.TrimPrefix(key, "$")
	}
	return c
}

func start(t testing.TB, c apigateway.Config) *apigateway.Gateway {
	t.Helper()
	g, err := apigateway.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return g
}

func dial(t testing.TB, g *apigateway.Gateway) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), g.URL(), nil)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { conn.CloseNow() })
	return conn
}

func write(t testing.TB, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func read(t testing.TB, conn *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	kind, b, err := conn.Read(ctx)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if kind != websocket.MessageText {
		t.Fatalf("a frame of type %v arrived: %q", kind, b)
	}
	return string(b)
}

// readClose reads until the socket ends and returns the code and reason of the close frame.
func readClose(t testing.TB, conn *websocket.Conn) (websocket.StatusCode, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		_, _, err := conn.Read(ctx)
		var closed websocket.CloseError
		if errors.As(err, &closed) {
			return closed.Code, closed.Reason
		}
		if err != nil {
			t.Fatalf("no close frame: %v", err)
		}
	}
}

func receive(t testing.TB, from <-chan []byte) events.APIGatewayWebsocketProxyRequest {
	t.Helper()
	select {
	case b := <-from:
		var e events.APIGatewayWebsocketProxyRequest
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatalf("event %s: %v", b, err)
		}
		return e
	case <-time.After(patience):
		t.Fatal("no event arrived")
		panic("unreachable")
	}
}

// management returns a client of @connections as functions use it. Its HTTP client reads the body first: see
// docs/performance.md.
func management(g *apigateway.Gateway, key string) *apigatewaymanagementapi.Client {
	return apigatewaymanagementapi.New(apigatewaymanagementapi.Options{
		Region:       "eu-central-1",
		BaseEndpoint: aws.String(g.Management()),
		Credentials:  credentials.NewStaticCredentialsProvider(key, "secret-of-"+key, ""),
		Retryer:      aws.NopRetryer{},
		HTTPClient:   bodyFirst{&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: patience}},
	})
}

type bodyFirst struct{ client *http.Client }

func (c bodyFirst) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	return c.client.Do(r)
}

func post(t testing.TB, m *apigatewaymanagementapi.Client, id, message string) error {
	t.Helper()
	_, err := m.PostToConnection(t.Context(), &apigatewaymanagementapi.PostToConnectionInput{
		ConnectionId: &id, Data: []byte(message)})
	return err
}

// echo returns a function that posts each message back. *m may be set after the gateway has started.
func echo(m **apigatewaymanagementapi.Client) function {
	return func(ctx context.Context, event []byte) ([]byte, string, error) {
		var e events.APIGatewayWebsocketProxyRequest
		if err := json.Unmarshal(event, &e); err != nil {
			return nil, "", err
		}
		_, err := (*m).PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{
			ConnectionId: &e.RequestContext.ConnectionID, Data: []byte(e.Body)})
		return []byte(`{"statusCode":200,"body":"dropped"}`), "", err
	}
}

func TestGateway_ManyConnections(t *testing.T) {
	const connections, echoes = 50, 20
	var m *apigatewaymanagementapi.Client
	g := start(t, config(functions{"default": echo(&m)}, "$default"))
	m = management(g, "AKIAECHO")
	var all sync.WaitGroup
	for c := range connections {
		all.Go(func() {
			conn, _, err := websocket.Dial(t.Context(), g.URL(), nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.CloseNow()
			for n := range echoes {
				want := fmt.Sprintf("connection %d message %d", c, n)
				if err := conn.Write(t.Context(), websocket.MessageText, []byte(want)); err != nil {
					t.Error(err)
					return
				}
				_, got, err := conn.Read(t.Context())
				if err != nil || string(got) != want {
					t.Errorf("got %q, %v; want %q", got, err, want)
					return
				}
			}
		})
	}
	all.Wait()
}
