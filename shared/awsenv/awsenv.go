// Package awsenv makes the AWS configuration of a function from the SDK's standard environment variables: region,
// credentials and endpoints. The SDK's own config package does the same at twice the cold start and binary size.
package awsenv

import (
	"github.com/aws/aws-sdk-go-v2/aws"
)

// Config reads AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_ENDPOINT_URL and
// AWS_ENDPOINT_URL_<SERVICE> through getenv. A missing variable is an error that names it.
func Config(getenv func(string) string) (aws.Config, error) { panic("not built") }

// Endpoint is the address of a service (DYNAMODB, LAMBDA, STS, APIGATEWAYMANAGEMENTAPI) if the environment gives one,
// else "": the SDK's own.
func Endpoint(getenv func(string) string, service string) string { panic("not built") }
