package stack

import (
	"bytes"
	"cmp"
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

// stale is the age from which on a kept binary that is not the newest is removed. Until then another stack may run it.
const stale = 24 * time.Hour

// buildAll builds every function of the template as it is deployed, but for this machine's architecture. It returns the
// binary of each by logical id. Stacks that share the folder of builds wait for each other.
func (s *Stack) buildAll(ctx context.Context) (map[string]string, error) {
	if err := os.MkdirAll(s.config.Builds, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of builds: %w", err)
	}
	lock, err := await(ctx, filepath.Join(s.config.Builds, "lock"))
	if err != nil {
		return nil, fmt.Errorf("waiting for another stack's build: %w", err)
	}
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
	err = lock.Close()
	failed := 0
	for i, r := range results {
		binaries[s.template.Functions[i].LogicalID] = r.binary
		if r.err != nil {
			failed++
			err = cmp.Or(err, r.err)
		}
	}
	if failed > 1 { // mostly for one and the same reason
		err = fmt.Errorf("%w\n(and %d more functions could not be built)", err, failed-1)
	}
	return binaries, err
}

// await opens and locks a file, as soon as nobody else holds it. Closing it, or the end of the process, unlocks it.
func await(ctx context.Context, file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		}
	}
}

// builders is how many functions are built at a time. The first time it is one: builds side by side would each compile
// the packages that all need, which is nearly everything then.
func (s *Stack) builders() int {
	for _, f := range s.template.Functions {
		if _, err := os.Stat(filepath.Join(s.config.Builds, f.LogicalID, "bootstrap")); err != nil {
			s.notice("building the functions (the first time takes longer)")
			return 1
		}
	}
	return runtime.NumCPU()
}

// build runs make build-<LogicalId> and returns the path of a copy of what it made. The path tells the content, so that
// a build which changed nothing gives the same one, and one that did never writes over a binary that runs.
func (s *Stack) build(ctx context.Context, id string) (string, error) {
	folder := filepath.Join(s.config.Builds, id)
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
		return "", fmt.Errorf("building %s (make build-%s): %w\n%s", id, id, errors.Join(err, ctx.Err()),
			bytes.TrimSpace(output))
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

// keep copies a built bootstrap to a folder named for its content, unless it is there, and removes those that are
// stale.
func keep(folder string) (string, error) {
	content, err := os.ReadFile(filepath.Join(folder, "bootstrap"))
	if err != nil {
		return "", fmt.Errorf("make wrote no bootstrap to ARTIFACTS_DIR: %w", err)
	}
	sum := sha256.Sum256(content)
	kept := filepath.Join(folder, hex.EncodeToString(sum[:8]))
	binary := filepath.Join(kept, "bootstrap")
	now := time.Now()
	_, err = os.Stat(binary)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(os.MkdirAll(kept, 0o755), os.WriteFile(binary+".new", content, 0o755),
			os.Rename(binary+".new", binary))
	}
	return binary, errors.Join(err, os.Chtimes(kept, now, now), prune(folder, now))
}

// prune removes the copies that were last built long ago.
func prune(folder string, now time.Time) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("removing old builds: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && e.IsDir() && now.Sub(info.ModTime()) > stale {
			err = os.RemoveAll(filepath.Join(folder, e.Name()))
		}
		if err != nil {
			return fmt.Errorf("removing old builds: %w", err)
		}
	}
	return nil
}
