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

// invoke invokes a function, with some caller's credentials, on a host that authorizes with the same IAM.
func (a iamFixture) invoke(on *target, c aws.CredentialsProvider) error {
	a.Helper()
	h := on.host(a.T, lambda.Config{Functions: []lambda.Function{on.function("turn", nil)}, Allow: a.guard.Invoke})
	client := sdk.New(sdk.Options{Region: "eu-central-1", BaseEndpoint: aws.String(h.URL()), Credentials: c,
		RetryMaxAttempts: 1})
	_, err := client.Invoke(a.Context(), &sdk.InvokeInput{FunctionName: aws.String("turn"), InvocationType: "DryRun"})
	return err
}

func wrongSignature(t *testing.T, on *target) {
	a := newIAMFixture(t)
	wrong := credentials.NewStaticCredentialsProvider("WRITER", "wrong", "")
	a.wantError(a.get(wrong, "x"), "InvalidSignatureException")
	a.wantError(a.invoke(on, wrong), "InvalidSignatureException")
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: aws.String(a.guard.STS.URL()), Credentials: wrong,
		RetryMaxAttempts: 1})
	_, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::1:role/user"),
		RoleSessionName: aws.String("session")})
	a.wantError(err, "SignatureDoesNotMatch")
}

func invokeDenied(t *testing.T, on *target) {
	a := newIAMFixture(t)
	a.wantError(a.invoke(on, a.keyOf("WRITER")), "AccessDeniedException",
		"is not authorized to perform: lambda:InvokeFunction on resource: arn:aws:lambda:eu-central-1:"+account+
			":function:turn")
	bob, err := a.assume("WRITER", 15*time.Minute, "bob")
	a.wantError(err, "")
	a.wantError(a.invoke(on, bob), "AccessDeniedException")
	a.wantError(a.invoke(on, a.keyOf("INVOKER")), "")
}
