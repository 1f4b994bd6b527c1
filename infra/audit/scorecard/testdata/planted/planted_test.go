// Package planted has a test for everything that can become of a check.
package planted

import (
	"os"
	"testing"
)

func TestGood(t *testing.T) { t.Attr("figure", "0 of 3 things, size "+os.Getenv("AUDIT")) }

func TestCases(t *testing.T) {
	for _, name := range []string{"a", "b"} {
		t.Run(name, func(*testing.T) {})
	}
}

func TestScaled(t *testing.T) { t.Attr("figure", os.Getenv("SCHEDULES")+" things") }

func TestBad(t *testing.T) { t.Errorf("alice sees %d events of bob's <script>", 2) }

func TestSkipped(t *testing.T) { t.Skip("no engine here") }

func TestPartSkipped(t *testing.T) {
	t.Run("ran", func(t *testing.T) { t.Log("fine") })
	t.Run("not", func(t *testing.T) { t.Skip("no tool here") })
}

func TestSilent(t *testing.T) { t.Log("SEED=7 does it again") }
