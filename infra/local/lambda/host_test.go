package lambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"carrel/infra/local/lambda"
)

// binaryVariable names the environment variable with the path of the test function, which TestMain built.
const binaryVariable = "CARREL_TEST_FUNCTION"

func TestMain(m *testing.M) {
	if os.Getenv(hostVariable) != "" {
		hostUntilKilled()
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "testfn")
	if err != nil {
		fmt.Fprintln(os.Stderr, "create a folder for the test function:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bootstrap")
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", binary,
		"./internal/testfn")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the test function: %v\n%s", err, out)
		return 1
	}
	os.Setenv(binaryVariable, binary)
	return m.Run()
}

type answer struct {
	PID, Child   int
	Calls, Ticks int64
	Tenant       string
	First        string
	ID, ARN      string
	Left         time.Duration
	Env          []string
	Filler       string
	Runs         int
	Previous     string
}

// lines collects the log lines of functions.
type lines struct {
	mu   sync.Mutex
	list []string
}

func (l *lines) log(function, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, function+": "+line)
}

func (l *lines) contain(part string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(strings.Join(l.list, "\n"), part)
}

func plain(name string) lambda.Function {
	return lambda.Function{Name: name, Binary: os.Getenv(binaryVariable), MemoryMB: 256, Timeout: 20 * time.Second}
}

func perTenant(name string) lambda.Function {
	f := plain(name)
	f.PerTenant = true
	return f
}

func start(t testing.TB, c lambda.Config) (*lambda.Host, *lines) {
	t.Helper()
	log := &lines{}
	c.Addr, c.Region, c.Account, c.Log = "127.0.0.1:0", "eu-central-1", "123456789012", log.log
	h, err := lambda.Start(context.Background(), c)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return h, log
}

func startWith(t testing.TB, functions ...lambda.Function) *lambda.Host {
	t.Helper()
	h, _ := start(t, lambda.Config{Functions: functions})
	return h
}

// invoke invokes a function, which must succeed, and returns its response.
func invoke(t testing.TB, h *lambda.Host, function, event string) answer {
	t.Helper()
	body, functionError, err := h.Invoke(t.Context(), function, []byte(event))
	if err != nil || functionError != "" {
		t.Fatalf("invoke %s with %s: %q, function error %q, error %v", function, event, body, functionError, err)
	}
	return parse(t, body)
}

func parse(t testing.TB, body []byte) answer {
	t.Helper()
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatalf("decode the response %q: %v", body, err)
	}
	return a
}

// wantFailure invokes the function "one", which must fail with this type of error, and returns the error's message.
func wantFailure(t testing.TB, h *lambda.Host, event, kind string) string {
	t.Helper()
	body, functionError, err := h.Invoke(t.Context(), "one", []byte(event))
	if err != nil || functionError != "Unhandled" {
		t.Fatalf("invoke with %s: %q, function error %q, error %v; want an Unhandled error", event, body, functionError,
			err)
	}
	var failure struct{ ErrorType, ErrorMessage string }
	if err := json.Unmarshal(body, &failure); err != nil || failure.ErrorType != kind {
		t.Fatalf("invoke with %s: %s, want errorType %s (%v)", event, body, kind, err)
	}
	return failure.ErrorMessage
}

// eventually polls until a condition is true. It serves conditions that nothing signals.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func exists(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// frozen reports whether a process is stopped, as the kernel sees it.
func frozen(t testing.TB, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatalf("read the state of process %d: %v", pid, err)
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "T")
}

// barrier returns a URL that responds once n callers have arrived.
func barrier(t testing.TB, n int) (url string, arrived func() int) {
	t.Helper()
	var mu sync.Mutex
	count, all := 0, make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if count++; count == n {
			close(all)
		}
		mu.Unlock()
		select {
		case <-all:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, func() int {
		mu.Lock()
		defer mu.Unlock()
		return count
	}
}

func meet(url string) string { return fmt.Sprintf(`{"Do":"meet","URL":%q}`, url) }
