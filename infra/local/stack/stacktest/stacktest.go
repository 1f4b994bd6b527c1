// Package stacktest runs the repository's own stack for the tests of other packages.
package stacktest

import (
	"cmp"
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"carrel/infra/local/dynamodb"
	"carrel/infra/local/stack"
)

// Start runs a stack until the test ends. Its table is empty unless c.State names the state of an earlier stack. c.Root
// is the path of the repository's root, relative to the test's folder. Without a DynamoDB engine Start skips the test,
// or fails it if CARREL_REQUIRE_ALL is set.
func Start(t testing.TB, c stack.Config) *stack.Stack {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c.State = cmp.Or(c.State, t.TempDir())
	c.DynamoDB = cmp.Or(c.DynamoDB, os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"))
	s, err := stack.Start(ctx, c)
	if errors.Is(err, dynamodb.ErrNoEngine) && os.Getenv("CARREL_REQUIRE_ALL") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("start the stack: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("stop the stack: %v", err)
		}
	})
	return s
}
