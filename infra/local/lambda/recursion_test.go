package lambda_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/lambda"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// A function that invokes itself through the SDK runs 16 times in the chain, unless recursion is allowed.
func TestRecursion_Call(t *testing.T) {
	for _, c := range []struct {
		allow bool
		want  int
	}{{false, 16}, {true, 20}} {
		f := plain("one")
		f.AllowRecursion = c.allow
		h := startWith(t, f)
		event := fmt.Appendf(nil, `{"Do":"again","URL":%q,"Size":20}`, h.URL())
		body, functionError, err := h.Invoke(t.Context(), "one", event)
		if err != nil || functionError != "" {
			t.Fatalf("%s %s %v", body, functionError, err)
		}
		a := parse(t, body)
		if a.Runs != c.want || c.allow != (a.Filler == "") || !c.allow &&
			!strings.Contains(a.Filler, "RecursiveInvocationException") {
			t.Errorf("recursion allowed: %v: %d runs, want %d; then %q", c.allow, a.Runs, c.want, a.Filler)
		}
	}
}

// An event beyond the limit is accepted and discarded, and the failure destination gets a record.
func TestRecursion_Event(t *testing.T) {
	f := plain("one")
	f.MaxRetries = 2
	h, got := startRecording(t, f)
	api := sdk.New(sdk.Options{Region: "eu-central-1", BaseEndpoint: aws.String(h.URL()),
		Credentials: credentials.NewStaticCredentialsProvider("AKIA", "secret", "")})
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "one") // with these two variables the SDK continues the chain
	t.Setenv("_X_AMZN_TRACE_ID", "Root=1-12345678-123456789012345678901234;Sampled=0;Lineage="+lineage(t, h)+":16")
	out, err := api.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("one"),
		InvocationType: types.InvocationTypeEvent, Payload: []byte(`{"Do":""}`)})
	if err != nil || out.StatusCode != 202 {
		t.Fatalf("%+v, %v; want 202", out, err)
	}
	if r, raw := awaitRecord(t, got); r.RequestContext.Condition != "RecursiveInvocation" ||
		r.RequestContext.ApproximateInvokeCount != 0 {
		t.Errorf("record %s", raw)
	}
	_, err = api.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("one")})
	if refused := (*types.RecursiveInvocationException)(nil); !errors.As(err, &refused) {
		t.Errorf("a call beyond the limit: %v", err)
	}
}

// lineage returns the name of the function "one" in a trace header.
func lineage(t *testing.T, h *lambda.Host) string {
	t.Helper()
	for _, v := range invoke(t, h, "one", `{"Do":"trace"}`).Env {
		if _, chain, ok := strings.Cut(v, "Lineage="); ok {
			name, _, _ := strings.Cut(chain, ":")
			return name
		}
	}
	t.Fatal("the function has no lineage")
	return ""
}

// The next host delivers events that had not started when the host closed. Those that had started are failed attempts.
func TestQueue_NextHost(t *testing.T) {
	queue := t.TempDir()
	one := plain("one")
	one.Concurrency, one.MaxRetries = 1, 0
	started, arrived := barrier(t, 2)
	first, _ := start(t, lambda.Config{Functions: []lambda.Function{one}, Queue: queue})
	for _, event := range []string{meet(started), `{"Do":"","URL":"waits"}`} {
		if err := first.InvokeAsync(t.Context(), "one", "", []byte(event)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the first event runs", func() bool { return arrived() == 1 })
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	f := plain("one")
	got := make(chan []byte, 10)
	f.Env, f.OnFailure = map[string]string{"FORWARD": forwardURL(t, got)}, "records"
	records := plain("records")
	records.Env = map[string]string{"FORWARD": forwardURL(t, got)}
	second, log := start(t, lambda.Config{Functions: []lambda.Function{f, records}, Queue: queue})
	var delivered strings.Builder
	for range 2 {
		select {
		case event := <-got:
			delivered.Write(event)
		case <-time.After(20 * time.Second):
			t.Fatalf("only one of two events was delivered: %s", delivered.String())
		}
	}
	if !strings.Contains(delivered.String(), "waits") || !strings.Contains(delivered.String(), "RetriesExhausted") ||
		!strings.Contains(delivered.String(), "the host ended") {
		t.Errorf("the next host delivered %s", delivered.String())
	}
	eventually(t, "the queue is empty", func() bool {
		left, err := os.ReadDir(queue)
		return err == nil && len(left) == 0
	})
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	third, thirdLog := start(t, lambda.Config{Functions: []lambda.Function{f, records}, Queue: queue})
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
	if !log.contain("earlier run") || thirdLog.contain("earlier run") {
		t.Errorf("a completed event was delivered again: %v", thirdLog.list)
	}
}
