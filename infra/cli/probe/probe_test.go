package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// cognito plays a pool's token endpoint: it answers a client that sends its own secret.
func cognito(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client, secret, ok := r.BasicAuth()
		if !ok || secret != "secret-of-"+client || r.FormValue("grant_type") != "client_credentials" ||
			r.Method != http.MethodPost {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `{"access_token":"token-of-%s","expires_in":3600,"token_type":"Bearer"}`, client)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// aws plays the AWS CLI of an account with the stack mine.
func aws(endpoint, probes, secret string) func(context.Context, string, ...string) ([]byte, error) {
	return func(_ context.Context, name string, args ...string) ([]byte, error) {
		line := name + " " + strings.Join(args, " ")
		if line == "aws cloudformation describe-stacks --stack-name mine --query Stacks[0].Outputs --output json" {
			return []byte(`[{"OutputKey": "WebSocket", "OutputValue": "wss://api.test/v1"}, {"OutputKey": "UserPool", "OutputValue": "pool"},
 {"OutputKey": "TurnFunction", "OutputValue": "it's turn"}, {"OutputKey": "TokenEndpoint", "OutputValue": "` + endpoint + `"}` + probes + `]`), nil
		}
		const before, after = "aws cognito-idp describe-user-pool-client --user-pool-id pool --client-id ",
			" --query UserPoolClient.ClientSecret --output text"
		client, found := strings.CutPrefix(line, before)
		client, whole := strings.CutSuffix(client, after)
		if !found || !whole {
			return nil, errors.New("no such command: " + line)
		}
		return []byte(secret + client + "\n"), nil
	}
}

const both = `, {"OutputKey": "ProbeA", "OutputValue": "a"}, {"OutputKey": "ProbeB", "OutputValue": "b"}`

// A shell that evaluates the output has the stack's address and tokens of two users.
func TestProbe(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-stack", "mine"}, world{out: &out, err: io.Discard, run: aws(cognito(t),
		both, "secret-of-")}); err != nil {
		t.Fatal(err)
	}
	shell := exec.CommandContext(t.Context(), "sh", "-c",
		out.String()+`echo "$URL $TOKEN $TOKEN_A $TOKEN_B $TURN_FUNCTION"`)
	got, err := shell.Output()
	if want := "wss://api.test/v1 token-of-a token-of-a token-of-b it's turn\n"; err != nil || string(got) != want {
		t.Errorf("a shell has %q, %v; want %q", got, err, want)
	}
}

func TestProbe_Refused(t *testing.T) {
	for name, c := range map[string]struct{ probes, secret, want string }{
		"no clients": {"", "secret-of-", "the stack mine has no machine clients: make them with make deploy " +
			"PARAMETERS=Probe=on"},
		"wrong secret": {both, "other-", `get a token of the machine client a: 400 Bad Request: {"error":"invalid_client"}`},
	} {
		var out bytes.Buffer
		err := run(t.Context(), []string{"-stack", "mine"}, world{out: &out, err: io.Discard, run: aws(cognito(t),
			c.probes, c.secret)})
		if err == nil || !strings.Contains(err.Error(), c.want) || out.Len() != 0 {
			t.Errorf("%s: %v, %q; want %q", name, err, &out, c.want)
		}
	}
}
