package mutants

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// tryWeb runs a test of the npm client on a copy without the guard. The copy must still type-check.
func (g guard) tryWeb(t *testing.T, test string) (noticed bool, output string, err error) {
	dir, err := g.copyWeb(t)
	if err != nil {
		return false, "", err
	}
	bin := func(name string, args ...string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(t.Context(), testTime+time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, filepath.Join(dir, "node_modules", ".bin", name), args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "NO_COLOR=1")
		return cmd.CombinedOutput()
	}
	if out, err := bin("tsc", "--noEmit", "-p", "client", "--noUnusedLocals", "false", "--noUnusedParameters",
		"false"); err != nil {
		return false, "", fmt.Errorf("%s: without the guard it does not type-check: %w\n%s", g.name, err, out)
	}
	out, err := bin("vitest", "run", test)
	failed := regexp.MustCompile(`noticed in .*|FAIL .* > .*`).Find(out)
	switch {
	case err == nil:
		return false, "it passes", nil
	case failed == nil:
		return false, "", fmt.Errorf("%s: %s broke off: %w\n%s", g.name, test, err, out)
	}
	return true, string(failed[:min(len(failed), 240)]), nil
}

// copyWeb copies the npm client and its tests without the guard, and links the installed npm packages.
func (g guard) copyWeb(t *testing.T) (string, error) {
	texts, err := g.without()
	if err != nil {
		return "", err
	}
	web, err := filepath.Abs(filepath.Join(root, "web"))
	if err != nil {
		return "", err
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "client"), os.DirFS(filepath.Join(web, "client"))); err != nil {
		return "", fmt.Errorf("%s: %w", g.name, err)
	}
	for _, name := range []string{"package.json", "vitest.config.ts", "tsconfig.base.json"} {
		content, err := os.ReadFile(filepath.Join(web, name))
		if err != nil {
			return "", fmt.Errorf("%s: %w", g.name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return "", fmt.Errorf("%s: %w", g.name, err)
		}
	}
	if err := os.Symlink(filepath.Join(web, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		return "", fmt.Errorf("%s: %w", g.name, err)
	}
	return dir, os.WriteFile(filepath.Join(dir, strings.TrimPrefix(g.file, "web/")), []byte(texts[g.file]), 0o600)
}
