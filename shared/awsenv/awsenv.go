// Package awsenv makes the AWS configuration of a function from the SDK's standard environment variables: region,
// credentials and endpoints. The SDK's own config package does the same and much more, at almost twice the cold start.
package awsenv

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Getenv is os.Getenv, or a test's.
type Getenv func(name string) string

// Config reads AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and lets every client made
// from it take its address from AWS_ENDPOINT_URL_<SERVICE> or AWS_ENDPOINT_URL, as the SDK documents. A missing variable
// is an error that names it. The clients share one HTTP client.
func Config(getenv Getenv) (aws.Config, error) {
	region, err := Require(getenv, "AWS_REGION")
	if err != nil {
		return aws.Config{}, err
	}
	id, err := Require(getenv, "AWS_ACCESS_KEY_ID")
	if err != nil {
		return aws.Config{}, err
	}
	secret, err := Require(getenv, "AWS_SECRET_ACCESS_KEY")
	if err != nil {
		return aws.Config{}, err
	}
	c := aws.Config{
		Region:        region,
		Credentials:   credentials.NewStaticCredentialsProvider(id, secret, getenv("AWS_SESSION_TOKEN")),
		HTTPClient:    newHTTPClient(),
		ConfigSources: []any{endpoints{getenv}},
	}
	if url := getenv("AWS_ENDPOINT_URL"); url != "" {
		c.BaseEndpoint = aws.String(url)
	}
	return c, nil
}

// Require reads a variable that a function cannot start without; its error names the variable.
func Require(getenv Getenv, name string) (string, error) {
	v := getenv(name)
	if v == "" {
		return "", fmt.Errorf("the environment variable %s is not set", name)
	}
	return v, nil
}

// RequireURL reads a variable that must be an address; its error names the variable.
func RequireURL(getenv Getenv, name string) (string, error) {
	v, err := Require(getenv, name)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", fmt.Errorf("the environment variable %s is %q: it must be an address that begins with https://", name, v)
	}
	return v, nil
}

// RequireRole reads a variable that must be the ARN of a role; its error names the variable.
func RequireRole(getenv Getenv, name string) (string, error) {
	v, err := Require(getenv, name)
	if err != nil {
		return "", err
	}
	if parts := strings.SplitN(v, ":", 6); len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || !strings.HasPrefix(parts[5], "role/") {
		return "", fmt.Errorf("the environment variable %s is %q: it must be the ARN of a role, arn:aws:iam::<account>:role/<name>", name, v)
	}
	return v, nil
}

// endpoints serves AWS_ENDPOINT_URL_<SERVICE> the way the service clients ask their ConfigSources for it.
type endpoints struct{ getenv Getenv }

// GetServiceBaseEndpoint is found by the SDK through a type assertion.
func (e endpoints) GetServiceBaseEndpoint(_ context.Context, sdkID string) (string, bool, error) {
	url := e.getenv("AWS_ENDPOINT_URL_" + strings.ToUpper(strings.ReplaceAll(sdkID, " ", "_")))
	return url, url != "", nil
}
