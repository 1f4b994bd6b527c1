// Command authorize is the API's authorizer: it verifies the access token of each new WebSocket and tells every later
// event of it whose it is. It has no AWS client, because a person waits for it.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

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
	issuer, issuerErr := awsenv.RequireURL(getenv, "ISSUER")
	audience, audienceErr := awsenv.Require(getenv, "AUDIENCE")
	kind, kindErr := awsenv.Require(getenv, "TOKEN_KIND")
	grants, grantsErr := awsenv.Require(getenv, "GRANTS_CLAIM")
	page, pageErr := awsenv.Require(getenv, "PAGE_CLIENT")
	pages, pagesErr := awsenv.Require(getenv, "ORIGINS")
	if err := errors.Join(issuerErr, audienceErr, kindErr, grantsErr, pageErr, pagesErr); err != nil {
		return nil, err
	}
	v, err := token.New(token.Config{
		Issuer: issuer, Audiences: strings.Fields(audience), Kind: token.Kind(kind), PageClient: page,
		GrantsClaim: grants, GrantsPrefix: getenv("GRANTS_PREFIX"), // which may be empty
	})
	if err != nil {
		return nil, fmt.Errorf("ISSUER, AUDIENCE, PAGE_CLIENT, TOKEN_KIND or GRANTS_CLAIM: %w", err)
	}
	origins, err := gateway.ParseOrigins(pages)
	if err != nil {
		return nil, fmt.Errorf("ORIGINS: %w", err)
	}
	return &gateway.Authorizer{Verify: v.Verify, Origins: origins, Log: slog.New(slog.NewJSONHandler(os.Stdout, nil))}, nil
}
