package audit_test

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/stack"
)

// start runs the repository's own template, on free ports and an empty table, until the test ends.
func start(t *testing.T) stack.Endpoints {
	t.Helper()
	return startWith(t, stack.Config{}).Endpoints()
}

// startWith is start with what else a test wants of the stack.
func startWith(t *testing.T, c stack.Config) *stack.Stack {
	t.Helper()
	s := startAttacked(t, c)
	t.Cleanup(func() {
		if denied := denials(t, s); len(denied) > 0 {
			t.Errorf("IAM denied %d of the program's own requests, such as %s", len(denied), denied[0])
		}
	})
	return s
}

// startAttacked is startWith for a program that asks for what it may not have.
func startAttacked(t *testing.T, c stack.Config) *stack.Stack {
	t.Helper()
	needEngine(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c.Root, c.State = "../..", cmp.Or(c.State, t.TempDir())
	c.DynamoDB = cmp.Or(c.DynamoDB, os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"))
	c.Parameters = anyFrames(c.Parameters)
	var err error
	if c.Binaries, err = programs.get(ctx); err != nil {
		t.Fatalf("starting the stack: %v", err)
	}
	s, err := stack.Start(ctx, c)
	if err != nil {
		t.Fatalf("starting the stack: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			complain(t, s)
		}
		if err := s.Close(); err != nil {
			t.Errorf("stopping the stack: %v", err)
		}
	})
	return s
}

// anyFrames lets users send any number of frames, unless a test says how many: what is proven here is to be judged for
// itself, and one user's attacks are faster than a person. flood_test.go is about the limit.
func anyFrames(parameters map[string]string) map[string]string {
	all := map[string]string{"FrameBurst": "1000000"}
	maps.Copy(all, parameters)
	return all
}

// programs are the functions that stacks of this process run: to ask six makes for each stack whether anything has changed
// would be a quarter of all work of these tests.
var programs builds

type builds struct {
	mu  sync.Mutex
	all map[string]map[string]string // by GOFLAGS, in which a test may plant something
}

func (b *builds) get(ctx context.Context) (map[string]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	flags := os.Getenv("GOFLAGS")
	if b.all[flags] == nil {
		binaries, err := stack.Build(ctx, stack.Config{Root: "../.."})
		if err != nil {
			return nil, err
		}
		if b.all == nil {
			b.all = map[string]map[string]string{}
		}
		b.all[flags] = binaries
	}
	return b.all[flags], nil
}

// denials are the lines of the stack's log about requests that a policy refused.
func denials(t *testing.T, s *stack.Stack) (found []string) {
	t.Helper()
	b, err := os.ReadFile(s.Log())
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "is refused: AccessDenied") {
			found = append(found, line)
		}
	}
	return found
}

// complain shows what the functions and the gateway had to say before a test failed.
func complain(t *testing.T, s *stack.Stack) {
	t.Helper()
	b, err := os.ReadFile(s.Log())
	if err != nil {
		t.Error(err)
	}
	const most = 40
	var told []string
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "ERROR") || strings.Contains(line, "WARN") || strings.Contains(line, "rror") || strings.Contains(line, "timed out") {
			told = append(told, line)
		}
	}
	t.Logf("%d complaints in the stack's log, the first:\n%s", len(told), strings.Join(told[:min(most, len(told))], ""))
}

func needEngine(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("../local/dynamodb/node_modules/@dynoxide"); err != nil && os.Getenv("AWS_ENDPOINT_URL_DYNAMODB") == "" {
		missing(t, "the DynamoDB engine is not installed on "+runtime.GOOS+"/"+runtime.GOARCH+": run make test, or set AWS_ENDPOINT_URL_DYNAMODB")
	}
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
	return signInWith(ctx, token, url.Values{"user": {user}})
}

// signInWith is signIn with all that is asked of the issuer.
func signInWith(ctx context.Context, token string, form url.Values) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, token, strings.NewReader(form.Encode()))
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
