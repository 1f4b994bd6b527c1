// Command ops is for operators (make ops ARGS="list"). It lists and stops runs, shows a user's run queue, ends sessions
// and verifies a user's stored data. It reads the table directly, of the local stack or with AWS credentials.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"carrel/infra/cli/deployed"
	"carrel/infra/local/endpoints"
	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/visible"
)

const usage = `usage: ops [flags] command

  list               the runs that are accepted and have not ended, and the erasures that are not finished
  kill RUN           cancel one run, and say what became of it (-user USER if several users have a run of that id)
  kill-all USER      cancel all runs of a user
  queue USER         a user's slots and queued runs
  sign-out USER      end all sessions of a user: only a later sign-in connects again
  bar USER           end all sessions of a user and refuse every later sign-in too
  unbar USER         let a barred user sign in again
  verify USER        what does not fit of what is kept of a user; exit status 1 if anything (-scan reads the whole table
                     for what nothing names)

A USER is the subject (sub) of their access tokens; on the local stack the name. With -key it is the key that the table
has them under.

`

// errFound is returned by verify after it has printed a finding.
var errFound = errors.New("verify found inconsistent data")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], world{getenv: os.Getenv, out: os.Stdout, err: os.Stderr, run: deployed.Program})
	if err == nil {
		return
	}
	if !errors.Is(err, errFound) {
		fmt.Fprintln(os.Stderr, "ops:", visible.Text(err.Error()))
	}
	stop()
	os.Exit(1)
}

// world holds the command's environment variables and outputs.
type world struct {
	getenv   func(string) string
	out, err io.Writer
	run      deployed.Run
}

// options are the flags.
type options struct {
	endpoints, table, issuer, stack string
	user                            string
	key, json, scan                 bool
	wait                            time.Duration
}

// operator is one execution of a command.
type operator struct {
	options
	place
	out io.Writer
	now func() time.Time
}

func run(ctx context.Context, args []string, w world) error {
	var o options
	flags := flag.NewFlagSet("ops", flag.ContinueOnError)
	flags.SetOutput(w.err)
	flags.Usage = func() { fmt.Fprint(w.err, usage); flags.PrintDefaults() }
	flags.StringVar(&o.endpoints, "endpoints", endpoints.Default,
		"the file in which the running local stack lists its endpoints")
	flags.StringVar(&o.stack, "stack", "", "a deployed stack's name: its outputs name the table (needs the AWS CLI)")
	flags.StringVar(&o.table, "table", "", "the table of a deployed stack")
	flags.StringVar(&o.issuer, "issuer", "", "the issuer of the tokens (only needed for user ids of over 128 bytes)")
	flags.StringVar(&o.user, "user", "", "for kill: the user of the run")
	flags.BoolVar(&o.key, "key", false, "users are named by their key in the table")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.BoolVar(&o.scan, "scan", false, "for verify: also read the whole table, for items that no other item names")
	flags.DurationVar(&o.wait, "wait", 10*time.Second,
		"for kill and kill-all: how long to wait for the end of running runs")
	words, err := parse(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	command, err := choose(words)
	if err != nil {
		flags.Usage()
		return err
	}
	p, err := open(ctx, o, w)
	if err != nil {
		return err
	}
	err = command(ctx, &operator{options: o, place: p, out: w.out, now: time.Now})
	if o.stack == "" && o.table == "" {
		err = endpoints.Explain(err)
	}
	return err
}

// parse accepts flags before, between and after the words.
func parse(flags *flag.FlagSet, args []string) (words []string, err error) {
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		args = flags.Args()
		if len(args) > 0 {
			words, args = append(words, args[0]), args[1:]
		}
	}
	return words, nil
}

// choose finds the command for the words.
func choose(words []string) (func(context.Context, *operator) error, error) {
	if len(words) == 0 {
		return nil, errors.New("name a command: list, kill, kill-all, queue, sign-out, bar, unbar or verify")
	}
	name, rest := words[0], words[1:]
	if name == "list" && len(rest) == 0 {
		return list, nil
	}
	command, known := commands()[name]
	switch {
	case !known && name != "list":
		return nil, fmt.Errorf("unknown command %q: use list, kill, kill-all, queue, sign-out, bar, unbar or verify",
			name)
	case !known || len(rest) != 1:
		return nil, fmt.Errorf("%s takes %s", name, map[bool]string{true: "one word", false: "no word"}[known])
	}
	return func(ctx context.Context, o *operator) error { return command(ctx, o, rest[0]) }, nil
}

// commands are the commands that take one word. docs/operating.md lists them.
func commands() map[string]func(context.Context, *operator, string) error {
	return map[string]func(context.Context, *operator, string) error{
		"kill": kill, "kill-all": killAll, "queue": showQueue, "verify": verify,
		"sign-out": signOut, "bar": bar, "unbar": unbar,
	}
}

// named opens the store of the user that the operator names.
func (o *operator) named(ctx context.Context, word string) (chat.User, *store.Store, error) {
	n := store.Named{Issuer: o.place.issuer, Subject: word}
	if o.key {
		n = store.Named{Key: word}
	}
	u, err := o.place.table.ForOperator(ctx, n)
	if errors.Is(err, chat.ErrNotFound) {
		return u, nil, fmt.Errorf("nothing is known of a user %q", word)
	}
	if err != nil {
		return u, nil, err
	}
	s, err := o.place.table.For(u)
	return u, s, err
}

// print writes a value as JSON, or the lines. A user chooses their own id, so it is escaped: it cannot hide text, break
// a line or send commands to the terminal.
func (o *operator) print(v any, lines []string) error {
	if o.json {
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return fmt.Errorf("write the answer as JSON: %w", err)
		}
		_, err = fmt.Fprintf(o.out, "%s\n", visible.JSON(text))
		return err
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(o.out, visible.Line(line)); err != nil {
			return err
		}
	}
	return nil
}
