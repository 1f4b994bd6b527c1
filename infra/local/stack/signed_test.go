package stack_test

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Programs of other users of this machine can reach the listeners and guess access key ids. DynamoDB, STS and Lambda
// reject every request that is not signed with the key's secret.
func TestListeners_Unsigned(t *testing.T) {
	c := unchanged(t)
	c.Minute = 50 * time.Millisecond
	r := start(t, c)
	r.awaitItem("aws.events") // signed requests work
	sum := sha256.Sum256([]byte(r.Function("Later")))
	function := "AKIA" + base32.StdEncoding.EncodeToString(sum[:10])
	e := r.Endpoints()
	for _, key := range []string{"operator", function, "AKIANOBODY"} {
		guess := credentials.NewStaticCredentialsProvider(key, "guess", "")
		code := map[bool]string{true: "UnrecognizedClientException",
			false: "InvalidSignatureException"}[key == "AKIANOBODY"]
		db := sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: &e.DynamoDB, Credentials: guess,
			RetryMaxAttempts: 1})
		if _, err := db.Scan(r.ctx, &sdk.ScanInput{TableName: &e.Table}); err == nil ||
			!strings.Contains(err.Error(), code) {
			t.Errorf("DynamoDB with key %s and a wrong secret: %v, want %s", key, err, code)
		}
		functions := lambda.New(lambda.Options{Region: "us-east-1", BaseEndpoint: &e.Lambda, Credentials: guess,
			RetryMaxAttempts: 1})
		if _, err := functions.Invoke(r.ctx,
			&lambda.InvokeInput{FunctionName: aws.String(r.Function("Talk"))}); err == nil ||
			!strings.Contains(err.Error(), code) {
			t.Errorf("Lambda with key %s and a wrong secret: %v, want %s", key, err, code)
		}
		roles := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &e.STS, Credentials: guess,
			RetryMaxAttempts: 1})
		code = map[bool]string{true: "InvalidClientTokenId", false: "SignatureDoesNotMatch"}[key == "AKIANOBODY"]
		_, err := roles.AssumeRole(r.ctx, &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::000000000000:role/x"),
			RoleSessionName: aws.String("session")})
		if err == nil || !strings.Contains(err.Error(), code) {
			t.Errorf("STS with key %s and a wrong secret: %v, want %s", key, err, code)
		}
	}
	for _, c := range []struct{ url, body, want string }{
		{e.DynamoDB, `{}`, "MissingAuthenticationTokenException"},
		{e.STS, "Action=AssumeRole", "MissingAuthenticationToken"},
		{e.Lambda + "/2015-03-31/functions/" + r.Function("Talk") + "/invocations", `{}`,
			"is missing Authentication Token"},
	} {
		if status, answer := r.post(c.url, c.body); status < 400 || !strings.Contains(answer, c.want) {
			t.Errorf("%s without a signature: %d %s", c.url, status, answer)
		}
	}
	// The operator's key may use the table, but no policy allows it to invoke functions.
	functions := lambda.New(lambda.Options{Region: "us-east-1", BaseEndpoint: &e.Lambda, Credentials: e.Operator(),
		RetryMaxAttempts: 1})
	_, err := functions.Invoke(r.ctx, &lambda.InvokeInput{FunctionName: aws.String(r.Function("Talk"))})
	if err == nil || !strings.Contains(err.Error(), "AccessDeniedException") ||
		!strings.Contains(err.Error(), "lambda:InvokeFunction") {
		t.Errorf("Lambda lets a caller without a policy invoke a function: %v", err)
	}
	if _, page := r.get(e.Ops + ".json"); strings.Contains(page, e.OperatorSecret) || !json.Valid([]byte(page)) {
		t.Error("/ops.json contains the operator's secret")
	}
}

// post sends an unsigned form.
func (r *running) post(url, body string) (int, string) {
	r.Helper()
	request, err := http.NewRequestWithContext(r.ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		r.Fatal(err)
	}
	return response.StatusCode, string(answer)
}
