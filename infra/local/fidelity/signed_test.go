package fidelity_test

import (
	"testing"
	"time"

	"carrel/infra/local/lambda"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// invoke has somebody invoke a function of a host that asks the same IAM.
func (a permitting) invoke(on *target, c aws.CredentialsProvider) error {
	a.Helper()
	h := on.host(a.T, lambda.Config{Functions: []lambda.Function{on.function("turn", nil)}, Allow: a.guard.Invoke})
	client := sdk.New(sdk.Options{Region: "eu-central-1", BaseEndpoint: aws.String(h.URL()), Credentials: c,
		RetryMaxAttempts: 1})
	_, err := client.Invoke(a.Context(), &sdk.InvokeInput{FunctionName: aws.String("turn"), InvocationType: "DryRun"})
	return err
}

func wrongSignature(t *testing.T, on *target) {
	a := newPermitting(t)
	wrong := credentials.NewStaticCredentialsProvider("WRITER", "wrong", "")
	a.refused(a.get(wrong, "x"), "InvalidSignatureException")
	a.refused(a.invoke(on, wrong), "InvalidSignatureException")
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: aws.String(a.guard.STS.URL()), Credentials: wrong,
		RetryMaxAttempts: 1})
	_, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::1:role/user"),
		RoleSessionName: aws.String("session")})
	a.refused(err, "SignatureDoesNotMatch")
}

func invokeDenied(t *testing.T, on *target) {
	a := newPermitting(t)
	a.refused(a.invoke(on, a.static("WRITER")), "AccessDeniedException",
		"is not authorized to perform: lambda:InvokeFunction on resource: arn:aws:lambda:eu-central-1:"+account+":function:turn")
	bob, err := a.assume("WRITER", 15*time.Minute, "bob")
	a.refused(err, "")
	a.refused(a.invoke(on, bob), "AccessDeniedException")
	a.refused(a.invoke(on, a.static("INVOKER")), "")
}
