package models_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"carrel/infra/testkit"
	"carrel/shared/campaign"
)

// maxTurn is the most bytes of the function turn with all providers, tools and agents. Each user's first run after a
// pause loads it.
const maxTurn = 14_500_000

func TestTurn_Size(t *testing.T) {
	campaign.Only(t, "it builds the function turn for Lambda's processor")
	dir := t.TempDir()
	c := exec.CommandContext(t.Context(), "make", "-C", testkit.Path(t, "."), "build-TurnFunction",
		"ARTIFACTS_DIR="+dir,
		"GOARCH=arm64")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build turn: %v\n%s", err, out)
	}
	info, err := os.Stat(filepath.Join(dir, "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("turn has %.2f MB", float64(info.Size())/1e6)
	if info.Size() > maxTurn {
		t.Errorf("turn has %d bytes, want at most %d: a new dependency must be worth every user's start", info.Size(),
			maxTurn)
	}
}
