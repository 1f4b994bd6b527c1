package fidelity_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/lambda"
	"carrel/shared/awsenv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/coder/websocket"
)

const (
	patience = 20 * time.Second
	protocol = "carrel.v1"
	account  = "123456789012"
)

// target is the system that scenarios run against: the parts of the local stack, or a deployed Carrel.
type target struct {
	url        string // of the WebSocket API
	management string // of @connections, without its last element
	token      string
	config     aws.Config
	turn       string // name of a function with tenant isolation; "" if it is unknown
	binary     string // the test function; "" for a deployed stack
}

// local starts a gateway whose functions behave like Carrel's, and a Lambda host.
func local(t *testing.T) *target {
	t.Helper()
	on := &target{token: "good", turn: "turn", binary: build(t), config: aws.Config{Region: "eu-central-1",
		Credentials: credentials.NewStaticCredentialsProvider("AKIALOCAL", "secret", "")}}
	g := serve(t, fakes{
		"authorize": authorize,
		"connect":   answers(`{"statusCode":200,"headers":{"sec-websocket-protocol":"carrel.v1"}}`),
		"default":   answers(`{"statusCode":200}`), "disconnect": answers(`{}`),
	}, func(c *apigateway.Config) { c.Authorizer = "authorize" })
	on.url, on.management = g.URL(), g.Management()
	h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("turn",
		func(f *lambda.Function) { f.PerTenant = true })}})
	on.config.BaseEndpoint = aws.String(h.URL())
	return on
}

// deployed returns the stack that environment variables name.
func deployed(t *testing.T) *target {
	t.Helper()
	on := &target{url: os.Getenv("URL"), token: os.Getenv("TOKEN"), turn: os.Getenv("TURN_FUNCTION")}
	if os.Getenv("VERIFY_AWS") == "" {
		t.Skip("no deployed stack is named: make verify-aws lists the variables to set")
	}
	if on.token == "" && os.Getenv("TOKEN_ENDPOINT") != "" {
		on.token = fetchToken(t, os.Getenv("TOKEN_ENDPOINT"))
	}
	var err error
	if on.config, err = awsenv.Config(os.Getenv); err != nil || on.url == "" || on.token == "" {
		t.Fatalf("set URL, TOKEN or TOKEN_ENDPOINT, and AWS's own variables: %v", err)
	}
	on.management = "http" + strings.TrimPrefix(on.url, "ws")
	return on
}

// fetchToken requests a token from a token endpoint such as the local issuer's.
func fetchToken(t *testing.T, endpoint string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint,
		strings.NewReader(url.Values{"user": {"fidelity"}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := (&http.Client{Timeout: patience}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil || body.AccessToken == "" {
		t.Fatalf("no token from %s: %s %v", endpoint, response.Status, err)
	}
	return body.AccessToken
}

// build builds the test function of the Lambda host's own tests.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "bootstrap")
	command := exec.CommandContext(t.Context(), "go", "build", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o",
		binary, "../lambda/internal/testfn")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build the test function: %v\n%s", err, out)
	}
	return binary
}

// fake is a fake of one function. fakes is an Invoker of fakes by name.
type (
	fake  func(ctx context.Context, event []byte) (response []byte, functionError string, err error)
	fakes map[string]fake
)

func (f fakes) Invoke(ctx context.Context, name string, payload []byte) ([]byte, string, error) {
	if fn := f[name]; fn != nil {
		return fn(ctx, payload)
	}
	return nil, "", fmt.Errorf("no function %q", name)
}

func answers(response string) fake {
	return func(context.Context, []byte) ([]byte, string, error) { return []byte(response), "", nil }
}

func fails(message string) fake {
	return func(context.Context, []byte) ([]byte, string, error) {
		return fmt.Appendf(nil, `{"errorMessage":%q,"errorType":"errorString"}`, message), "Unhandled", nil
	}
}

// forwards returns a function that sends each event to a channel and responds with status 200.
func forwards(to chan<- []byte) fake {
	return func(_ context.Context, event []byte) ([]byte, string, error) {
		to <- append([]byte(nil), event...)
		return []byte(`{"statusCode":200}`), "", nil
	}
}

const allow = `{"principalId":"ann","context":{"n":7,"yes":true,"s":"x"},` +
	`"policyDocument":{"Statement":[{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}]}}`

// authorize allows the token "good".
func authorize(_ context.Context, event []byte) ([]byte, string, error) {
	if strings.Contains(string(event), "bearer.good") {
		return []byte(allow), "", nil
	}
	return []byte(`{"errorMessage":"Unauthorized","errorType":"errorString"}`), "Unhandled", nil
}

// serve starts a small WebSocket API whose routes are the fakes with their names.
func serve(t *testing.T, f fakes, change func(*apigateway.Config)) *apigateway.Gateway {
	t.Helper()
	c := apigateway.Config{Addr: "127.0.0.1:0", APIID: "api123", Stage: "v1", Region: "eu-central-1", Account: account,
		Routes: map[string]string{}, Invoker: f,
		AccessKeys: func(id string) (string, bool) { return "secret", id == "AKIALOCAL" }}
	for name := range f {
		if name != "authorize" {
			c.Routes["$"+name] = name
		}
	}
	if change != nil {
		change(&c)
	}
	g, err := apigateway.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// open opens a socket and returns the status of the handshake.
func open(t *testing.T, url string, subprotocols ...string) (*websocket.Conn, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: subprotocols})
	if response == nil {
		t.Fatalf("no response to the handshake: %v", err)
	}
	if conn != nil {
		conn.SetReadLimit(1 << 20)
		t.Cleanup(func() { _ = conn.CloseNow() }) // the scenario may have closed it already
	}
	return conn, response.StatusCode
}

// mustOpen opens a socket as Carrel's clients do.
func (on *target) mustOpen(t *testing.T) *websocket.Conn {
	t.Helper()
	conn, status := open(t, on.url, protocol, "bearer."+on.token)
	if conn == nil {
		t.Fatalf("the handshake's status is %d", status)
	}
	return conn
}

func send(t *testing.T, conn *websocket.Conn, kind websocket.MessageType, text string) {
	t.Helper()
	if err := conn.Write(t.Context(), kind, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, text, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// awaitClose reads until the socket is closed and returns the code.
func awaitClose(t *testing.T, conn *websocket.Conn) websocket.StatusCode {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		_, _, err := conn.Read(ctx)
		if code := websocket.CloseStatus(err); code != -1 {
			return code
		}
		if err != nil {
			t.Fatalf("no close frame: %v", err)
		}
	}
}

// client returns a client of @connections.
func (on *target) client(management string) *apigatewaymanagementapi.Client {
	return apigatewaymanagementapi.New(apigatewaymanagementapi.Options{Region: on.config.Region,
		Credentials:  on.config.Credentials,
		BaseEndpoint: aws.String(management), RetryMaxAttempts: 1, HTTPClient: on.config.HTTPClient})
}

func (on *target) lambda(endpoint string) *sdk.Client {
	c := on.config.Copy()
	if endpoint != "" {
		c.BaseEndpoint = aws.String(endpoint)
	}
	return sdk.NewFromConfig(c, func(o *sdk.Options) { o.RetryMaxAttempts = 1 })
}

func (on *target) function(name string, change func(*lambda.Function)) lambda.Function {
	f := lambda.Function{Name: name, Binary: on.binary, MemoryMB: 256, Timeout: patience}
	if change != nil {
		change(&f)
	}
	return f
}

func (on *target) host(t *testing.T, c lambda.Config) *lambda.Host {
	t.Helper()
	c.Addr, c.Region, c.Account = "127.0.0.1:0", "eu-central-1", account
	h, err := lambda.Start(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// as returns an error as the wanted type, or fails the test.
func as[E error](t *testing.T, err error) E {
	t.Helper()
	var e E
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want %T", err, e)
	}
	return e
}
