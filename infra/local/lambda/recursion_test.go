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

// A function that calls itself through the SDK runs 16 times in the chain, unless it may go on.
func TestRecursionStops(t *testing.T) {
	for _, c := range []struct {
		allow bool
		want  int
	}{{false, 16}, {true, 20}} {
		f := plain("one")
		f.AllowRecursion = c.allow
		h := startWith(t, f)
		body, functionError, err := h.Invoke(t.Context(), "one", fmt.Appendf(nil, `{"Do":"again","URL":%q,"Size":20}`, h.URL()))
		if err != nil || functionError != "" {
			t.Fatalf("%s %s %v", body, functionError, err)
		}
		a := parse(t, body)
		if a.Runs != c.want || c.allow != (a.Filler == "") || !c.allow && !strings.Contains(a.Filler, "RecursiveInvocationException") {
			t.Errorf("recursion allowed: %v: it ran %d times, want %d; then %q", c.allow, a.Runs, c.want, a.Filler)
		}
	}
}

// An event that is one too many is taken and given up: the failure destination learns of it.
func TestRecursiveEventIsGivenUp(t *testing.T) {
	f := plain("one")
	f.MaxRetries = 2
	h, got := recorded(t, f)
	api := sdk.New(sdk.Options{Region: "eu-central-1", BaseEndpoint: aws.String(h.URL()),
		Credentials: credentials.NewStaticCredentialsProvider("AKIA", "secret", "")})
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "one") // by these two the SDK knows that it is in a chain
	t.Setenv("_X_AMZN_TRACE_ID", "Root=1-12345678-123456789012345678901234;Sampled=0;Lineage="+lineage(t, h)+":16")
	out, err := api.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("one"), InvocationType: types.InvocationTypeEvent, Payload: []byte(`{"Do":""}`)})
	if err != nil || out.StatusCode != 202 {
		t.Fatalf("%+v, %v; want 202", out, err)
	}
	if r, raw := await(t, got); r.RequestContext.Condition != "RecursiveInvocation" || r.RequestContext.ApproximateInvokeCount != 0 {
		t.Errorf("the record %s", raw)
	}
	_, err = api.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("one")})
	if refused := (*types.RecursiveInvocationException)(nil); !errors.As(err, &refused) {
		t.Errorf("the call: %v", err)
	}
}

// lineage is how a function stands in a trace header.
func lineage(t *testing.T, h *lambda.Host) string {
	t.Helper()
	for _, v := range invoke(t, h, "one", `{"Do":"trace"}`).Env {
		if _, chain, ok := strings.Cut(v, "Lineage="); ok {
			name, _, _ := strings.Cut(chain, ":")
			return name
		}
	}
	t.Fatal("the function sees no lineage")
	return ""
}

// What waits when the host ends is delivered by the next; what had begun is a failed try.
func TestEventsOutliveTheHost(t *testing.T) {
	queue := t.TempDir()
	one := plain("one")
	one.Concurrency, one.MaxRetries = 1, 0
	begun, arrived := meeting(t, 2)
	first, _ := start(t, lambda.Config{Functions: []lambda.Function{one}, Queue: queue})
	for _, event := range []string{meet(begun), `{"Do":"","URL":"waits"}`} {
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
	f.Env, f.OnFailure = map[string]string{"FORWARD": forwarded(t, got)}, "records"
	records := plain("records")
	records.Env = map[string]string{"FORWARD": forwarded(t, got)}
	second, log := start(t, lambda.Config{Functions: []lambda.Function{f, records}, Queue: queue})
	var told strings.Builder
	for range 2 {
		select {
		case event := <-got:
			told.Write(event)
		case <-time.After(20 * time.Second):
			t.Fatalf("of two events only came: %s", told.String())
		}
	}
	if !strings.Contains(told.String(), "waits") || !strings.Contains(told.String(), "RetriesExhausted") || !strings.Contains(told.String(), "the host ended") {
		t.Errorf("the next host delivered %s", told.String())
	}
	eventually(t, "the queue is empty", func() bool {
		left, err := os.ReadDir(queue)
		return err == nil && len(left) == 0
	})
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	third, again := start(t, lambda.Config{Functions: []lambda.Function{f, records}, Queue: queue})
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
	if !log.contain("earlier run") || again.contain("earlier run") {
		t.Errorf("what was done came again: %v", again.list)
	}
}
