package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Packages that run in a special way.
const (
	mutantsPackage = "./infra/mutants"
	userContext    = "./shared/usercontext" // measures time, so it runs alone
	toolPackage    = "./shared/tool"        // row A7 claims freedom from races, so it runs with the race detector
)

// removalTest removes guards and runs one test without each.
const removalTest = "TestGuardsAreMissed"

// process is one run of go test: some tests of one package.
type process struct {
	pkg    string
	parent string   // the test whose subtests these are, or ""
	tests  []string // without their parent
}

// processes groups the checks of rows. A check that several rows share runs once.
func processes(rows []row, z size) (all []process) {
	for _, r := range rows {
		for _, c := range r.of(z) {
			parent, test := path.Split(c.test)
			parent = strings.TrimSuffix(parent, "/")
			i := slices.IndexFunc(all, func(p process) bool { return p.pkg == c.pkg && p.parent == parent })
			if i < 0 {
				i = len(all)
				all = append(all, process{pkg: c.pkg, parent: parent})
			}
			if !slices.Contains(all[i].tests, test) {
				all[i].tests = append(all[i].tests, test)
			}
		}
	}
	return all
}

// pattern returns the argument of go test -run.
func (p process) pattern() string {
	var levels []string
	for part := range strings.SplitSeq(p.parent, "/") {
		if part != "" {
			levels = append(levels, "^"+regexp.QuoteMeta(part)+"$")
		}
	}
	names := make([]string, len(p.tests))
	for i, test := range p.tests {
		names[i] = regexp.QuoteMeta(test)
	}
	return strings.Join(append(levels, "^("+strings.Join(names, "|")+")$"), "/")
}

// startsStack reports whether the tests start whole local stacks, and so mostly wait. Removals mostly compile.
func (p process) startsStack() bool {
	stack := regexp.MustCompile(`^\./infra/(audit|soak|cli|mutants)(/|$)`).MatchString(p.pkg)
	return stack && p.tests[0] != removalTest
}

// runTests runs the selected rows: first the tests that measure time, alone. Then the tests that start stacks run one
// process after the other, and beside them the other tests, with the removals last.
func (a *audit) runTests(ctx context.Context) *results {
	selected := slices.DeleteFunc(slices.Clone(a.rows), func(r row) bool { return !a.only.MatchString(r.id) })
	all := processes(selected, a.size)
	if a.size != quick && a.removals {
		all = append(all, process{pkg: mutantsPackage, tests: []string{removalTest}})
	}
	res := noResults()
	var timed, light, heavy []process
	for _, p := range all {
		switch {
		case p.pkg == userContext:
			timed = append(timed, p)
		case p.startsStack():
			heavy = append(heavy, p)
		default:
			light = append(light, p)
		}
	}
	for _, sideBySide := range [][][]process{{timed}, {heavy, light}} {
		var running sync.WaitGroup
		for _, inOrder := range sideBySide {
			running.Go(func() {
				for _, p := range inOrder {
					a.runProcess(ctx, p, res)
				}
			})
		}
		running.Wait()
	}
	return res
}

// runProcess runs go test and adds its results. If ctx ends, it kills go test together with the tests.
func (a *audit) runProcess(ctx context.Context, p process, res *results) {
	args := []string{"test", "-json", "-vet=off", "-count=1", "-timeout=15m", "-parallel=3", "-run", p.pattern()}
	if p.pkg == toolPackage || a.race && p.pkg != userContext {
		args = append(args, "-race")
	}
	c := exec.CommandContext(ctx, "go", append(args, p.pkg)...)
	c.Dir = a.root
	c.Env = append(os.Environ(), a.size.env()...)
	if p.tests[0] == removalTest {
		c.Env = append(c.Env, "MUTANTS_ROWS="+a.only.String())
	}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = 10 * time.Second
	began := time.Now()
	out, err := c.CombinedOutput()
	res.add(p, out, err)
	outcome := "ok  "
	if err != nil {
		outcome = "FAIL"
	}
	fmt.Fprintf(a.log, "%s %s: %s, %.1f s\n", outcome, p.pkg, plural(len(p.tests), "test"), time.Since(began).Seconds())
}
