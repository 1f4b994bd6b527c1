// Package stacktest runs the repository's own stack for tests of other packages.
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

// Start runs a stack until the test ends, with an empty table unless the config names another state. c.Root is the
// repository's root as seen from the test. Without a DynamoDB engine the test is skipped; CARREL_REQUIRE_ALL turns that
// into a failure.
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
		t.Fatalf("starting the stack: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("stopping the stack: %v", err)
		}
	})
	return s
}
