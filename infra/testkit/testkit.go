// Package testkit holds what the tests over a whole local stack share. Only tests import it.
package testkit

import (
	"os"
	"testing"
)

// Campaign skips a test that takes too long for make test, with the reason, unless CARREL_CAMPAIGN=1 is set. make campaign
// sets it.
func Campaign(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CARREL_CAMPAIGN") != "1" {
		t.Skipf("make campaign runs this test: %s", reason)
	}
}

// MissingTool skips a test that needs a tool which this machine does not have. With CARREL_REQUIRE_ALL set, as in CI, the
// test fails instead.
func MissingTool(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CARREL_REQUIRE_ALL") != "" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}
