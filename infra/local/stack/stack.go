// Package stack runs a SAM template on one machine: tables, functions, the WebSocket API, schedules, sign-in and the
// page. The addresses of a running stack are in endpoints.json. Close stops everything and leaves only the state
// folder.
package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/dynamodb"
	"carrel/infra/local/dynamodb/access"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/endpoints"
	"carrel/infra/local/lambda"
	"carrel/infra/local/loopback"
	"carrel/infra/local/template"

	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Placeholder identifiers of the AWS environment that the functions see.
const (
	region  = "us-east-1"
	account = "000000000000"
	apiID   = "local00000"
	client  = "carrel-page"
)

// Config describes a stack. The zero value runs the template of the working directory on free ports.
type Config struct {
	// Root is the folder that holds template.yaml, the Makefile and web/dist. Default: the working directory.
	Root string
	// State is the folder for everything that is written at run time. Default: .carrel below Root.
	State string
	// Builds is the folder for built functions. Several stacks may share it. Default: .carrel/functions below Root.
	Builds string
	// Built is an output folder of sam build, which is run unchanged. Default: the stack builds the functions.
	Built string
	// Binaries maps logical ids of functions to their binaries, as Build returns them. Default: they are built.
	Binaries map[string]string
	// Fresh deletes the data of earlier runs before starting.
	Fresh bool
	// Port is the port of the page, sign-in and /ops. If it is 0 or taken, a free port is used.
	Port int
	// GatewayPort is the port of the WebSocket API. If it is 0 or taken, a free port is used.
	GatewayPort int
	// DynamoDB is the endpoint of a DynamoDB API to use instead of the built-in engine.
	DynamoDB string
	// Parameters are template parameters. They take precedence over the stack's own values.
	Parameters map[string]string
	// TurnEnv has further environment variables of the function turn: addresses and keys of model providers. On AWS,
	// keys are in Secrets Manager.
	TurnEnv map[string]string
	// Watch rebuilds and replaces functions when a Go file changes.
	Watch bool
	// Minute is the duration of one minute of a schedule. Tests shorten it. Default: one minute.
	Minute time.Duration
	// RetryDelays are the delays before retries of asynchronous invocations. Default: Lambda's.
	RetryDelays []time.Duration
	// Idle is the idle timeout of a socket and Life its maximum lifetime. Defaults: 10 min and 2 h.
	Idle, Life time.Duration
	// Reorder, if not 0, delivers messages of one socket that arrive within this time in any order.
	Reorder time.Duration
	// Timeouts overrides the template's timeouts of functions, by logical id.
	Timeouts map[string]time.Duration
	// Seed is the seed of all random faults. If it is 0, a random seed is used and written to Notices.
	Seed uint64
	// Faults are injected into DynamoDB from the first request of a function on.
	Faults proxy.Faults
	// Chances are injected into all parts once the stack is up. Default: no faults.
	Chances Faults

	// LoseDisconnects does not invoke $disconnect when a socket closes.
	LoseDisconnects bool

	// Notices receives messages for the person who runs the stack, one per line. Default: they are discarded.
	Notices io.Writer
}

// Endpoints are the addresses of all parts of a stack.
type Endpoints = endpoints.Endpoints

// Stack is a running stack.
type Stack struct {
	config    Config
	state     *state
	journal   *journal
	template  *template.Template
	engine    *dynamodb.Engine // nil if Config.DynamoDB is set
	database  *sdk.Client      // for the stack's own requests: it bypasses the proxy
	guard     *access.Guard
	proxy     *proxy.Proxy
	gateway   *apigateway.Gateway
	host      *lambda.Host
	keys      map[string]credential // by logical id of the function
	meter     *meter
	endpoints Endpoints

	ending context.Context // cancelled by Close; ends the tasks
	end    context.CancelFunc
	tasks  sync.WaitGroup
	undo   []func() error // run by Close, last first
	once   sync.Once
	err    error // returned by Close
}

// Start starts all parts and returns when all of them answer. ctx bounds the startup only. On an error nothing is left
// running, and the error says which part failed and what to do.
func Start(ctx context.Context, c Config) (*Stack, error) {
	s, err := newStack(c)
	if err != nil {
		return nil, err
	}
	s.meter = newMeter(s)
	s.ending, s.end = context.WithCancel(context.WithoutCancel(ctx))
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// newStack applies the defaults of c and returns a stack of which nothing runs yet.
func newStack(c Config) (*Stack, error) {
	c.Root = cmp.Or(c.Root, ".")
	c.State = cmp.Or(c.State, filepath.Join(c.Root, ".carrel"))
	c.Builds = cmp.Or(c.Builds, filepath.Join(c.Root, ".carrel", "functions"))
	c.Minute = cmp.Or(c.Minute, time.Minute)
	for c.Seed == 0 {
		c.Seed = rand.Uint64()
	}
	c.Faults.Seed = cmp.Or(c.Faults.Seed, c.Seed)
	if c.Notices == nil {
		c.Notices = io.Discard
	}
	// make and the functions run in other folders than this process, so the path must be absolute.
	builds, err := filepath.Abs(c.Builds)
	if err != nil {
		return nil, fmt.Errorf("resolve the builds folder: %w", err)
	}
	c.Builds = builds
	return &Stack{config: c, keys: map[string]credential{}}, nil
}

// start starts the parts in the order of their dependencies. Each part registers its own clean-up with onClose.
func (s *Stack) start(ctx context.Context) error {
	var err error
	if s.state, err = openState(s.config.State, s.config.Fresh); err != nil {
		return err
	}
	s.onClose(s.state.close)
	if s.journal, err = openJournal(s.state.path("log")); err != nil {
		return err
	}
	s.onClose(s.journal.close)
	page, err := s.listen(ctx, s.config.Port)
	if err != nil {
		return err
	}
	s.onClose(page.Close)
	s.endpoints.Page = "http://" + page.Addr() + "/"
	s.endpoints.Issuer = s.endpoints.Page + "issuer"
	s.endpoints.Token = s.endpoints.Issuer + "/token"
	s.endpoints.Ops = s.endpoints.Page + "ops"
	if err := s.resolve(); err != nil {
		return err
	}
	if err := s.startTables(ctx); err != nil {
		return err
	}
	binaries, err := s.binaries(ctx)
	if err != nil {
		return err
	}
	if err := s.startFunctions(binaries); err != nil {
		return err
	}
	if err := s.servePage(page); err != nil {
		return err
	}
	s.startSchedules()
	if s.config.Chances != (Faults{}) {
		if err := s.SetFaults(s.config.Chances); err != nil {
			return err
		}
	}
	if s.config.Watch && s.config.Built == "" {
		if err := s.watch(binaries); err != nil {
			return err
		}
	}
	return s.publish(ctx)
}

// onClose registers a clean-up. Close runs the clean-ups in reverse order.
func (s *Stack) onClose(undo func() error) { s.undo = append(s.undo, undo) }

// resolve reads the template and sets the parameters that only the stack knows, such as the issuer's URL.
func (s *Stack) resolve() error {
	file := filepath.Join(s.config.Root, "template.yaml")
	source, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the template: %w", err)
	}
	s.template, err = template.Resolve(source, template.Options{
		File: file, Parameters: s.config.Parameters, Region: region, Account: account, APIID: apiID,
		Offered: map[string]string{"Issuer": s.endpoints.Issuer, "Audience": client, "TokenKind": "token_use",
			"Origins": strings.Join(s.origins(), " "), "Architecture": architecture()},
	})
	return err
}

// architecture returns this machine's architecture by Lambda's name for it.
func architecture() string {
	if runtime.GOARCH == "amd64" {
		return "x86_64"
	}
	return runtime.GOARCH
}

// listen opens a port of the loopback interface. If the port is taken, it opens a free one.
func (s *Stack) listen(ctx context.Context, port int) (*loopback.Listener, error) {
	l, err := loopback.Listen(ctx, address(port))
	if err == nil || port == 0 {
		return l, err
	}
	l, freeErr := loopback.Listen(ctx, address(0))
	if freeErr != nil {
		return nil, errors.Join(err, freeErr)
	}
	s.notice("port %d is not available (%v): using %s instead", port, err, l.Addr())
	return l, nil
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// notice writes a line to the journal and to the person who runs the stack.
func (s *Stack) notice(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if s.journal != nil { // Build opens no journal
		s.journal.add("stack", line)
	}
	fmt.Fprintln(s.config.Notices, line)
}

// DynamoDB returns the proxy in front of the engine. It knows each request's caller and injects faults.
func (s *Stack) DynamoDB() *proxy.Proxy { return s.proxy }

// Endpoints returns the addresses of all parts.
func (s *Stack) Endpoints() Endpoints { return s.endpoints }

// EndpointsFile returns the path of endpoints.json.
func (s *Stack) EndpointsFile() string { return s.state.path(endpointsFile) }

// Log returns the path of the log file, which receives every line of the functions and of the stack.
func (s *Stack) Log() string { return s.state.path("log") }

// Wait returns nil when ctx ends, or an error when the DynamoDB engine exits, because the stack cannot work without it.
func (s *Stack) Wait(ctx context.Context) error {
	var died <-chan struct{}
	if s.engine != nil {
		died = s.engine.Done()
	}
	select {
	case <-ctx.Done():
		return nil
	case <-died:
		return fmt.Errorf("the DynamoDB engine exited unexpectedly: its output is in %s", s.Log())
	}
}

// Close stops everything that Start started, waits for it to end, and removes endpoints.json. Further calls return the
// first call's error.
func (s *Stack) Close() error {
	s.once.Do(func() {
		s.end()
		var errs []error
		if s.state != nil {
			errs = append(errs, s.state.removeEndpoints())
		}
		s.tasks.Wait()
		for i := len(s.undo) - 1; i >= 0; i-- {
			errs = append(errs, s.undo[i]())
		}
		s.err = errors.Join(errs...)
	})
	return s.err
}
