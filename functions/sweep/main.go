// Command sweep looks after runs that are due: each minute, and at once as turn's failure destination. It asks
// for another attempt, or ends them where none is left. It also starts what waits and has been left, because whoever
// should have started it may have died, and says what it had to repair.
package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"carrel/shared/awsenv"
	"carrel/shared/gateway"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/usercreds"
)

func main() {
	h, err := build(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sweep:", err)
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
	role, err := awsenv.RequireRole(getenv, "USER_ROLE")
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
	of := store.Config{Name: table, Limits: limits, Now: now}
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	return &handler{
		live:    store.New(store.NewClient(c), of),
		tables:  usercreds.New(c, role, of),
		poster:  gateway.NewPoster(c, endpoint),
		invoker: gateway.NewInvoker(c, turn, tenancy),
		limits:  limits,
		monitor: monitor.New(os.Stdout, cmp.Or(getenv("AWS_LAMBDA_FUNCTION_NAME"), "sweep"), log),
		log:     log,
		now:     now,
	}, nil
}
