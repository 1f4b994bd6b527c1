package bench_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"carrel/infra/local/stack"
)

// emitter names the emitter that turn is built with.
type emitter string

const (
	carrels emitter = "carrel"
	naive   emitter = "naive" // infra/bench/naive
)

// use makes the later runs of a stack use a binary of build.
func use(t testing.TB, s *stack.Stack, binary string) {
	t.Helper()
	if err := s.Host().Replace("carrel-TurnFunction", binary); err != nil {
		t.Fatal(err)
	}
}

// build builds turn with one of the emitters, as make does. Nothing else differs.
func build(t testing.TB, e emitter) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	args := []string{"build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o",
		filepath.Join(folder, "bootstrap")}
	if e == naive {
		args = append(args, "-overlay", overlay(t, root, folder))
	}
	command := exec.CommandContext(t.Context(), "go", append(args, "./functions/turn")...)
	command.Dir = root
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build turn with the emitter %s: %v\n%s", e, err, out)
	}
	return filepath.Join(folder, "bootstrap")
}

// overlay replaces shared/emit by the naive emitter. The file that ends runs (died.go) stays.
func overlay(t testing.TB, root, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "shared/emit/*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no emitter: %v", err)
	}
	replace := map[string]string{}
	for _, f := range files {
		if test, err := filepath.Match("*_test.go", filepath.Base(f)); err == nil && !test &&
			filepath.Base(f) != "died.go" {
			replace[f] = ""
		}
	}
	replace[filepath.Join(root, "shared/emit/emit.go")] = filepath.Join(root, "infra/bench/naive/emit.go")
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}
