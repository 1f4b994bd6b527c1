// Program scorecard is the isolation audit. It runs the tests that declare the rows A1 to E7, then runs the cheapest of
// them again with each guard of a row removed, and writes the results as a scorecard: to the terminal, and as Markdown,
// HTML and JSON to .carrel/audit. The exit status is 1 if any row failed or was not run. docs/audit.md explains how to
// read it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a, err := configure(os.Args[1:], os.Stderr)
	if err == nil {
		a.rows, err = rows(a.root)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "audit:", err)
		os.Exit(2)
	}
	os.Exit(a.run(ctx))
}

// audit is one run of the audit.
type audit struct {
	rows     []row
	size     size
	only     *regexp.Regexp // selects the rows to run; the others count as not run
	root     string         // of the module
	dir      string         // receives the scorecard
	race     bool
	removals bool // remove guards, except in a quick audit
	out, log io.Writer
}

// configure reads the arguments.
func configure(args []string, log io.Writer) (*audit, error) {
	a := &audit{root: ".", dir: filepath.Join(".carrel", "audit"), removals: true, out: os.Stdout, log: log}
	f := flag.NewFlagSet("scorecard", flag.ContinueOnError)
	f.SetOutput(log)
	f.BoolVar(&a.race, "race", os.Getenv("AUDIT_RACE") != "", "build the tests with the race detector")
	f.StringVar((*string)(&a.size), "size", string(normal), "quick, normal or full")
	only := f.String("rows", "", "regular expression of the rows to run")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if a.size != quick && a.size != normal && a.size != full || f.NArg() > 0 {
		return nil, fmt.Errorf("size %q, arguments %q: want quick, normal or full, and no arguments",
			a.size, f.Args())
	}
	var err error
	if a.only, err = regexp.Compile("^(" + *only + ")"); err != nil {
		return nil, fmt.Errorf("flag -rows: %w", err)
	}
	return a, nil
}

// run runs the audit and returns the exit status.
func (a *audit) run(ctx context.Context) int {
	began := time.Now()
	res := a.runTests(ctx)
	if ctx.Err() != nil {
		fmt.Fprintln(a.log, "audit:", ctx.Err())
		return 1
	}
	return a.report(ctx, res, began)
}

// report judges the results, writes the scorecard, and returns the exit status.
func (a *audit) report(ctx context.Context, res *results, began time.Time) int {
	r := a.judge(res)
	r.describe(ctx, a, began)
	if err := r.write(a.dir, a.out); err != nil {
		fmt.Fprintln(a.log, "audit: write the scorecard:", err)
		return 1
	}
	fmt.Fprintf(a.out, "\nThe page: %s\n", filepath.Join(a.dir, "audit.html"))
	return min(r.Failed, 1)
}
