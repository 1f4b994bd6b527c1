package apigateway_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"
	"github.com/aws/smithy-go"
	"github.com/coder/websocket"

	"carrel/infra/local/apigateway"
)

// status returns the HTTP status in a management call's error, or 0 for no error.
func status(err error) int {
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

// connected starts a gateway, opens one connection and returns both, with the connection's id.
func connected(t testing.TB, change func(*apigateway.Config)) (*apigateway.Gateway, *websocket.Conn, string) {
	t.Helper()
	events := make(chan []byte, 1)
	c := config(functions{"connect": forwards(events)}, "$connect")
	if change != nil {
		change(&c)
	}
	g := start(t, c)
	conn := dial(t, g)
	return g, conn, receive(t, events).RequestContext.ConnectionID
}

func TestPost_Order(t *testing.T) {
	g, conn, id := connected(t, nil)
	m := management(g, "AKIA1")
	for n := range 200 {
		if err := post(t, m, id, fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 200 {
		if got := read(t, conn); got != fmt.Sprint(n) {
			t.Fatalf("message %d is %q", n, got)
		}
	}
}

func TestPost_SizeLimit(t *testing.T) {
	g, conn, id := connected(t, nil)
	m := management(g, "AKIA1")
	for _, size := range []int{0, 1, 32 << 10, 32<<10 + 1, 128 << 10} {
		if err := post(t, m, id, strings.Repeat("x", size)); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if got := read(t, conn); len(got) != size {
			t.Errorf("a message of %d bytes arrived with %d", size, len(got))
		}
	}
	err := post(t, m, id, strings.Repeat("x", 128<<10+1))
	if _, ok := errors.AsType[*types.PayloadTooLargeException](err); !ok || status(err) != 413 {
		t.Errorf("a post over 128 KB: %v", err)
	}
}

func TestGetConnection(t *testing.T) {
	before := time.Now().Add(-time.Second)
	g, conn, id := connected(t, nil)
	m := management(g, "AKIA1")
	describe := func() *apigatewaymanagementapi.GetConnectionOutput {
		d, err := m.GetConnection(t.Context(), &apigatewaymanagementapi.GetConnectionInput{ConnectionId: &id})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	first := describe()
	if first.ConnectedAt.Before(before) || aws.ToString(first.Identity.SourceIp) != "127.0.0.1" ||
		aws.ToString(first.Identity.UserAgent) == "" {
		t.Errorf("%+v %+v", first, first.Identity)
	}
	now := first
	for deadline := time.Now().Add(patience); !now.LastActiveAt.After(*first.LastActiveAt); now = describe() {
		if time.Now().After(deadline) {
			t.Fatal("posts do not change lastActiveAt")
		}
		if err := post(t, m, id, "x"); err != nil {
			t.Fatal(err)
		}
		read(t, conn)
	}
	if !now.ConnectedAt.Equal(*first.ConnectedAt) {
		t.Errorf("connectedAt changed from %v to %v", first.ConnectedAt, now.ConnectedAt)
	}
}

func TestDeleteConnection(t *testing.T) {
	disconnects := make(chan []byte, 1)
	g, conn, id := connected(t, func(c *apigateway.Config) {
		c.Routes["$disconnect"] = "disconnect"
		c.Invoker.(functions)["disconnect"] = forwards(disconnects)
	})
	m := management(g, "AKIA1")
	if _, err := m.DeleteConnection(t.Context(),
		&apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: &id}); err != nil {
		t.Fatal(err)
	}
	if err := post(t, m, id, "x"); status(err) != 410 {
		t.Errorf("post after delete: %v", err)
	}
	if _, err := m.GetConnection(t.Context(),
		&apigatewaymanagementapi.GetConnectionInput{ConnectionId: &id}); status(err) != 410 {
		t.Errorf("get after delete: %v", err)
	}
	if _, err := m.DeleteConnection(t.Context(),
		&apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: &id}); status(err) != 410 {
		t.Errorf("delete after delete: %v", err)
	}
	if code, _ := readClose(t, conn); code != websocket.StatusNormalClosure {
		t.Errorf("closed with %d", code)
	}
	if e := receive(t, disconnects); e.RequestContext.DisconnectStatusCode != 1000 {
		t.Errorf("$disconnect received the code %d", e.RequestContext.DisconnectStatusCode)
	}
}

func TestPost_UnknownAndMalformedIDs(t *testing.T) {
	g, conn, id := connected(t, nil)
	m := management(g, "AKIA1")
	conn.CloseNow()
	for _, unknown := range []string{id, "L0SM9cOFvHcCIhw=", "-_-_-_-_-_-_-_A="} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		err := post(t, m, unknown, "x")
		for err == nil && ctx.Err() == nil { // the gateway may not have noticed the end yet
			err = post(t, m, unknown, "x")
		}
		if _, ok := errors.AsType[*types.GoneException](err); !ok || status(err) != 410 {
			t.Errorf("%s: %v, want GoneException", unknown, err)
		}
	}
	for _, malformed := range []string{"nonsense", "a/b", "%", "short=", "../../etc/passwd="} {
		err := post(t, m, malformed, "x")
		if api, ok := errors.AsType[smithy.APIError](err); !ok || status(err) != 400 ||
			api.ErrorCode() != "UnknownError" {
			t.Errorf("%s: %v, want an untyped 400", malformed, err)
		}
	}
}

func TestPost_SlowClient(t *testing.T) {
	g, conn, id := connected(t, nil)
	m := management(g, "AKIA1")
	accepted := 0
	var err error
	for err == nil && accepted < 20 {
		if err = post(t, m, id, fmt.Sprintf("%06d%s", accepted, strings.Repeat("x", 100<<10))); err == nil {
			accepted++
		}
	}
	if _, ok := errors.AsType[*types.LimitExceededException](err); !ok || status(err) != 429 {
		t.Fatalf("after %d posts: %v, want LimitExceededException", accepted, err)
	}
	for n := range accepted {
		if got := read(t, conn); !strings.HasPrefix(got, fmt.Sprintf("%06dx", n)) {
			t.Fatalf("message %d begins %.10q", n, got)
		}
	}
	if err := post(t, m, id, "again"); err != nil {
		t.Errorf("post after the client has read: %v", err)
	}
}
