package template_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/dynamodb"
	"carrel/infra/local/stack"
	"carrel/infra/template/templatetest"
	"carrel/shared/client"
)

// What sam build makes is what is deployed: it runs on the local stack as it is, with tenant isolation and without it.
func TestWhatSAMBuildsRuns(t *testing.T) {
	sam := filepath.Join(templatetest.Tools(t), "sam")
	architecture := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	built := filepath.Join(t.TempDir(), "build")
	command := exec.CommandContext(t.Context(), sam, "build", "--build-dir", built, "--parameter-overrides", "Architecture="+architecture)
	command.Dir = filepath.Join("..", "..")
	command.Env = append(os.Environ(), "GOARCH="+runtime.GOARCH, "SAM_CLI_TELEMETRY=0", "AWS_DEFAULT_REGION=us-east-1")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("sam build: %v\n%s", err, out)
	}
	for _, isolation := range []string{"on", "off"} {
		t.Run("TenantIsolation "+isolation, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			s, err := stack.Start(ctx, stack.Config{
				Root: "../..", State: t.TempDir(), Built: built, Parameters: map[string]string{"TenantIsolation": isolation},
			})
			if errors.Is(err, dynamodb.ErrNoEngine) {
				templatetest.Missing(t, err.Error())
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			ask(ctx, t, s.Endpoints())
		})
	}
}

// ask asks one thing and waits for the answer, which takes all six functions but sweep.
func ask(ctx context.Context, t *testing.T, e stack.Endpoints) {
	t.Helper()
	answer, err := http.PostForm(e.Token, url.Values{"user": {"alice"}})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&token); err != nil {
		t.Fatal(err)
	}
	dialling, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c, err := client.Dial(dialling, client.Config{URL: e.WebSocket, Token: func(context.Context) (string, error) { return token.AccessToken, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Send("what is 12*(3+4)?"); err != nil {
		t.Fatal(err)
	}
	state, err := c.WaitFor(ctx, func(s client.State) bool {
		for _, m := range s.Messages {
			if m.Role == "assistant" && strings.Contains(m.Content, "84") {
				return true
			}
		}
		return false
	})
	if err != nil {
		t.Errorf("no answer: %v; the window shows %+v", err, state)
	}
}
