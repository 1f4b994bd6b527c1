// Command turn does one invocation's part of a run: claim it, build a fresh user context, let the engine work, end the
// run, start what waits. Unless the template's parameter TenantIsolation is off, it runs in execution environments
// that only this user's runs ever use, and the invocation's tenant id says whose.
package main

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"carrel/shared/agent"
	"carrel/shared/awsenv"
	"carrel/shared/gateway"
	"carrel/shared/model/scripted"
	"carrel/shared/monitor"
	"carrel/shared/store"
	"carrel/shared/tool"
	"carrel/shared/tool/ask"
	"carrel/shared/tool/calculator"
	"carrel/shared/tool/clock"
	"carrel/shared/usercontext"
	"carrel/shared/usercreds"
)

func main() {
	h, err := build(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "turn:", err)
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
	self, err := awsenv.Require(getenv, "AWS_LAMBDA_FUNCTION_NAME")
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
	agents, err := agent.Samples(scripted.New(scripted.Config{}))
	if err != nil {
		return nil, err
	}
	tools, err := builtIn(now)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	return &handler{
		tables:  usercreds.New(c, role, store.Config{Name: table, Limits: limits, Now: now, Worker: gateway.RequestID}),
		agents:  agents,
		tools:   tools,
		poster:  gateway.NewPoster(c, endpoint),
		invoker: gateway.NewInvoker(c, self, tenancy),
		limits:  limits,
		monitor: monitor.New(os.Stdout, self, log),
		gauge:   &usercontext.Gauge{},
		log:     log,
		now:     now,
		after:   time.After,
		tenancy: tenancy,
	}, nil
}

// builtIn are the tools of this deployment that are the same for everybody.
func builtIn(now func() time.Time) (*tool.Registry, error) {
	calc, err := calculator.New()
	if err != nil {
		return nil, err
	}
	watch, err := clock.New(now)
	if err != nil {
		return nil, err
	}
	question, err := ask.New()
	if err != nil {
		return nil, err
	}
	return tool.NewRegistry(calc, watch, question)
}
