package stack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// makeWaits is how long a build that is stopped may go on writing.
const makeWaits = 5 * time.Second

// buildAll builds every function of the template as it is deployed, but for this machine's architecture. It returns the
// binary of each by logical id.
func (s *Stack) buildAll(ctx context.Context) (map[string]string, error) {
	type result struct {
		binary string
		err    error
	}
	results := make([]result, len(s.template.Functions))
	slots := make(chan struct{}, s.builders())
	var building sync.WaitGroup
	for i, f := range s.template.Functions {
		building.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[i].binary, results[i].err = s.build(ctx, f.LogicalID)
		})
	}
	building.Wait()
	binaries := map[string]string{}
	var errs []error
	for i, r := range results {
		binaries[s.template.Functions[i].LogicalID] = r.binary
		errs = append(errs, r.err)
	}
	return binaries, errors.Join(errs...)
}

// builders is how many functions are built at a time. The first time it is one: builds side by side would each compile
// the packages that all need, which is nearly everything then.
func (s *Stack) builders() int {
	for _, f := range s.template.Functions {
		if _, err := os.Stat(s.state.path("functions", f.LogicalID, "bootstrap")); err != nil {
			s.notice("building the functions (the first time takes longer)")
			return 1
		}
	}
	return runtime.NumCPU()
}

// build runs make build-<LogicalId> and returns the path of a copy of what it made. The path tells the content, so that a
// build which changed nothing gives the same one, and one that did never writes over a binary that runs.
func (s *Stack) build(ctx context.Context, id string) (string, error) {
	folder := s.state.path("functions", id)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("building %s: %w", id, err)
	}
	command := exec.CommandContext(ctx, "make", "--no-print-directory", "--silent", "build-"+id,
		"ARTIFACTS_DIR="+folder, "GOARCH="+runtime.GOARCH)
	command.Dir = s.config.Root
	command.Env = slices.DeleteFunc(os.Environ(), fromMake)
	// In a group of its own: what make started ends with it, and Ctrl-C ends it through ctx alone.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = makeWaits
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s (make build-%s): %w\n%s", id, id, errors.Join(err, ctx.Err()), bytes.TrimSpace(output))
	}
	binary, err := keep(folder)
	if err != nil {
		return "", fmt.Errorf("building %s: %w", id, err)
	}
	return binary, nil
}

// fromMake finds the variables by which one make tells another what it is doing: this one is not a part of that.
func fromMake(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return name == "MAKEFLAGS" || name == "MFLAGS" || name == "MAKELEVEL" || name == "MAKEOVERRIDES"
}

// keep copies a built bootstrap to a folder named for its content, unless it is there.
func keep(folder string) (string, error) {
	content, err := os.ReadFile(filepath.Join(folder, "bootstrap"))
	if err != nil {
		return "", fmt.Errorf("make wrote no bootstrap to ARTIFACTS_DIR: %w", err)
	}
	sum := sha256.Sum256(content)
	kept := filepath.Join(folder, hex.EncodeToString(sum[:8]))
	binary := filepath.Join(kept, "bootstrap")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.MkdirAll(kept, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(binary+".new", content, 0o755); err != nil {
		return "", err
	}
	return binary, os.Rename(binary+".new", binary)
}

// prune removes the copies that are not run. It is called while no function runs.
func (s *Stack) prune(binaries map[string]string) error {
	for id, binary := range binaries {
		entries, err := os.ReadDir(s.state.path("functions", id))
		if err != nil {
			return fmt.Errorf("removing old builds: %w", err)
		}
		for _, e := range entries {
			if path := s.state.path("functions", id, e.Name()); e.IsDir() && path != filepath.Dir(binary) {
				if err := os.RemoveAll(path); err != nil {
					return fmt.Errorf("removing old builds: %w", err)
				}
			}
		}
	}
	return nil
}
