package stack

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Build builds the functions as Start does and returns the binary of each by its logical id. Tests that start many
// stacks of one source pass the result as Config.Binaries, which saves running make six times per stack. Later builds
// keep a binary for at least a day.
func Build(ctx context.Context, c Config) (map[string]string, error) {
	s, err := newStack(c)
	if err != nil {
		return nil, err
	}
	s.endpoints.Issuer = "http://127.0.0.1" // a placeholder: resolving the template needs one, the build does not
	if err := s.resolve(); err != nil {
		return nil, err
	}
	return s.binaries(ctx)
}

// binaries returns the binaries of the functions by logical id: those of Config.Binaries, those that sam build made, or
// newly built ones.
func (s *Stack) binaries(ctx context.Context) (map[string]string, error) {
	if s.config.Binaries != nil {
		return s.config.Binaries, nil
	}
	if s.config.Built == "" {
		return s.buildAll(ctx)
	}
	folder, err := filepath.Abs(s.config.Built)
	if err != nil {
		return nil, fmt.Errorf("resolve the output folder of sam build: %w", err)
	}
	binaries := map[string]string{}
	for _, f := range s.template.Functions {
		binary := filepath.Join(folder, f.LogicalID, "bootstrap")
		if err := runsHere(binary); err != nil {
			return nil, fmt.Errorf("check what sam build made of %s: %w", f.LogicalID, err)
		}
		binaries[f.LogicalID] = binary
	}
	return binaries, nil
}

// runsHere returns an error for a binary of another architecture. Without this check the first invocation would fail
// with only "exec format error".
func runsHere(binary string) error {
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("%w: run sam build first (make run BUILT=1 does)", err)
	}
	f, err := elf.Open(binary)
	if err != nil {
		return fmt.Errorf("%s is not a Lambda binary: %w", binary, err)
	}
	want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	if f.Machine != want {
		err = fmt.Errorf("%s is built for %v, but this machine is %v: run sam build with GOARCH=%s in its environment "+
			"and the parameter Architecture=%s (make run BUILT=1 does both)", binary, f.Machine, want, runtime.GOARCH,
			architecture())
	}
	return errors.Join(err, f.Close())
}
