package audit_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/stack"
)

// start runs the repository's own template, on free ports and an empty table, until the test ends.
func start(t *testing.T) stack.Endpoints {
	t.Helper()
	return startIn(t, t.TempDir()).Endpoints()
}

// startIn is start with the stack's state in a folder that the test knows.
func startIn(t *testing.T, state string) *stack.Stack {
	t.Helper()
	if _, err := os.Stat("../local/dynamodb/node_modules/@dynoxide"); err != nil && os.Getenv("AWS_ENDPOINT_URL_DYNAMODB") == "" {
		missing(t, "the DynamoDB engine is not installed on "+runtime.GOOS+"/"+runtime.GOARCH+": run make test, or set AWS_ENDPOINT_URL_DYNAMODB")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	s, err := stack.Start(ctx, stack.Config{Root: "../..", State: state, DynamoDB: os.Getenv("AWS_ENDPOINT_URL_DYNAMODB")})
	if err != nil {
		t.Fatalf("starting the stack: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("stopping the stack: %v", err)
		}
	})
	return s
}

// missing skips a test for want of a tool, which is a failure where every layer must run.
func missing(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CARREL_REQUIRE_ALL") != "" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// signIn gets a token of a user from the local issuer.
func signIn(ctx context.Context, token, user string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, token, strings.NewReader(url.Values{"user": {user}}.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := new(http.Client).Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var t struct {
		AccessToken string `json:"access_token"`
	}
	return t.AccessToken, json.NewDecoder(answer.Body).Decode(&t)
}
