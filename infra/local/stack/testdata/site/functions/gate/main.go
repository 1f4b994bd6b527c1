// Command gate is an authorizer: it accepts clients that have a token of the issuer.
package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/coreos/go-oidc/v3/oidc"
)

func main() { lambda.Start(handle) }

func handle(ctx context.Context,
	e events.APIGatewayCustomAuthorizerRequestTypeRequest) (events.APIGatewayCustomAuthorizerResponse, error) {
	var out events.APIGatewayCustomAuthorizerResponse
	provider, err := oidc.NewProvider(ctx, os.Getenv("ISSUER"))
	if err != nil {
		return out, err
	}
	verifier := provider.Verifier(&oidc.Config{SkipClientIDCheck: true, SupportedSigningAlgs: []string{"ES256"}})
	token, err := verifier.Verify(ctx, strings.TrimPrefix(e.Headers["Authorization"], "Bearer "))
	if err != nil {
		return out, errors.New("Unauthorized")
	}
	out.PrincipalID = token.Subject
	out.PolicyDocument = events.APIGatewayCustomAuthorizerPolicy{Version: "2012-10-17",
		Statement: []events.IAMPolicyStatement{
			{Effect: "Allow", Action: []string{"execute-api:Invoke"}, Resource: []string{e.MethodArn}}}}
	return out, nil
}
