// Package templatetest runs AWS's SAM tools for tests: the transform of template.yaml, and the data that the tools
// contain.
package templatetest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Tools is the folder of the programs of AWS's SAM tools, which make check-template installs. The test is in a folder
// two levels below the repository's root.
func Tools(t testing.TB) string {
	t.Helper()
	bin, err := filepath.Abs("../../.carrel/sam/bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(bin, "sam")); err != nil {
		Missing(t, "AWS's SAM tools are not installed: make check-template installs them, if there is Python 3")
	}
	return bin
}

// Missing skips a test for want of a tool. Where every layer must run, it fails the test.
func Missing(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CARREL_REQUIRE_ALL") != "" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// Python runs a script with the modules of the SAM tools and returns its output.
func Python(t testing.TB, script string, input []byte, args ...string) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(Tools(t), "python"), append([]string{"-c", script},
		args...)...)
	command.Stdin = bytes.NewReader(input)
	command.Env = append(os.Environ(), "AWS_DEFAULT_REGION=us-east-1")
	var told bytes.Buffer
	command.Stderr = &told
	out, err := command.Output()
	if err != nil {
		t.Fatalf("a script with the SAM tools failed: %v\n%s", err, &told)
	}
	return out
}

// Transformed is what CloudFormation gets of template.yaml: the resources by logical id.
func Transformed(t testing.TB) map[string]any {
	t.Helper()
	// Read here and not by the child alone, so that Go knows what the test's result depends on.
	source, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../template/transform.py")
	if err != nil {
		t.Fatal(err)
	}
	var template struct{ Resources map[string]any }
	if err := json.Unmarshal(Python(t, string(script), source, "/dev/stdin"), &template); err != nil {
		t.Fatal(err)
	}
	return template.Resources
}
