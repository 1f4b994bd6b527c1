// Package testkit is what the tests over a whole local stack share. Only tests import it. It has:
//
//   - Kit: starts stacks of the repository's own template;
//   - Device: one window of a user, a real client that keeps all that it was sent;
//   - Raw: a socket of an attacker, which shares no code with the client on purpose;
//   - Poll and Eventually: wait for a condition;
//   - Env: users on a stack whose faults affect only these users;
//   - readers of the table, the log and the metrics of a stack.
package testkit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// MissingTool skips a test that needs a tool which this machine does not have. With CARREL_REQUIRE_ALL set, as in CI,
// the test fails instead.
func MissingTool(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CARREL_REQUIRE_ALL") != "" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// NeedEngine skips a test, as MissingTool does, if this machine can run no DynamoDB engine and no other is configured.
func NeedEngine(t testing.TB) {
	t.Helper()
	_, err := os.Stat(Path(t, "infra/local/dynamodb/node_modules/@dynoxide"))
	if err != nil && os.Getenv("AWS_ENDPOINT_URL_DYNAMODB") == "" {
		MissingTool(t, fmt.Sprintf("the DynamoDB engine is not installed on %s/%s: run make test, or set "+
			"AWS_ENDPOINT_URL_DYNAMODB", runtime.GOOS, runtime.GOARCH))
	}
}

// Path returns the absolute path of a file that is named from the module's root.
func Path(t testing.TB, file string) string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, file)
}

// moduleRoot finds the folder of go.mod above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find the module's root: no go.mod above the working directory")
		}
		dir = parent
	}
	return "", err
}

// Seed returns the seed of a randomised test: the environment variable SEED, or a random one. The test prints it.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SEED=%d repeats this test", seed)
	return seed
}

// A poll looks again after minPoll, and after twice as long each time, up to maxPoll.
const (
	minPoll = 2 * time.Millisecond
	maxPoll = 50 * time.Millisecond
)

// Poll checks a condition until it holds. It returns the error of ctx if ctx ends first.
func Poll(ctx context.Context, condition func() bool) error {
	for interval := minPoll; !condition(); interval = min(2*interval, maxPoll) {
		again := time.NewTimer(interval)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return ctx.Err()
		}
	}
	return nil
}

// Eventually fails the test unless a condition holds before ctx ends. It checks the condition repeatedly.
func Eventually(t testing.TB, ctx context.Context, what string, condition func() bool) {
	t.Helper()
	if err := Poll(ctx, condition); err != nil {
		t.Fatalf("wait until %s: %v", what, err)
	}
}
