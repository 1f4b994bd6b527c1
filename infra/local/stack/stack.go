// Package stack runs a template on one machine: tables, functions, the WebSocket API, schedules, sign-in and the page.
// It says what it started in endpoints.json, and Close leaves nothing of it behind but the state.
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

// What the functions are told of where they are. Nothing of it is real.
const (
	region  = "us-east-1"
	account = "000000000000"
	apiID   = "local00000"
	client  = "carrel-page"
)

// Config says what to run and where.
type Config struct {
	// folder of template.yaml, the Makefile and web/dist; empty: the working directory
	Root  string
	State string // folder of all that is made at run time; empty: .carrel below Root
	// folder of built functions, which stacks may share; empty: .carrel/functions below Root
	Builds string
	// folder of what sam build has made, run as it is; empty: the functions are built
	Built       string
	Binaries    map[string]string // of the functions by logical id, as Build returns them; nil: they are built
	Fresh       bool              // begin without the data of earlier runs
	Port        int               // of the page, sign-in and /ops; 0, or a taken one: a free one
	GatewayPort int               // of the WebSocket API; 0, or a taken one: a free one
	DynamoDB    string            // endpoint of another DynamoDB; empty: the built-in engine
	Parameters  map[string]string // of the template, beyond those that resolve offers
	Watch       bool              // rebuild and replace functions when a Go file changes
	Minute      time.Duration     // how long a minute of a schedule lasts; 0: a minute
	RetryDelays []time.Duration   // of asynchronous invokes; empty: Lambda's
	Idle, Life  time.Duration     // of sockets; 0: 10 min and 2 h
	// a socket's messages that are closer together come in any order; 0: as they came
	Reorder  time.Duration
	Timeouts map[string]time.Duration // of functions by logical id, instead of the template's
	Seed     uint64                   // of what is random on request; 0: a random one, which Notices gets
	Faults   proxy.Faults             // of DynamoDB, from the first request of a function on
	Chances  Faults                   // of all parts, once the stack is up; zero: none

	// LoseDisconnects keeps every $disconnect from its function.
	LoseDisconnects bool

	Notices io.Writer // gets what a person should know, in lines; nil: nobody does
}

// Endpoints says where everything is.
type Endpoints = endpoints.Endpoints

// Stack is a running stack.
type Stack struct {
	config    Config
	state     *state
	journal   *journal
	template  *template.Template
	engine    *dynamodb.Engine // nil if another DynamoDB is used
	database  *sdk.Client      // of the engine itself, for what is nobody's request
	guard     *access.Guard
	proxy     *proxy.Proxy
	gateway   *apigateway.Gateway
	host      *lambda.Host
	keys      map[string]credential // by logical id of the function
	meter     *meter
	endpoints Endpoints

	ending context.Context // ends the tasks
	end    context.CancelFunc
	tasks  sync.WaitGroup
	undo   []func() error
	once   sync.Once
	err    error // of Close
}

// Start starts everything and returns when all of it answers. ctx bounds the start only. An error says what could not
// start and what to do; nothing is left running then.
func Start(ctx context.Context, c Config) (*Stack, error) {
	s, err := unstarted(c)
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

// unstarted is a stack of which nothing runs.
func unstarted(c Config) (*Stack, error) {
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
	// make and the functions run in other folders than this process.
	builds, err := filepath.Abs(c.Builds)
	if err != nil {
		return nil, fmt.Errorf("the folder of builds: %w", err)
	}
	c.Builds = builds
	return &Stack{config: c, keys: map[string]credential{}}, nil
}

// start starts the parts in the order in which they need each other; each leaves what undoes it.
func (s *Stack) start(ctx context.Context) error {
	var err error
	if s.state, err = openState(s.config.State, s.config.Fresh); err != nil {
		return err
	}
	s.later(s.state.close)
	if s.journal, err = openJournal(s.state.path("log")); err != nil {
		return err
	}
	s.later(s.journal.close)
	page, err := s.listen(ctx, s.config.Port)
	if err != nil {
		return err
	}
	s.later(page.Close)
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

// later adds what Close does, last first.
func (s *Stack) later(undo func() error) { s.undo = append(s.undo, undo) }

// resolve reads the template with the parameters that only the stack knows.
func (s *Stack) resolve() error {
	file := filepath.Join(s.config.Root, "template.yaml")
	source, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the template: %w", err)
	}
	s.template, err = template.Resolve(source, template.Options{
		File: file, Parameters: s.config.Parameters, Region: region, Account: account, APIID: apiID,
		Offered: map[string]string{"Issuer": s.endpoints.Issuer, "Audience": client, "TokenKind": "token_use",
			"Origins": strings.Join(s.origins(), " "), "Architecture": architecture()},
	})
	return err
}

// architecture is this machine's, in Lambda's word.
func architecture() string {
	if runtime.GOARCH == "amd64" {
		return "x86_64"
	}
	return runtime.GOARCH
}

// listen takes a port of the loopback interface, or a free one if that is taken.
func (s *Stack) listen(ctx context.Context, port int) (*loopback.Listener, error) {
	l, err := loopback.Listen(ctx, address(port))
	if err == nil || port == 0 {
		return l, err
	}
	l, freeErr := loopback.Listen(ctx, address(0))
	if freeErr != nil {
		return nil, errors.Join(err, freeErr)
	}
	s.notice("port %d cannot be had (%v): %s is taken instead", port, err, l.Addr())
	return l, nil
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// notice tells the person who runs the stack.
func (s *Stack) notice(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if s.journal != nil { // Build has none
		s.journal.add("stack", line)
	}
	fmt.Fprintln(s.config.Notices, line)
}

// DynamoDB is what stands in front of the engine: it tells who asked for what, and injects faults.
func (s *Stack) DynamoDB() *proxy.Proxy { return s.proxy }

// Endpoints says where everything is.
func (s *Stack) Endpoints() Endpoints { return s.endpoints }

// EndpointsFile is the path of endpoints.json.
func (s *Stack) EndpointsFile() string { return s.state.path(endpointsFile) }

// Log is the path of the file that gets every line of the functions and of the stack.
func (s *Stack) Log() string { return s.state.path("log") }

// Wait returns nil when ctx ends, or an error when the stack can no longer work.
func (s *Stack) Wait(ctx context.Context) error {
	var died <-chan struct{}
	if s.engine != nil {
		died = s.engine.Done()
	}
	select {
	case <-ctx.Done():
		return nil
	case <-died:
		return fmt.Errorf("the DynamoDB engine ended by itself: what it said is in %s", s.Log())
	}
}

// Close stops everything that Start started, waits for it, and removes endpoints.json. It may be called more than once.
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
