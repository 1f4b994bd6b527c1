// Command disconnect answers $disconnect: it forgets the connection. API Gateway does not always send the event; records
// of connections also expire, and a post to one that is gone removes it.
package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"carrel/shared/awsenv"
	"carrel/shared/chat"
	"carrel/shared/monitor"
	"carrel/shared/store"
)

func main() {
	h, err := build(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "disconnect:", err)
		os.Exit(1)
	}
	lambda.Start(h.Handle)
}

func build(getenv awsenv.Getenv) (*handler, error) {
	table, err := awsenv.Require(getenv, "TABLE")
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
		monitor: monitor.New(os.Stdout, cmp.Or(getenv("AWS_LAMBDA_FUNCTION_NAME"), "disconnect"), log),
		log:     log,
	}, nil
}
