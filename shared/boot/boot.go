// Package boot starts a Lambda function: it builds the handler from the environment variables and passes it to the
// Lambda runtime. Each main in functions/ calls Start, so that all functions are wired in the same way and each reports
// all of its configuration errors at once.
package boot

import (
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
)

// Start serves invocations with the handler that build returns, a function that lambda.Start accepts. If the
// configuration is wrong, it prints every error to standard error and ends the process with status 1. The name of the
// function begins the message, and names the source of metrics where Lambda has set no function name.
//
// build must read all of its variables before it returns, and must not stop at an error. The result is an any, and not
// a type parameter: the linker would keep every method of the AWS clients for it, which makes a function 3 MB larger.
func Start(function string, build func(*Env) any) {
	var handle any
	if err := Check(function, os.Getenv, func(env *Env) { handle = build(env) }); err != nil {
		fmt.Fprintf(os.Stderr, "%s: the configuration is wrong:\n%v\n", function, err)
		os.Exit(1)
	}
	lambda.Start(handle)
}

// Check returns all errors that build finds in the variables that getenv returns. Start uses it, and so do tests.
func Check(function string, getenv func(name string) string, build func(*Env)) error {
	env := &Env{function: function, getenv: getenv, wrong: map[string]bool{}}
	build(env)
	return errors.Join(env.errs...)
}
