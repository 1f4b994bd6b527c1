// Command local runs the deployed template.yaml on this machine, without Docker, an AWS account or a network. It must
// run in the repository's root; make run starts it there. Environment variables configure it:
//
//	PORT          port of the page and of sign-in (default 3000; 0: a free port)
//	GATEWAY_PORT  port of the WebSocket API (default 3001, or a free port if PORT is 0)
//	STATE         folder for everything that is written at run time (.carrel)
//	FRESH=1       deletes the data of earlier runs before starting
//	BUILT=1       runs the output of sam build in .aws-sam/build unchanged
//	WATCH=0       does not rebuild functions when Go files change
//	IDLE, LIFE    idle timeout and maximum lifetime of a socket (10m, 2h)
//	REORDER       delivers messages of one socket that arrive within this time in any order (0s)
//	LOSE_DISCONNECT=1  does not invoke $disconnect when a socket closes
//	FAULTS        probabilities of random faults, such as "gone=0.01 lose=0.02"; an unknown name prints the list
//	PARAMETERS    template parameters, such as RunsPerUser=2 RunBurst=1000; the others keep their defaults
//	MODEL, CHEAP_MODEL, FALLBACK_MODELS  the template parameters Model, CheapModel and FallbackModels
//	WEB_FETCH     the template parameter WebFetch; with WEB_FETCH_LOOPBACK=1 runs may read pages of this machine too
//	OPENAI_BASE_URL, OPENAI_API, ANTHROPIC_BASE_URL, *_API_KEY  passed on to the function turn; docs/models.md
//	SEED          seed of all random faults, which makes them repeatable
//	AWS_ENDPOINT_URL_DYNAMODB  a DynamoDB API to use instead of the built-in engine
//
// With `-- command args...` it starts the stack, runs the command, and stops the stack when the command exits. The
// command finds the stack's addresses in the file named by CARREL_ENDPOINTS.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"carrel/infra/local/stack"
	"carrel/infra/parameters"
)

// gcPercent is how much the heap may grow between two garbage collections. The stack holds little memory and allocates
// much, for each request of a function; a higher value than Go's default of 100 costs some 50 MB.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	// Signals stay caught until the process exits, so a second Ctrl-C cannot interrupt the clean-up.
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

// commandError reports that the command beside the stack failed. This program exits with the command's status.
type commandError struct {
	name string
	code int
}

func (e *commandError) Error() string { return fmt.Sprintf("%s exited with status %d", e.name, e.code) }

// run starts the stack, waits for ctx or for the command in args to end, and stops the stack.
func run(ctx context.Context, args []string) error {
	config, err := read(os.Getenv)
	if err != nil {
		return err
	}
	if len(args) > 0 && (args[0] != "--" || len(args) == 1) {
		return errors.New("the only arguments are `-- command args...`; environment variables set everything else: " +
			"PORT, GATEWAY_PORT, STATE, FRESH, BUILT, WATCH, IDLE, LIFE, REORDER, LOSE_DISCONNECT, FAULTS, " +
			"PARAMETERS, MODEL, CHEAP_MODEL, FALLBACK_MODELS, WEB_FETCH, OPENAI_BASE_URL, OPENAI_API, *_API_KEY, SEED")
	}
	s, err := stack.Start(ctx, config)
	if err != nil {
		if ctx.Err() != nil {
			return nil // interrupted during startup
		}
		return err
	}
	if len(args) > 0 {
		err = runCommand(ctx, s, args[1:])
	} else {
		fmt.Printf("%s   (press Ctrl-C to stop; the functions log to %s)\n", s.Endpoints().Page, s.Log())
		err = s.Wait(ctx)
	}
	return errors.Join(err, s.Close())
}

// runCommand runs a command while the stack is up and returns a *commandError if it exits with another status than 0.
func runCommand(ctx context.Context, s *stack.Stack, args []string) error {
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
	return fmt.Errorf("run the command %s: %w", args[0], err)
}

// read builds the stack's configuration from environment variables. It reports all invalid variables at once.
func read(getenv func(string) string) (stack.Config, error) {
	c := stack.Config{Root: ".", State: getenv("STATE"), Watch: getenv("WATCH") != "0", Notices: os.Stderr,
		DynamoDB: getenv("AWS_ENDPOINT_URL_DYNAMODB")}
	var portErr, gatewayErr, freshErr, parametersErr error
	c.Parameters, parametersErr = parameters.Parse(getenv("PARAMETERS"))
	readModels(getenv, &c)
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

// readModels reads the variables that choose the models, and which pages may be read. PARAMETERS takes precedence.
func readModels(getenv func(string) string, c *stack.Config) {
	for name, variable := range map[string]string{"Model": "MODEL", "CheapModel": "CHEAP_MODEL",
		"FallbackModels": "FALLBACK_MODELS", "WebFetch": "WEB_FETCH"} {
		if _, given := c.Parameters[name]; !given && getenv(variable) != "" && c.Parameters != nil {
			c.Parameters[name] = getenv(variable)
		}
	}
	c.TurnEnv = map[string]string{}
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if value := getenv(name); value != "" && (name == "OPENAI_BASE_URL" || name == "ANTHROPIC_BASE_URL" ||
			name == "OPENAI_API" || name == "WEB_FETCH_LOOPBACK" || strings.HasSuffix(name, "_API_KEY")) {
			c.TurnEnv[name] = value
		}
	}
}

// readChances reads the variables that make rare AWS behaviour frequent.
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
