// Package boot builds the handler of a Lambda function from its environment variables. Each main in functions/ calls
// Handler, so that all functions are wired in the same way and each reports all of its configuration errors at once.
package boot

import (
	"errors"
	"fmt"
	"os"

	"carrel/shared/awsenv"
)

// Handler returns the handler that build makes from the environment of the process. If the configuration is wrong, it
// prints every error to standard error and ends the process with status 1. The name of the function begins the message,
// and names the source of metrics where Lambda has set no function name.
func Handler[H any](function string, build func(*Env) H) H {
	h, err := Build(function, os.Getenv, build)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: the configuration is wrong:\n%v\n", function, err)
		os.Exit(1)
	}
	return h
}

// Build is Handler for tests: it reads the variables from getenv and returns the errors, joined. The handler is valid
// only if the error is nil. build must read all of its variables before it returns, and must not stop at an error.
func Build[H any](function string, getenv awsenv.Getenv, build func(*Env) H) (H, error) {
	env := &Env{function: function, getenv: getenv, wrong: map[string]bool{}}
	h := build(env)
	return h, errors.Join(env.errs...)
}
