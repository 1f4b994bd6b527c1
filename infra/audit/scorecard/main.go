// Program scorecard is the audit: it runs named tests of this repository as the checks of the rows A1 to E7, takes the guards
// away that these rows stand on, and writes what came of it as a scorecard: on the terminal, and as Markdown, HTML and JSON
// below .carrel/audit. Its exit status is 1 when any row fails or was not run. docs/audit.md tells how to read it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a, err := configure(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "audit:", err)
		os.Exit(2)
	}
	if a.rows, err = rows(a.root); err != nil {
		fmt.Fprintln(os.Stderr, "audit:", err)
		os.Exit(2)
	}
	a.out = os.Stdout
	a.terminal = terminalOf(os.Stdout)
	os.Exit(a.run(ctx))
}

// audit is one run of the whole.
type audit struct {
	rows     []row
	size     size
	only     *regexp.Regexp // the rows that are run; the others are judged as not run
	root     string         // of the module
	dir      string         // for the pages, and what is built
	race     bool
	mutants  string // the package that takes guards away, "": none is
	out, log io.Writer
	terminal terminal
}

// configure reads the arguments.
func configure(args []string, log io.Writer) (*audit, error) {
	a := &audit{root: ".", dir: ".carrel/audit", mutants: mutantsPackage, log: log}
	f := flag.NewFlagSet("scorecard", flag.ContinueOnError)
	f.SetOutput(log)
	f.BoolVar(&a.race, "race", os.Getenv("AUDIT_RACE") != "", "build the tests with the race detector")
	which, only := f.String("size", string(normal), "quick, normal or full"), f.String("rows", "", "a regular expression of the rows to run")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	a.size = size(*which)
	if a.size != quick && a.size != normal && a.size != full || f.NArg() > 0 {
		return nil, fmt.Errorf("the size is quick, normal or full, and nothing else is an argument: not %q %q", *which, f.Args())
	}
	var err error
	if a.only, err = regexp.Compile("^(" + *only + ")"); err != nil {
		return nil, fmt.Errorf("-rows: %w", err)
	}
	return a, nil
}

// run does the audit and returns the exit status.
func (a *audit) run(ctx context.Context) int {
	began := time.Now()
	found, err := a.observe(ctx)
	if err != nil {
		fmt.Fprintln(a.log, "audit:", err)
		return 1
	}
	return a.conclude(ctx, found, began)
}

// conclude makes the scorecard of what was seen, shows it, and returns the exit status.
func (a *audit) conclude(ctx context.Context, found *observations, began time.Time) int {
	r := judge(a.rows, a.size, found)
	r.Environment = surroundings(ctx, a, began)
	if err := r.write(a.dir); err != nil {
		fmt.Fprintln(a.log, "audit:", err)
		return 1
	}
	r.print(a.out, a.terminal)
	fmt.Fprintf(a.out, "\nThe page: %s/audit.html\n", a.dir)
	if r.Failed > 0 {
		return 1
	}
	return 0
}
