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

// buildGrace is how long a cancelled build may still write its output.
const buildGrace = 5 * time.Second

// binaryLifetime is how long a stored binary remains after its last build, because another stack may still run it.
const binaryLifetime = 24 * time.Hour

// buildAll builds every function of the template as for deployment, but for this machine's architecture. It returns the
// binaries by logical id. Stacks that share the builds folder build one after another.
func (s *Stack) buildAll(ctx context.Context) (map[string]string, error) {
	if err := os.MkdirAll(s.config.Builds, 0o755); err != nil {
		return nil, fmt.Errorf("create the builds folder: %w", err)
	}
	lock, err := lockFile(ctx, filepath.Join(s.config.Builds, "lock"))
	if err != nil {
		return nil, fmt.Errorf("wait for another stack's build: %w", err)
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
	if failed > 1 { // usually all for the same reason
		err = fmt.Errorf("%w\n(%d more functions failed to build)", err, failed-1)
	}
	return binaries, err
}

// lockFile opens a file and waits until it holds the file's lock. Closing the file, or the end of the process, unlocks
// it.
func lockFile(ctx context.Context, file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		}
	}
}

// builders returns how many functions are built in parallel. The first time it is one: parallel builds would each
// compile the packages that all functions share, which is nearly everything on the first build.
func (s *Stack) builders() int {
	for _, f := range s.template.Functions {
		if _, err := os.Stat(filepath.Join(s.config.Builds, f.LogicalID, "bootstrap")); err != nil {
			s.notice("building the functions (the first build takes longer)")
			return 1
		}
	}
	return runtime.NumCPU()
}

// build runs make build-<LogicalId> and returns the path of a copy of its output. The path depends on the content:
// identical output gives the same path, and changed output never overwrites a binary that is running.
func (s *Stack) build(ctx context.Context, id string) (string, error) {
	folder := filepath.Join(s.config.Builds, id)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("create the build folder of %s: %w", id, err)
	}
	command := exec.CommandContext(ctx, "make", "--no-print-directory", "--silent", "build-"+id,
		"ARTIFACTS_DIR="+folder, "GOARCH="+runtime.GOARCH)
	command.Dir = s.config.Root
	command.Env = slices.DeleteFunc(os.Environ(), fromMake)
	// make has a process group of its own: cancelling kills everything that it started, and Ctrl-C reaches it only
	// through ctx.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = buildGrace
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s (make build-%s): %w\n%s", id, id, errors.Join(err, ctx.Err()),
			bytes.TrimSpace(output))
	}
	binary, err := storeBinary(folder)
	if err != nil {
		return "", fmt.Errorf("store the binary of %s: %w", id, err)
	}
	return binary, nil
}

// fromMake reports whether a variable was set by a surrounding make. The build's make must not inherit those: it is not
// a part of that make.
func fromMake(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return name == "MAKEFLAGS" || name == "MFLAGS" || name == "MAKELEVEL" || name == "MAKEOVERRIDES"
}

// storeBinary copies a built bootstrap to a folder named for its content, unless it is there already, and removes stale
// copies.
func storeBinary(folder string) (string, error) {
	content, err := os.ReadFile(filepath.Join(folder, "bootstrap"))
	if err != nil {
		return "", fmt.Errorf("make wrote no bootstrap to ARTIFACTS_DIR: %w", err)
	}
	sum := sha256.Sum256(content)
	stored := filepath.Join(folder, hex.EncodeToString(sum[:8]))
	binary := filepath.Join(stored, "bootstrap")
	now := time.Now()
	_, err = os.Stat(binary)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(os.MkdirAll(stored, 0o755), os.WriteFile(binary+".new", content, 0o755),
			os.Rename(binary+".new", binary))
	}
	return binary, errors.Join(err, os.Chtimes(stored, now, now), removeStale(folder, now))
}

// removeStale removes the copies whose last build was more than binaryLifetime ago.
func removeStale(folder string, now time.Time) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("list old builds: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && e.IsDir() && now.Sub(info.ModTime()) > binaryLifetime {
			err = os.RemoveAll(filepath.Join(folder, e.Name()))
		}
		if err != nil {
			return fmt.Errorf("remove old builds: %w", err)
		}
	}
	return nil
}
