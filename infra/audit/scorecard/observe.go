package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// sideBySide is how many packages are built or run at a time, and testsSideBySide how many tests of one: of those some wait.
const (
	sideBySide      = 2
	testsSideBySide = 3
)

// batchTime is what one process of tests may take.
const batchTime = 15 * time.Minute

// observe builds and runs the checks and takes the guards away. What cannot be built or breaks off is seen as such; an
// error is of the audit itself.
func (a *audit) observe(ctx context.Context) (*observations, error) {
	var err error
	if a.root, err = filepath.Abs(a.root); err != nil {
		return nil, err
	}
	if a.dir, err = filepath.Abs(a.dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(a.dir, "bin"), 0o755); err != nil {
		return nil, err
	}
	var wanted []row
	for _, r := range a.rows {
		if a.only.MatchString(r.id) {
			wanted = append(wanted, r)
		}
	}
	o := &collector{audit: a, found: nothingSeen(), built: map[string]string{}}
	all := batches(wanted, a.size)
	if a.size != quick && a.mutants != "" {
		all = append(all, batch{pkg: a.mutants, tests: []string{removalTest}, env: "MUTANTS_ROWS=" + a.only.String()})
	}
	o.build(ctx, all)
	o.runAll(ctx, all)
	return o.found, ctx.Err()
}

// collector runs batches and keeps what is seen.
type collector struct {
	*audit
	mu    sync.Mutex
	found *observations
	built map[string]string // the binary of a package's tests
}

// each does something for all of them, a few at a time.
func each[T any](all []T, atATime int, do func(T)) {
	var wg sync.WaitGroup
	places := make(chan struct{}, atATime)
	for _, one := range all {
		places <- struct{}{}
		wg.Go(func() {
			do(one)
			<-places
		})
	}
	wg.Wait()
}

func (o *collector) build(ctx context.Context, all []batch) {
	var packages []string
	seen := map[string]bool{}
	for _, b := range all {
		if !seen[b.pkg] {
			seen[b.pkg] = true
			packages = append(packages, b.pkg)
		}
	}
	began := time.Now()
	each(packages, sideBySide, func(pkg string) {
		binary := filepath.Join(o.dir, "bin", strings.ReplaceAll(strings.TrimPrefix(pkg, "./"), "/", "-"))
		names, err := o.compile(ctx, pkg, binary)
		o.mu.Lock()
		defer o.mu.Unlock()
		if err != nil {
			o.found.broken[pkg] = err.Error()
			return
		}
		o.built[pkg] = binary
		o.found.names[pkg] = names
	})
	fmt.Fprintf(o.log, "built the tests of %d packages in %.0f s\n", len(packages), time.Since(began).Seconds())
}

// detects reports whether a package's tests are built with the race detector: where a row says that there is no race they
// always are, where time is measured never.
func (a *audit) detects(pkg string) bool { return pkg == toolPackage || a.race && pkg != userContext }

// compile builds the tests of a package and says which there are.
func (o *collector) compile(ctx context.Context, pkg, binary string) ([]string, error) {
	if err := os.RemoveAll(binary); err != nil { // go test builds nothing where there are no tests
		return nil, err
	}
	arguments := []string{"test", "-c", "-o", binary}
	if o.detects(pkg) {
		arguments = append(arguments, "-race")
	}
	c := exec.CommandContext(ctx, "go", append(arguments, pkg)...)
	c.Dir = o.root
	if out, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("its tests cannot be built: %w: %s", err, tail(string(out)))
	}
	if _, err := os.Stat(binary); err != nil {
		return nil, errors.New("the package has no tests")
	}
	list := exec.CommandContext(ctx, binary, "-test.list", ".")
	list.Dir = filepath.Join(o.root, pkg)
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("its tests cannot be listed: %w", err)
	}
	return strings.Fields(string(out)), nil
}

// runAll first runs what measures time, alone. Then those that start the whole stack run one after the other, for they wait
// for leases much of the time, and beside them the others, of which the removals come last.
func (o *collector) runAll(ctx context.Context, all []batch) {
	var timed, light, heavy []batch
	for _, b := range all {
		switch {
		case o.built[b.pkg] == "":
		case b.pkg == userContext:
			timed = append(timed, b)
		case b.heavy():
			heavy = append(heavy, b)
		default:
			light = append(light, b)
		}
	}
	inTurn := func(batches []batch) {
		for _, b := range batches {
			o.runOne(ctx, b)
		}
	}
	inTurn(timed)
	each([][]batch{heavy, light}, sideBySide, inTurn)
}

// runOne runs a batch and takes in what its tests say.
func (o *collector) runOne(ctx context.Context, b batch) {
	began := time.Now()
	out, failed := o.execute(ctx, b)
	events, err := convert(ctx, out)
	o.mu.Lock()
	defer o.mu.Unlock()
	loose := ""
	if err == nil {
		loose, err = o.found.read(b.pkg, bytes.NewReader(events))
	}
	if failed = errors.Join(failed, err); failed != nil {
		o.found.broken[b.pkg] = fmt.Sprintf("its tests ended with %v: %s", failed, reason(string(out), loose))
		o.found.fell(b)
	}
	note(o.log, b, failed, time.Since(began))
}

// execute runs the binary itself, so that what is killed when the audit is stopped are the tests and no wrapper of them.
func (o *collector) execute(ctx context.Context, b batch) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, batchTime+time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, o.built[b.pkg], "-test.v=test2json", "-test.run", b.pattern(),
		"-test.timeout", batchTime.String(), "-test.parallel", fmt.Sprint(testsSideBySide))
	c.Dir = filepath.Join(o.root, b.pkg)
	c.Env = append(os.Environ(), o.size.env()...)
	if b.env != "" {
		c.Env = append(c.Env, b.env)
	}
	c.WaitDelay = 10 * time.Second
	return c.CombinedOutput()
}

// convert makes events of what a test binary prints.
func convert(ctx context.Context, out []byte) ([]byte, error) {
	c := exec.CommandContext(context.WithoutCancel(ctx), "go", "tool", "test2json", "-t")
	c.Stdin = bytes.NewReader(out)
	events, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("go tool test2json: %w", err)
	}
	return events, nil
}

func note(log io.Writer, b batch, failed error, took time.Duration) {
	mark := "ran"
	if failed != nil {
		mark = "RED"
	}
	fmt.Fprintf(log, "%s %s: %s, %.1f s\n", mark, b.pkg, plural(len(b.tests), "test"), took.Seconds())
}
