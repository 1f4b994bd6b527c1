// Command bare is a Lambda function that does nothing. The benchmark of starts compares the functions with it: no
// function in Go that uses Lambda's library starts faster.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(context.Context) error { return nil })
}
