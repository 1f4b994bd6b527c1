// Command deploy deploys the stack and then the page. make deploy runs it in the repository's root. SAM builds and
// packages the functions. The AWS CLI makes a change set, executes it and waits for it.
//
//	SAM           the SAM CLI
//	PARAMETERS    the template's parameters: "Issuer=https://… Audience=…"; one that is not given keeps its value
//	CARREL_STACK  the stack's name (carrel)
//	GOARCH        arm64 or amd64: the architecture that the functions are built for
//	YES=1         answers every question with yes
//
// Start with run, which lists the steps. docs/deploying.md explains the messages.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, world{getenv: os.Getenv, environ: os.Environ(), in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintln(os.Stderr, "deploy:", strings.TrimRight(line, "\n"))
		}
		os.Exit(1)
	}
}

// world is what surrounds the command.
type world struct {
	getenv   func(string) string
	environ  []string
	in       io.Reader
	out, err io.Writer
}

// deployment is one run of the command.
type deployment struct {
	settings
	programs
	account
	answers  <-chan string // the lines that the user types; closed when the input ends
	out, err io.Writer
}

// run deploys. All that can be refused is refused before anything is built or created.
func run(ctx context.Context, w world) error {
	s, err := readSettings(w.getenv)
	if err != nil {
		return err
	}
	d := &deployment{
		settings: s, programs: programs{env: w.environ}, answers: answers(w.in), out: w.out, err: w.err,
	}
	for _, step := range []func(context.Context) error{
		d.findPrograms, d.chooseRegion, d.identify, d.readAccount, d.checkStack, d.checkParameters, d.removeFailedStack,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	template, err := d.build(ctx)
	if err != nil {
		return err
	}
	if err := d.change(ctx, template); err != nil {
		return err
	}
	if err := d.protect(ctx); err != nil {
		return err
	}
	return d.publish(ctx)
}

// answers reads the lines of the input. Its goroutine ends with the input or with the process: a read of a terminal
// cannot be interrupted.
func answers(in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return lines
}

// say prints a line for the user.
func (d *deployment) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// warn prints a warning and does not stop the deploy.
func (d *deployment) warn(format string, args ...any) {
	fmt.Fprintf(d.err, "deploy: warning: "+format+"\n", args...)
}

// ask asks a question. Only y and yes mean yes.
func (d *deployment) ask(ctx context.Context, question string) bool {
	fmt.Fprint(d.out, question+" [y/N] ")
	if d.yes {
		d.say("yes (YES=1)")
		return true
	}
	select {
	case line, ok := <-d.answers:
		if !ok { // the input has ended without an answer
			d.say("")
		}
		answer := strings.ToLower(strings.TrimSpace(line))
		return answer == "y" || answer == "yes"
	case <-ctx.Done():
		d.say("")
		return false
	}
}
