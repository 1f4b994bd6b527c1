package store

import (
	"testing"

	"carrel/shared/chat"
)

func TestShortID_RoundTrip(t *testing.T) {
	for _, run := range []chat.RunID{"r1", ".r", "carrel", "a.b", "."} {
		for _, id := range []string{"", ".", "..", ".x", "..x", "r1", "r1.", "r1.1", "r1..1", ".r.1", "a.b.1", "a.1",
			"carrel.X", "m", "r12.1", "..1", "...1"} {
			if got := longID(shortID(id, run), run); got != id {
				t.Errorf("in run %s, %q is stored as %q and read as %q", run, id, shortID(id, run), got)
			}
		}
	}
	if got := shortID("r1.1", "r1"); got != ".1" {
		t.Errorf("r1.1 is stored as %q", got)
	}
}
