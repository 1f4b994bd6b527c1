// Command connect answers $connect: it maps the new connection to its user and to a thread of its own, so that no
// connection ever lacks one. The connection becomes a target for posts only with its first hello.
package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"carrel/shared/awsenv"
	"carrel/shared/chat"
	"carrel/shared/gateway"
	"carrel/shared/monitor"
	"carrel/shared/store"
)

func main() {
	h, err := build(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "connect:", err)
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
		table:   store.New(store.NewClient(c), store.Config{Name: table, Limits: chat.DefaultLimits(), Now: now}),
		sender:  gateway.NewPoster(c, endpoint),
		monitor: monitor.New(os.Stdout, cmp.Or(getenv("AWS_LAMBDA_FUNCTION_NAME"), "connect"), log),
		now:     now,
		log:     log,
	}, nil
}
