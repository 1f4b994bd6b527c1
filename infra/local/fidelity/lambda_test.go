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

// rejected is a scenario about an invocation that Lambda rejects before a function runs.
func rejected(behaviour string, kind types.InvocationType, name, tenant string, size, want int) scenario {
	return scenario{"Invokes", behaviour, documented, "", func(t *testing.T, on *target) {
		function := name
		if function == "turn" {
			function = on.turn
		}
		if function == "" {
			t.Skip("TURN_FUNCTION, the name of Carrel's turn function, is not set")
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

// reply is the response of the test function.
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

// call invokes a function of the host and returns its response and Lambda's functionError.
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

// failure is a scenario about an invocation in which the function fails.
func failure(behaviour string, from source, event, kind string) scenario {
	return scenario{"Invokes", behaviour, from, needsFunction, func(t *testing.T, on *target) {
		h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("f",
			func(f *lambda.Function) { f.Timeout = time.Second })}})
		a, functionError := on.call(t, h, "f", "", event)
		if functionError != "Unhandled" || !strings.Contains(a.ErrorType, kind) {
			t.Errorf("%q: %+v", functionError, a)
		}
		if _, functionError := on.call(t, h, "f", "", `{}`); functionError != "" {
			t.Errorf("the next invocation failed: %s", functionError)
		}
	}}
}

func invokes() []scenario {
	return []scenario{
		rejected("A function that does not exist is 404.", types.InvocationTypeRequestResponse,
			"carrel-there-is-no-such",
			"", 1, http.StatusNotFound),
		rejected("Tenant isolation: an Invoke without a tenant id is 400.", types.InvocationTypeDryRun, "turn", "", 1,
			http.StatusBadRequest),
		rejected("Tenant isolation: a tenant id with invalid characters is 400.",
			types.InvocationTypeDryRun, "turn", "a|b", 1, http.StatusBadRequest),
		rejected("A synchronous event over 6 MB is 413.", types.InvocationTypeRequestResponse, "turn", "fidelity",
			6<<20,
			http.StatusRequestEntityTooLarge),
		rejected("An asynchronous event over 1 MB is 413.", types.InvocationTypeEvent, "turn", "fidelity", 1<<20,
			http.StatusRequestEntityTooLarge),
	}
}

func environments() []scenario {
	const area = "Invokes"
	return []scenario{
		{area, "Tenant isolation: no process serves two tenants.", documented, needsEvents,
			func(t *testing.T, on *target) {
				h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("f",
					func(f *lambda.Function) { f.PerTenant = true })}})
				for range 3 {
					for _, tenant := range []string{"ann", "bob"} {
						if a, _ := on.call(t, h, "f", tenant, `{}`); a.Tenant != tenant || a.First != tenant {
							t.Errorf("%s was served by a process that started for %s", a.Tenant, a.First)
						}
					}
				}
			}},
		{area, "A warm environment is reused, including its memory.", documented, needsEvents,
			func(t *testing.T, on *target) {
				h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("f", nil)}})
				one, _ := on.call(t, h, "f", "", `{}`)
				if two, _ := on.call(t, h, "f", "", `{}`); one.PID != two.PID {
					t.Error("the second invocation ran in another process")
				}
			}},
		{area, "A process is frozen between its response and the next event.", documented, needsEvents,
			func(t *testing.T, on *target) {
				h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("f", nil)}})
				a, _ := on.call(t, h, "f", "", `{"Do":"tick"}`)
				frozen := func() bool {
					stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.PID))
					_, state, _ := strings.Cut(string(stat), ") ")
					return err == nil && strings.HasPrefix(state, "T")
				}
				poll := time.NewTicker(2 * time.Millisecond)
				defer poll.Stop()
				for deadline := time.After(patience); !frozen(); {
					select {
					case <-poll.C:
					case <-deadline:
						t.Fatal("the process was never frozen")
					}
				}
			}},
		{area, "A function receives its deadline with the event.", sdkSource, needsEvents,
			func(t *testing.T, on *target) {
				h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("f",
					func(f *lambda.Function) { f.Timeout = 7 * time.Second })}})
				if a, _ := on.call(t, h, "f", "", `{}`); a.Left > 7*time.Second || a.Left < 4*time.Second {
					t.Errorf("%s left of 7 s", a.Left)
				}
			}},
	}
}

func failures() []scenario {
	const area = "Invokes"
	return []scenario{
		failure("At its deadline a function is killed; the next Invoke works.", documented, `{"Do":"hang"}`,
			"Sandbox.Timedout"),
		failure("A panic is reported and ends the process; the next Invoke works.", sdkSource, `{"Do":"panic"}`,
			"string"),
		failure("A process that exits is Runtime.ExitError; the next Invoke works.", captured, `{"Do":"exit"}`,
			"Runtime.ExitError"),
		{area, "Beyond a function's concurrency an Invoke is TooManyRequestsException, 429.", documented, needsFunction,
			func(t *testing.T, on *target) {
				here, arrived, release := blockingEvent(t)
				h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("f",
					func(f *lambda.Function) { f.Concurrency = 1 })}})
				if err := h.InvokeAsync(t.Context(), "f", "", []byte(here)); err != nil {
					t.Fatal(err)
				}
				<-arrived
				defer release()
				_, err := on.lambda(h.URL()).Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("f")})
				as[*types.TooManyRequestsException](t, err)
			}},
		{area, "A recursive chain of invocations is stopped after about 16 runs.", documented, needsFunction,
			func(t *testing.T, on *target) {
				h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("f", nil)}})
				event := fmt.Appendf(nil, `{"Do":"again","URL":%q,"Size":30}`, h.URL())
				body, _, err := h.Invoke(t.Context(), "f", event)
				if err != nil || !strings.Contains(string(body), `"Runs":16`) ||
					!strings.Contains(string(body), "RecursiveInvocationException") {
					t.Errorf("%s %v", body, err)
				}
			}},
	}
}

// blockingEvent returns an event that makes the test function block. arrived is closed when it blocks; release ends
// that.
func blockingEvent(t *testing.T) (event string, arrived chan struct{}, release func()) {
	t.Helper()
	arrived, over := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-over
	}))
	t.Cleanup(server.Close)
	return fmt.Sprintf(`{"Do":"meet","URL":%q}`, server.URL), arrived, func() { close(over) }
}

// failureRecord is a scenario about an event that fails permanently. condition and tries are in the record for the
// failure destination.
func failureRecord(behaviour string, from source, event, condition string, tries int,
	change func(*lambda.Function)) scenario {
	return scenario{"Asynchronous invokes", behaviour, from, needsFunction, func(t *testing.T, on *target) {
		got := make(chan string, 1)
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
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
			t.Fatal("no record arrived")
		}
		for _, part := range []string{`"version":"1.0"`, `"condition":"` + condition + `"`,
			fmt.Sprintf(`"approximateInvokeCount":%d`, tries), `"requestPayload":` + event} {
			if !strings.Contains(record, part) {
				t.Errorf("the record does not contain %s: %s", part, record)
			}
		}
	}}
}

func asynchronous() []scenario {
	const area = "Asynchronous invokes"
	return []scenario{
		failureRecord("A failed event is retried twice; then the failure destination gets a record.", documented,
			`{"Do":"fail"}`, "RetriesExhausted", 3, func(*lambda.Function) {}),
		failureRecord("MaximumRetryAttempts: 0 means a single attempt.", documented,
			`{"Do":"fail"}`, "RetriesExhausted", 1, func(f *lambda.Function) { f.MaxRetries = 0 }),
		failureRecord("An event older than MaximumEventAgeInSeconds is not retried.", documented,
			`{"Do":"fail"}`, "EventAgeExceeded", 1, func(f *lambda.Function) { f.MaxEventAge = time.Millisecond }),
		{area, "An event beyond a function's concurrency waits until a running one ends.", documented, needsFunction,
			func(t *testing.T, on *target) {
				first, arrived, release := blockingEvent(t)
				second, secondArrived, releaseSecond := blockingEvent(t)
				h := on.host(t, lambda.Config{Functions: []lambda.Function{on.function("f",
					func(f *lambda.Function) { f.Concurrency = 1 })}})
				for _, e := range []struct {
					event   string
					arrived chan struct{}
					release func()
				}{{first, arrived, nil}, {second, secondArrived, release}} {
					if err := h.InvokeAsync(t.Context(), "f", "", []byte(e.event)); err != nil {
						t.Fatal(err)
					}
					if e.release != nil {
						e.release()
					}
					<-e.arrived
				}
				releaseSecond()
			}},
		{area, "Queued events survive a failure of the machine.", documented, "Lambda cannot be made to fail",
			func(t *testing.T, on *target) {
				waits, arrived, release := blockingEvent(t)
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
				release()
				files, err := os.ReadDir(queue)
				if err != nil || len(files) != 1 {
					t.Errorf("%d events are stored: %v", len(files), err)
				}
			}},
	}
}
