package lambda_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	api "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"carrel/infra/local/lambda"
)

// client returns the AWS SDK's client, as the functions use it.
func client(h *lambda.Host) *api.Client {
	return api.New(api.Options{
		BaseEndpoint: aws.String(h.URL()), Region: "eu-central-1", RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	})
}

func input(function, tenant, payload string) *api.InvokeInput {
	in := &api.InvokeInput{FunctionName: aws.String(function), Payload: []byte(payload)}
	if tenant != "" {
		in.TenantId = aws.String(tenant)
	}
	return in
}

func TestInvoke_SDK(t *testing.T) {
	h := startWith(t, plain("one"), perTenant("tenants"))
	c := client(h)
	for _, name := range []string{
		"one", "one:$LATEST", "123456789012:function:one",
		"arn:aws:lambda:eu-central-1:123456789012:function:one",
		"arn:aws:lambda:eu-central-1:123456789012:function:one:$LATEST",
	} {
		out, err := c.Invoke(t.Context(), input(name, "", `{}`))
		if err != nil || out.StatusCode != 200 || out.FunctionError != nil ||
			aws.ToString(out.ExecutedVersion) != "$LATEST" {
			t.Fatalf("%s: %+v, %v", name, out, err)
		}
		if parse(t, out.Payload).PID == 0 {
			t.Errorf("%s: %s is not the function's response", name, out.Payload)
		}
	}
	out, err := c.Invoke(t.Context(), input("one", "", `{"Do":"fail"}`))
	if err != nil || out.StatusCode != 200 || aws.ToString(out.FunctionError) != "Unhandled" {
		t.Errorf("a failing function: %+v, %v", out, err)
	}
	dry := input("tenants", "ann", `{"Do":"exit"}`)
	dry.InvocationType = types.InvocationTypeDryRun
	if out, err = c.Invoke(t.Context(), dry); err != nil || out.StatusCode != 204 {
		t.Errorf("a dry run: %+v, %v", out, err)
	}
	event := input("tenants", "ann", `{}`)
	event.InvocationType = types.InvocationTypeEvent
	if out, err = c.Invoke(t.Context(), event); err != nil || out.StatusCode != 202 || len(out.Payload) != 0 {
		t.Errorf("an event: %+v, %v", out, err)
	}
}

func TestInvoke_SDKErrors(t *testing.T) {
	t.Attr("row", "B2: an invocation without a tenant is rejected")
	h := startWith(t, plain("one"), perTenant("tenants"))
	c := client(h)
	event := func(payload string) *api.InvokeInput {
		in := input("one", "", payload)
		in.InvocationType = types.InvocationTypeEvent
		return in
	}
	qualified := input("one", "", `{}`)
	qualified.Qualifier = aws.String("7")
	odd := input("one", "", `{}`)
	odd.InvocationType = "Later"
	quoted := func(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }
	for name, c2 := range map[string]struct {
		in     *api.InvokeInput
		code   string
		status int
	}{
		"unknown function": {input("none", "", `{}`), "ResourceNotFoundException", 404},
		"another account": {input("arn:aws:lambda:eu-central-1:999999999999:function:one", "", `{}`),
			"ResourceNotFoundException", 404},
		"unknown version":             {qualified, "ResourceNotFoundException", 404},
		"no tenant":                   {input("tenants", "", `{}`), "InvalidParameterValueException", 400},
		"tenant without isolation":    {input("one", "ann", `{}`), "InvalidParameterValueException", 400},
		"tenant with a bad character": {input("tenants", "ann#1", `{}`), "InvalidParameterValueException", 400},
		"tenant too long": {input("tenants", strings.Repeat("a", 257), `{}`),
			"InvalidParameterValueException", 400},
		"unknown type":    {odd, "InvalidParameterValueException", 400},
		"not JSON":        {input("one", "", `{`), "InvalidRequestContentException", 400},
		"call over 6 MB":  {input("one", "", quoted(6<<20+1)), "RequestTooLargeException", 413},
		"event over 1 MB": {event(quoted(1<<20 + 1)), "RequestTooLargeException", 413},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Invoke(t.Context(), c2.in)
			var coded smithy.APIError
			var answered *smithyhttp.ResponseError
			if !errors.As(err, &coded) || coded.ErrorCode() != c2.code || coded.ErrorMessage() == "" {
				t.Fatalf("error %v, want %s with a message", err, c2.code)
			}
			if !errors.As(err, &answered) || answered.HTTPStatusCode() != c2.status ||
				answered.Response.Header.Get("X-Amzn-RequestId") == "" {
				t.Errorf("error %v, want status %d and a request id", err, c2.status)
			}
		})
	}
	if _, err := c.Invoke(t.Context(), input("tenants", "A z0._:/=+-@ "+strings.Repeat("a", 243), `{}`)); err != nil {
		t.Errorf("a tenant id with all allowed characters and the maximum length: %v", err)
	}
}

func TestInvoke_Throttled(t *testing.T) {
	f := plain("one")
	f.Concurrency = 2
	h := startWith(t, f, plain("other"))
	url, arrived := barrier(t, 3)
	var wg sync.WaitGroup
	defer wg.Wait()
	for range 2 {
		wg.Go(func() {
			if _, functionError, err := h.Invoke(t.Context(), "one", []byte(meet(url))); err != nil ||
				functionError != "" {
				t.Errorf("an invocation within the limit: %s %v", functionError, err)
			}
		})
	}
	eventually(t, "two invocations run", func() bool { return arrived() == 2 })
	_, err := client(h).Invoke(t.Context(), input("one", "", `{}`))
	var throttled *types.TooManyRequestsException
	if !errors.As(err, &throttled) {
		t.Errorf("the third concurrent invocation: %v, want TooManyRequestsException", err)
	}
	if err := h.InvokeAsync(t.Context(), "one", "", []byte(`{}`)); err != nil {
		t.Errorf("an event above the limit: %v, want it queued", err)
	}
	invoke(t, h, "other", meet(url))
}

func TestInvoke_ResponseSizeLimit(t *testing.T) {
	h := startWith(t, plain("one"))
	wantFailure(t, h, `{"Do":"big","Size":7000000}`, "Function.ResponseSizeTooLarge")
	if a := invoke(t, h, "one", `{"Do":"big","Size":6000000}`); len(a.Filler) != 6000000 {
		t.Errorf("6 MB were returned as %d bytes", len(a.Filler))
	}
}

func TestPerTenant_SeparateProcesses(t *testing.T) {
	h := startWith(t, perTenant("tenants"))
	c := client(h)
	owner := map[int]string{}
	for range 5 {
		for _, tenant := range []string{"ann", "ben", "ann@example.com"} {
			out, err := c.Invoke(t.Context(), input("tenants", tenant, `{}`))
			if err != nil {
				t.Fatalf("invoke as %s: %v", tenant, err)
			}
			a := parse(t, out.Payload)
			if a.Tenant != tenant || a.First != tenant {
				t.Fatalf("an invocation of %s has tenant %s, in a process that started for %s", tenant, a.Tenant,
					a.First)
			}
			if was, ok := owner[a.PID]; ok && was != tenant {
				t.Fatalf("process %d served %s and %s", a.PID, was, tenant)
			}
			owner[a.PID] = tenant
		}
	}
	if len(owner) != 3 {
		t.Errorf("three tenants had %d processes, want one warm process each", len(owner))
	}
}

func TestPerTenant_EvictsIdleEnvironment(t *testing.T) {
	f := perTenant("tenants")
	f.Concurrency = 2
	h := startWith(t, f)
	c := client(h)
	pids := map[string]int{}
	for _, tenant := range []string{"ann", "ben", "cleo"} {
		out, err := c.Invoke(t.Context(), input("tenants", tenant, `{}`))
		if err != nil {
			t.Fatalf("invoke as %s: %v", tenant, err)
		}
		pids[tenant] = parse(t, out.Payload).PID
	}
	eventually(t, "ann's process has ended", func() bool { return !exists(pids["ann"]) })
	if !exists(pids["ben"]) || !exists(pids["cleo"]) {
		t.Error("a process ended that was used more recently than ann's")
	}
}

func TestRuntimeAPI_WrongState(t *testing.T) {
	h := startWith(t, plain("one"), plain("other"))
	environment := runtimeAPI(invoke(t, h, "one", `{}`).Env)
	url, arrived := barrier(t, 2)
	done := make(chan []byte, 1)
	go func() {
		body, _, _ := h.Invoke(t.Context(), "one", []byte(meet(url)))
		done <- body
	}()
	eventually(t, "the invocation runs", func() bool { return arrived() == 1 })
	httpClient := &http.Client{Timeout: 10 * time.Second}
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/unknown/2018-06-01/runtime/invocation/next", 404},
		{"POST", "/unknown/2018-06-01/runtime/invocation/x/response", 404},
		{"GET", environment + "/2018-06-01/runtime/invocation/next", 403},
		{"POST", environment + "/2018-06-01/runtime/invocation/not-its-id/response", 400},
		{"POST", environment + "/2018-06-01/runtime/invocation/not-its-id/error", 400},
		{"POST", environment + "/2018-06-01/runtime/init/error", 403},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, h.URL()+c.path, strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		response, err := httpClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != c.status || !json.Valid(body) || err != nil {
			t.Errorf("%s %s: %d %s %v, want %d", c.method, c.path, response.StatusCode, body, err, c.status)
		}
	}
	invoke(t, h, "other", meet(url))
	if a := parse(t, <-done); a.Calls != 2 {
		t.Errorf("the invocation got the response of another one: %+v", a)
	}
}

// runtimeAPI returns the path of an environment's Runtime API, from its variables.
func runtimeAPI(env []string) string {
	for _, variable := range env {
		if address, ok := strings.CutPrefix(variable, "AWS_LAMBDA_RUNTIME_API="); ok {
			return address[strings.Index(address, "/"):]
		}
	}
	return ""
}
