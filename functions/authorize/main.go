// Command authorize is the API's authorizer: it verifies the access token of each new WebSocket and tells every later
// event of it whose it is. It has no AWS client, because a person waits for it.
package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"carrel/shared/awsenv"
	"carrel/shared/gateway"
	"carrel/shared/token"
)

func main() {
	a, err := build(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "authorize:", err)
		os.Exit(1)
	}
	lambda.Start(a.Handle)
}

func build(getenv awsenv.Getenv) (*gateway.Authorizer, error) {
	issuer, err := awsenv.RequireURL(getenv, "ISSUER")
	if err != nil {
		return nil, err
	}
	audience, err := awsenv.Require(getenv, "AUDIENCE")
	if err != nil {
		return nil, err
	}
	grants, err := awsenv.Require(getenv, "GRANTS_CLAIM")
	if err != nil {
		return nil, err
	}
	v, err := token.New(token.Config{
		Issuer: issuer, Audience: audience, GrantsClaim: grants, GrantsPrefix: getenv("GRANTS_PREFIX"), // which may be empty
	})
	if err != nil {
		return nil, fmt.Errorf("ISSUER, AUDIENCE or GRANTS_CLAIM: %w", err)
	}
	return &gateway.Authorizer{Verify: v.Verify, Log: slog.New(slog.NewJSONHandler(os.Stdout, nil))}, nil
}
