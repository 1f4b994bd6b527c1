// Package campaign separates the tests of make campaign, which are long, from those of make test. Only tests import it. It
// imports nothing of this module, so that every test can use it.
package campaign

import (
	"os"
	"testing"
)

// Running reports whether make campaign runs the tests: whether CARREL_CAMPAIGN=1 is set.
func Running() bool { return os.Getenv("CARREL_CAMPAIGN") == "1" }

// Only skips a test that takes too long for make test, with the reason, unless make campaign runs it.
func Only(t testing.TB, reason string) {
	t.Helper()
	if !Running() {
		t.Skipf("make campaign runs this test: %s", reason)
	}
}
