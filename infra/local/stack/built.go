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

// Build builds the functions as Start does and returns the binary of each by its logical id. With them as their
// Binaries many stacks of one source start without asking for each function whether it is built: six makes each. A
// binary stays for a day at least, whatever is built meanwhile.
func Build(ctx context.Context, c Config) (map[string]string, error) {
	s, err := unstarted(c)
	if err != nil {
		return nil, err
	}
	s.endpoints.Issuer = "http://127.0.0.1" // nobody asks it
	if err := s.resolve(); err != nil {
		return nil, err
	}
	return s.binaries(ctx)
}

// binaries are what the functions run, by logical id: built now or by Build, or what sam build has made.
func (s *Stack) binaries(ctx context.Context) (map[string]string, error) {
	if s.config.Binaries != nil {
		return s.config.Binaries, nil
	}
	if s.config.Built == "" {
		return s.buildAll(ctx)
	}
	folder, err := filepath.Abs(s.config.Built)
	if err != nil {
		return nil, fmt.Errorf("the folder of what sam build has made: %w", err)
	}
	binaries := map[string]string{}
	for _, f := range s.template.Functions {
		binary := filepath.Join(folder, f.LogicalID, "bootstrap")
		if err := runsHere(binary); err != nil {
			return nil, fmt.Errorf("%s as sam build made it: %w", f.LogicalID, err)
		}
		binaries[f.LogicalID] = binary
	}
	return binaries, nil
}

// runsHere refuses a binary of another architecture, which would only say "exec format error" at the first invocation.
func runsHere(binary string) error {
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("%w: run sam build first (make run BUILT=1 does)", err)
	}
	f, err := elf.Open(binary)
	if err != nil {
		return fmt.Errorf("%s is no program of Lambda's: %w", binary, err)
	}
	want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	if f.Machine != want {
		err = fmt.Errorf("%s is built for %v, this machine is %v: run sam build with GOARCH=%s in its environment "+
			"and the "+
			"parameter Architecture=%s (make run BUILT=1 does)", binary, f.Machine, want, runtime.GOARCH,
			architecture())
	}
	return errors.Join(err, f.Close())
}
