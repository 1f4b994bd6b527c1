// Command local runs template.yaml on this machine: no Docker, no account, no network. Run it in the repository's root;
// make run does.
//
//	PORT          of the page and sign-in (3000; 0: free ports)
//	GATEWAY_PORT  of the WebSocket API (3001, or a free one if PORT is 0)
//	STATE         folder of all that is made at run time (.carrel)
//	FRESH=1       begins without the data of earlier runs
//	BUILT=1       runs what sam build has made in .aws-sam/build, as it is
//	WATCH=0       does not rebuild functions when Go files change
//	IDLE, LIFE    how long a socket lives without traffic, and at all (10m, 2h)
//	REORDER       hands messages of one socket that are closer than this to the functions in any order (0s)
//	LOSE_DISCONNECT=1  invokes no function when a socket ends
//	FAULTS        what goes wrong at random, such as "gone=0.01 lose=0.02"; a wrong word gets the list
//	PARAMETERS    of the template: RunsPerUser=2 RunBurst=1000; those not given have their defaults
//	SEED          of what is random on request, to see it again
//	AWS_ENDPOINT_URL_DYNAMODB  another DynamoDB than the built-in engine
//
// With `-- command args...` it runs the command beside the stack and ends with it; CARREL_ENDPOINTS names the file that
// says where everything is.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"carrel/infra/local/stack"
	"carrel/infra/parameters"
)

func main() {
	// The signals stay caught until the end, so a second Ctrl-C cannot cut the clean-up short.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "carrel:", err)
	var failed *commandError
	if errors.As(err, &failed) {
		os.Exit(failed.code)
	}
	os.Exit(1)
}

// commandError says that the command beside the stack failed; its exit status is ours.
type commandError struct {
	name string
	code int
}

func (e *commandError) Error() string { return fmt.Sprintf("%s ended with status %d", e.name, e.code) }

// run starts the stack, waits, and stops it.
func run(ctx context.Context, args []string) error {
	config, err := read(os.Getenv)
	if err != nil {
		return err
	}
	if len(args) > 0 && (args[0] != "--" || len(args) == 1) {
		return errors.New("no arguments but `-- command args...`; all else is said by environment variables: PORT, " +
			"GATEWAY_PORT, STATE, FRESH, BUILT, WATCH, IDLE, LIFE, REORDER, LOSE_DISCONNECT, FAULTS, PARAMETERS, SEED")
	}
	s, err := stack.Start(ctx, config)
	if err != nil {
		if ctx.Err() != nil {
			return nil // stopped while it started
		}
		return err
	}
	if len(args) > 0 {
		err = beside(ctx, s, args[1:])
	} else {
		fmt.Printf("%s   (Ctrl-C stops it; functions log to %s)\n", s.Endpoints().Page, s.Log())
		err = s.Wait(ctx)
	}
	return errors.Join(err, s.Close())
}

// beside runs a command while the stack runs.
func beside(ctx context.Context, s *stack.Stack, args []string) error {
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), "CARREL_ENDPOINTS="+s.EndpointsFile())
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	err := command.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return &commandError{args[0], exit.ExitCode()}
	}
	return fmt.Errorf("running %s: %w", args[0], err)
}

// read reads the environment.
func read(getenv func(string) string) (stack.Config, error) {
	c := stack.Config{Root: ".", State: getenv("STATE"), Watch: getenv("WATCH") != "0", Notices: os.Stderr,
		DynamoDB: getenv("AWS_ENDPOINT_URL_DYNAMODB")}
	var portErr, gatewayErr, freshErr, parametersErr error
	c.Parameters, parametersErr = parameters.Parse(getenv("PARAMETERS"))
	c.Port, portErr = port(getenv, "PORT", 3000)
	fallback := 3001
	if c.Port == 0 {
		fallback = 0
	}
	c.GatewayPort, gatewayErr = port(getenv, "GATEWAY_PORT", fallback)
	c.Fresh, freshErr = yes(getenv, "FRESH")
	built, builtErr := yes(getenv, "BUILT")
	if built {
		c.Built = filepath.Join(".aws-sam", "build")
	}
	var faultsErr error
	c.Chances, faultsErr = stack.ParseFaults(getenv("FAULTS"))
	return c, errors.Join(portErr, gatewayErr, freshErr, builtErr, parametersErr, faultsErr, readChances(getenv, &c))
}

// readChances reads what makes AWS's rarer moments common.
func readChances(getenv func(string) string, c *stack.Config) error {
	var errs [5]error
	c.Idle, errs[0] = duration(getenv, "IDLE")
	c.Life, errs[1] = duration(getenv, "LIFE")
	c.Reorder, errs[2] = duration(getenv, "REORDER")
	c.LoseDisconnects, errs[3] = yes(getenv, "LOSE_DISCONNECT")
	if seed := getenv("SEED"); seed != "" {
		if c.Seed, errs[4] = strconv.ParseUint(seed, 10, 64); errs[4] != nil {
			errs[4] = fmt.Errorf("SEED must be a whole number, not %q", seed)
		}
	}
	return errors.Join(errs[:]...)
}

func yes(getenv func(string) string, name string) (bool, error) {
	text := getenv(name)
	if text == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%s must be 1 or 0, not %q", name, text)
	}
	return on, nil
}

func duration(getenv func(string) string, name string) (time.Duration, error) {
	text := getenv(name)
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s must be a time such as 30s or 10m, not %q", name, text)
	}
	return d, nil
}

func port(getenv func(string) string, name string, fallback int) (int, error) {
	text := getenv(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 65535 {
		return 0, fmt.Errorf("%s must be a port from 0 to 65535, not %q", name, text)
	}
	return n, nil
}
