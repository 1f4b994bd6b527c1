package testkit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/stack"
)

// StartTimeout bounds the start of a stack, the build of its functions included.
const StartTimeout = 3 * time.Minute

// Kit starts stacks for the tests of one package, which keeps one Kit in a variable. The functions are built once for
// all stacks of a Kit: asking make for each stack whether anything has changed takes a quarter of the time of such
// tests.
type Kit struct {
	mu     sync.Mutex
	built  map[string]map[string]string // binaries by logical id, by GOFLAGS: a test may plant code with an overlay
	shared sharedStack
}

// Main runs the tests of a package, stops the Kit's shared stack and returns the exit status. Unless -parallel is
// given, parallel tests run at once: they mostly wait for leases, sweeps and streams, and one per processor would leave
// it idle.
func (k *Kit) Main(m *testing.M, parallel int) int {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", fmt.Sprint(parallel)); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if err := k.shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the shared stack:", err)
		return 1
	}
	return code
}

// Start runs a stack until the test ends. c.Root defaults to the repository's own template and c.State to an empty
// folder. The test fails if a policy denies a request of the functions. Without a DynamoDB engine the test is skipped.
func (k *Kit) Start(t testing.TB, c stack.Config) *stack.Stack {
	t.Helper()
	s := k.StartAttacked(t, c)
	t.Cleanup(func() {
		if denied := Denials(t, s); len(denied) > 0 {
			t.Errorf("IAM denied %d of the program's own requests, such as %s", len(denied), denied[0])
		}
	})
	return s
}

// StartAttacked is Start for a program whose requests a policy is expected to deny.
func (k *Kit) StartAttacked(t testing.TB, c stack.Config) *stack.Stack {
	t.Helper()
	NeedEngine(t)
	c.State = cmp.Or(c.State, t.TempDir())
	s, err := k.Launch(t.Context(), c)
	if err != nil {
		t.Fatalf("start the stack: %v", err)
	}
	t.Cleanup(func() {
		ReportProblems(t, s)
		if err := s.Close(); err != nil {
			t.Errorf("stop the stack: %v", err)
		}
	})
	return s
}

// Launch starts a stack as StartAttacked does, for a caller that closes it. ctx bounds the start only. c.State must be
// set.
func (k *Kit) Launch(ctx context.Context, c stack.Config) (*stack.Stack, error) {
	ctx, cancel := context.WithTimeout(ctx, StartTimeout)
	defer cancel()
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	c.DynamoDB = cmp.Or(c.DynamoDB, os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"))
	if c.Root == "" {
		c.Root, c.Parameters = root, unlimitedFrames(c.Parameters)
		if c.Binaries == nil && c.Built == "" {
			if c.Binaries, err = k.build(ctx, root); err != nil {
				return nil, err
			}
		}
	}
	return stack.Start(ctx, c)
}

// unlimitedFrames sets no limit on the frames of a user, unless a test sets one: most tests send faster than a person,
// and what they send must be judged for itself. The tests of infra/audit/limits are about the limit.
func unlimitedFrames(parameters map[string]string) map[string]string {
	all := map[string]string{"FrameBurst": "1000000"}
	maps.Copy(all, parameters)
	return all
}

// build returns the binaries of the functions, and builds them if they are not built with these GOFLAGS.
func (k *Kit) build(ctx context.Context, root string) (map[string]string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	flags := os.Getenv("GOFLAGS")
	if k.built[flags] == nil {
		binaries, err := stack.Build(ctx, stack.Config{Root: root})
		if err != nil {
			return nil, err
		}
		if k.built == nil {
			k.built = map[string]map[string]string{}
		}
		k.built[flags] = binaries
	}
	return k.built[flags], nil
}

// Log returns the log of a stack.
func Log(t testing.TB, s *stack.Stack) string {
	t.Helper()
	text, err := os.ReadFile(s.Log())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// logLines returns the lines of a stack's log that contain one of some words.
func logLines(t testing.TB, s *stack.Stack, words ...string) (found []string) {
	t.Helper()
	for line := range strings.Lines(Log(t, s)) {
		for _, word := range words {
			if strings.Contains(line, word) {
				found = append(found, line)
				break
			}
		}
	}
	return found
}

// Denials returns the lines of a stack's log about requests that a policy denied.
func Denials(t testing.TB, s *stack.Stack) []string {
	t.Helper()
	return logLines(t, s, "is refused: AccessDenied")
}

// ViolationLines returns the lines of a stack's log that record an isolation violation.
func ViolationLines(t testing.TB, s *stack.Stack) []string {
	t.Helper()
	return logLines(t, s, `"IsolationViolation":1`)
}

// ReportProblems logs the errors and warnings of a stack's log if the test has failed.
func ReportProblems(t testing.TB, s *stack.Stack) {
	t.Helper()
	if !t.Failed() {
		return
	}
	const most = 40
	found := logLines(t, s, "ERROR", "WARN", "rror", "timed out")
	t.Logf("%d problems in the stack's log, the first:\n%s", len(found),
		strings.Join(found[:min(most, len(found))], ""))
}

// SignIn requests an access token from the local issuer. form is the request: its field user is required, expires_in,
// scope and auth_age change the token.
func SignIn(ctx context.Context, e stack.Endpoints, form url.Values) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.Token, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := requestJSON(r, &token); err != nil {
		return "", fmt.Errorf("sign in %s: %w", form.Get("user"), err)
	}
	if token.AccessToken == "" {
		return "", fmt.Errorf("sign in %s: the issuer returned no access token", form.Get("user"))
	}
	return token.AccessToken, nil
}

// requestJSON sends a request and decodes the JSON body of the response.
func requestJSON(r *http.Request, into any) error {
	response, err := (&http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return err
	}
	err = json.NewDecoder(response.Body).Decode(into)
	return errors.Join(err, response.Body.Close())
}

// Ops is what the page /ops of a stack shows.
type Ops struct {
	Metrics    map[string]map[string]float64 // by name and function
	Violations []string
	Gateway    struct{ Open, Posted int }
	Census     json.RawMessage
}

// ReadOps reads /ops.
func ReadOps(t testing.TB, ctx context.Context, e stack.Endpoints) (o Ops) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.Ops+".json", nil)
	if err == nil {
		err = requestJSON(r, &o)
	}
	if err != nil {
		t.Fatalf("read /ops: %v", err)
	}
	return o
}

// Totals returns the metrics, each added up over all functions.
func (o Ops) Totals() map[string]float64 {
	all := map[string]float64{}
	for name, functions := range o.Metrics {
		for _, n := range functions {
			all[name] += n
		}
	}
	return all
}
