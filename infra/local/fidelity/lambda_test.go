package fidelity_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/lambda"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// refused is a scenario of an invoke that Lambda refuses before any function sees it.
func refused(says string, kind types.InvocationType, name, tenant string, size, want int) scenario {
	return scenario{"Invokes", says, documented, "", func(t *testing.T, on *target) {
		function := name
		if function == "turn" {
			function = on.turn
		}
		if function == "" {
			t.Skip("TURN_FUNCTION does not say how Carrel's turn function is called")
		}
		in := &sdk.InvokeInput{FunctionName: &function, InvocationType: kind,
			Payload: []byte(`"` + strings.Repeat("x", size) + `"`)}
		if tenant != "" {
			in.TenantId = &tenant
		}
		_, err := on.lambda("").Invoke(t.Context(), in)
		if got := as[*awshttp.ResponseError](t, err).HTTPStatusCode(); got != want {
			t.Errorf("status %d, want %d: %v", got, want, err)
		}
	}}
}

// reply is what the test function answers.
type reply struct {
	PID       int
	Ticks     int64
	Tenant    string
	First     string
	Left      time.Duration
	Env       []string
	ErrorType string
	ErrorMsg  string `json:"errorMessage"`
}

// call invokes a function of the host and reads its answer; functionError is Lambda's word.
func (on *target) call(t *testing.T, h *lambda.Host, name, tenant, event string) (reply, string) {
	t.Helper()
	in := &sdk.InvokeInput{FunctionName: &name, Payload: []byte(event)}
	if tenant != "" {
		in.TenantId = &tenant
	}
	out, err := on.lambda(h.URL()).Invoke(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var a reply
	if err := json.Unmarshal(out.Payload, &a); err != nil {
		t.Fatalf("%s: %v", out.Payload, err)
	}
	return a, aws.ToString(out.FunctionError)
}

// failing is a scenario of an invoke that its function does not answer.
func failing(says string, from source, event, kind string) scenario {
	return scenario{"Invokes", says, from, needsFunction, func(t *testing.T, on *target) {
		h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("f",
			func(f *lambda.Function) { f.Timeout = time.Second })}})
		a, functionError := on.call(t, h, "f", "", event)
		if functionError != "Unhandled" || !strings.Contains(a.ErrorType, kind) {
			t.Errorf("%q: %+v", functionError, a)
		}
		if _, functionError := on.call(t, h, "f", "", `{}`); functionError != "" {
			t.Errorf("the next invoke fails too: %s", functionError)
		}
	}}
}

func invokes() []scenario {
	return []scenario{
		refused("A function that is not there is 404.", types.InvocationTypeRequestResponse, "carrel-there-is-no-such",
			"", 1, http.StatusNotFound),
		refused("Tenant isolation: an invoke without a tenant id is 400.", types.InvocationTypeDryRun, "turn", "", 1,
			http.StatusBadRequest),
		refused("Tenant isolation: a tenant id with other characters than its pattern's is 400.",
			types.InvocationTypeDryRun, "turn", "a|b", 1, http.StatusBadRequest),
		refused("A synchronous event over 6 MB is 413.", types.InvocationTypeRequestResponse, "turn", "fidelity", 6<<20,
			http.StatusRequestEntityTooLarge),
		refused("An asynchronous event over 1 MB is 413.", types.InvocationTypeEvent, "turn", "fidelity", 1<<20,
			http.StatusRequestEntityTooLarge),
	}
}

func environments() []scenario {
	const area = "Invokes"
	return []scenario{
		{area, "Tenant isolation: no process ever serves two tenants.", documented, needsEvents,
			func(t *testing.T, on *target) {
				h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("f",
					func(f *lambda.Function) { f.PerTenant = true })}})
				for range 3 {
					for _, tenant := range []string{"ann", "bob"} {
						if a, _ := on.call(t, h, "f", tenant, `{}`); a.Tenant != tenant || a.First != tenant {
							t.Errorf("%s was served by a process that began with %s", a.Tenant, a.First)
						}
					}
				}
			}},
		{area, "A warm environment is used again, with what is left in its memory.", documented, needsEvents,
			func(t *testing.T, on *target) {
				h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("f", nil)}})
				one, _ := on.call(t, h, "f", "", `{}`)
				if two, _ := on.call(t, h, "f", "", `{}`); one.PID != two.PID {
					t.Error("the second invoke got another process")
				}
			}},
		{area, "Between its answer and the next event a process is frozen.", documented, needsEvents,
			func(t *testing.T, on *target) {
				h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("f", nil)}})
				a, _ := on.call(t, h, "f", "", `{"Do":"tick"}`)
				frozen := func() bool {
					stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.PID))
					_, state, _ := strings.Cut(string(stat), ") ")
					return err == nil && strings.HasPrefix(state, "T")
				}
				again := time.NewTicker(2 * time.Millisecond)
				defer again.Stop()
				for late := time.After(patience); !frozen(); {
					select {
					case <-again.C:
					case <-late:
						t.Fatal("it was never stopped")
					}
				}
			}},
		{area, "A function's deadline is told with its event.", sdkSource, needsEvents, func(t *testing.T, on *target) {
			h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("f",
				func(f *lambda.Function) { f.Timeout = 7 * time.Second })}})
			if a, _ := on.call(t, h, "f", "", `{}`); a.Left > 7*time.Second || a.Left < 4*time.Second {
				t.Errorf("it has %s left of 7 s", a.Left)
			}
		}},
	}
}

func failures() []scenario {
	const area = "Invokes"
	return []scenario{
		failing("At its deadline a function is killed; the next invoke works.", documented, `{"Do":"hang"}`,
			"Sandbox.Timedout"),
		failing("A panic is reported, and the process ends; the next invoke works.", sdkSource, `{"Do":"panic"}`,
			"string"),
		failing("A process that exits is Runtime.ExitError; the next invoke works.", captured, `{"Do":"exit"}`,
			"Runtime.ExitError"),
		{area, "Above a function's concurrency an invoke is TooManyRequestsException, 429.", documented, needsFunction,
			func(t *testing.T, on *target) {
				here, arrived, leave := meeting(t)
				h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("f",
					func(f *lambda.Function) { f.Concurrency = 1 })}})
				if err := h.InvokeAsync(t.Context(), "f", "", []byte(here)); err != nil {
					t.Fatal(err)
				}
				<-arrived
				defer leave()
				_, err := on.lambda(h.URL()).Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("f")})
				as[*types.TooManyRequestsException](t, err)
			}},
		{area, "A chain that comes back to a function is stopped after about 16 runs.", documented, needsFunction,
			func(t *testing.T, on *target) {
				h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("f", nil)}})
				body, _, err := h.Invoke(t.Context(), "f", fmt.Appendf(nil, `{"Do":"again","URL":%q,"Size":30}`, h.URL()))
				if err != nil || !strings.Contains(string(body), `"Runs":16`) ||
					!strings.Contains(string(body), "RecursiveInvocationException") {
					t.Errorf("%s %v", body, err)
				}
			}},
	}
}

// meeting is an event that has a function wait; arrived is closed when it does, leave lets it go.
func meeting(t *testing.T) (event string, arrived chan struct{}, leave func()) {
	t.Helper()
	arrived, over := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-over
	}))
	t.Cleanup(server.Close)
	return fmt.Sprintf(`{"Do":"meet","URL":%q}`, server.URL), arrived, func() { close(over) }
}

// recorded is a scenario of an event that fails for good; condition and tries are what the failure destination is told.
func recorded(says string, from source, event, condition string, tries int, change func(*lambda.Function)) scenario {
	return scenario{"Asynchronous invokes", says, from, needsFunction, func(t *testing.T, on *target) {
		got := make(chan string, 1)
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter,
			r *http.Request) {
			got <- r.URL.Query().Get("event")
		}))
		t.Cleanup(server.Close)
		h := on.host(t, lambda.Config{RetryDelays: []time.Duration{10 * time.Millisecond}, Functions: []lambda.Function{
			on.function("f", func(f *lambda.Function) { f.OnFailure, f.MaxRetries = "records", 2; change(f) }),
			on.function("records", func(f *lambda.Function) { f.Env = map[string]string{"FORWARD": server.URL} })}})
		if err := h.InvokeAsync(t.Context(), "f", "", []byte(event)); err != nil {
			t.Fatal(err)
		}
		var record string
		select {
		case record = <-got:
		case <-time.After(patience):
			t.Fatal("no record came")
		}
		for _, part := range []string{`"version":"1.0"`, `"condition":"` + condition + `"`,
			fmt.Sprintf(`"approximateInvokeCount":%d`, tries), `"requestPayload":` + event} {
			if !strings.Contains(record, part) {
				t.Errorf("the record lacks %s: %s", part, record)
			}
		}
	}}
}

func asynchronous() []scenario {
	const area = "Asynchronous invokes"
	return []scenario{
		recorded("A failed event is tried twice more; then the failure destination gets the record.", documented,
			`{"Do":"fail"}`, "RetriesExhausted", 3, func(*lambda.Function) {}),
		recorded("MaximumRetryAttempts: 0 makes it one try.", documented,
			`{"Do":"fail"}`, "RetriesExhausted", 1, func(f *lambda.Function) { f.MaxRetries = 0 }),
		recorded("An event older than MaximumEventAgeInSeconds is not tried again.", documented,
			`{"Do":"fail"}`, "EventAgeExceeded", 1, func(f *lambda.Function) { f.MaxEventAge = time.Millisecond }),
		{area, "An event above a function's concurrency waits for its turn.", documented, needsFunction,
			func(t *testing.T, on *target) {
				first, arrived, leave := meeting(t)
				second, also, leaveToo := meeting(t)
				h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("f",
					func(f *lambda.Function) { f.Concurrency = 1 })}})
				for _, e := range []struct {
					event   string
					arrived chan struct{}
					leave   func()
				}{{first, arrived, nil}, {second, also, leave}} {
					if err := h.InvokeAsync(t.Context(), "f", "", []byte(e.event)); err != nil {
						t.Fatal(err)
					}
					if e.leave != nil {
						e.leave()
					}
					<-e.arrived
				}
				leaveToo()
			}},
		{area, "What waits outlives the machine that took it.", documented, "nothing ends Lambda",
			func(t *testing.T, on *target) {
				waits, arrived, leave := meeting(t)
				queue := t.TempDir()
				broken := on.function("f", func(f *lambda.Function) { f.MaxRetries = 1 })
				h := on.host(t, lambda.Config{Functions: []lambda.Function{broken}, Queue: queue})
				if err := h.InvokeAsync(t.Context(), "f", "", []byte(waits)); err != nil {
					t.Fatal(err)
				}
				<-arrived
				if err := h.Close(); err != nil {
					t.Fatal(err)
				}
				leave()
				files, err := os.ReadDir(queue)
				if err != nil || len(files) != 1 {
					t.Errorf("%d events are kept: %v", len(files), err)
				}
			}},
	}
}
