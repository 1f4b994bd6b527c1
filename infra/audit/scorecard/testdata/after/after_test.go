// Package after has a test that passes, in a process that does not when it is run.
package after

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if m.Run(); testing.Verbose() {
		os.Exit(3)
	}
}

func TestIsFine(t *testing.T) { t.Attr("figure", "1 of 1") }
