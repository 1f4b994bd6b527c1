package main

import (
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"carrel/shared/campaign"
)

// A function's binary does not contain the commit, or whether the work tree had other changes. Otherwise each deploy
// would replace all six functions.
func TestBuild_NoCommitInBinary(t *testing.T) {
	campaign.Only(t, "it builds a function with make")
	folder := t.TempDir()
	command := exec.CommandContext(t.Context(), "make", "-C", "../..", "--no-print-directory",
		"build-DisconnectFunction", "ARTIFACTS_DIR="+folder)
	command.Env = append(os.Environ(), "GOARCH="+runtime.GOARCH, "GOFLAGS=-buildvcs=auto")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := buildinfo.ReadFile(filepath.Join(folder, "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range info.Settings {
		if strings.HasPrefix(s.Key, "vcs") {
			t.Errorf("the binary contains %s=%s", s.Key, s.Value)
		}
	}
}
