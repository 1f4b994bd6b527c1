// Command message answers one frame of a client: hello, run, cancel, threads, history, rename, delete, runs,
// erase, signOut, ping. One file per frame type; what an agent does is turn's.
package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"carrel/shared/agent"
	"carrel/shared/awsenv"
	"carrel/shared/gateway"
	"carrel/shared/monitor"
	"carrel/shared/store"
)

func main() {
	h, err := build(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "message:", err)
		os.Exit(1)
	}
	lambda.Start(h.Handle)
}

func build(getenv awsenv.Getenv) (*handler, error) {
	table, err := awsenv.Require(getenv, "TABLE")
	if err != nil {
		return nil, err
	}
	endpoint, err := awsenv.RequireURL(getenv, "ENDPOINT")
	if err != nil {
		return nil, err
	}
	turn, err := awsenv.Require(getenv, "TURN_FUNCTION")
	if err != nil {
		return nil, err
	}
	tenancy, err := gateway.ParseTenancy(getenv("TENANT_ISOLATION"))
	if err != nil {
		return nil, err
	}
	erase, err := parseEraseAuth(getenv("ERASE_AUTH"))
	if err != nil {
		return nil, err
	}
	limits, err := awsenv.Limits(getenv)
	if err != nil {
		return nil, err
	}
	c, err := awsenv.Config(getenv)
	if err != nil {
		return nil, err
	}
	now, err := awsenv.Clock(getenv)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	return &handler{
		table:   store.New(store.NewClient(c), store.Config{Name: table, Limits: limits, Now: now}),
		poster:  gateway.NewPoster(c, endpoint),
		invoker: gateway.NewInvoker(c, turn, tenancy),
		agent:   agent.Known,
		limits:  limits,
		jitter:  func() time.Duration { return 5*time.Minute + rand.N(10*time.Minute) },
		monitor: monitor.New(os.Stdout, cmp.Or(getenv("AWS_LAMBDA_FUNCTION_NAME"), "message"), log),
		log:     log,
		now:     now,

		eraseAuth: erase,
		frames:    newFrameLimits(limits),
	}, nil
}
