package lambda_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/lambda"
)

// failureRecord is as Lambda documents it.
type failureRecord struct {
	Version        string
	Timestamp      time.Time
	RequestContext struct {
		RequestID, FunctionARN, Condition string
		ApproximateInvokeCount            int
	}
	RequestPayload  json.RawMessage
	ResponseContext *struct {
		StatusCode                     int
		ExecutedVersion, FunctionError string
	}
	ResponsePayload json.RawMessage
}

// recorded starts a function "one" whose failure records the returned channel gets, as the function "records" saw them.
func recorded(t *testing.T, f lambda.Function) (*lambda.Host, chan []byte) {
	t.Helper()
	got := make(chan []byte, 10)
	records := plain("records")
	records.Env = map[string]string{"FORWARD": forwarded(t, got)}
	f.OnFailure = "records"
	h, _ := start(t, lambda.Config{
		Functions: []lambda.Function{f, records}, RetryDelays: []time.Duration{10 * time.Millisecond, 20 * time.Millisecond},
	})
	return h, got
}

// forwarded is where a function forwards its events to, which the channel gets.
func forwarded(t *testing.T, got chan<- []byte) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got <- []byte(r.URL.Query().Get("event"))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func await(t *testing.T, got chan []byte) (failureRecord, string) {
	t.Helper()
	select {
	case raw := <-got:
		var r failureRecord
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatalf("the record %q: %v", raw, err)
		}
		return r, string(raw)
	case <-time.After(20 * time.Second):
		t.Fatal("no failure record came in 20 s")
		return failureRecord{}, ""
	}
}

func TestAsyncRetriesThenRecordsTheFailure(t *testing.T) {
	for _, c := range []struct {
		event   string
		retries int
		answer  string
	}{
		{`{"Do":"fail"}`, 2, `"errorMessage":"told to fail"`},
		{`{"Do":"exit"}`, 1, `Runtime.ExitError`},
		{`{"Do":"panic"}`, 0, `"errorMessage":"told to"`},
	} {
		t.Run(c.event, func(t *testing.T) {
			f := perTenant("one")
			f.MaxRetries = c.retries
			h, got := recorded(t, f)
			if err := h.InvokeAsync(t.Context(), "one", "ann", []byte(c.event)); err != nil {
				t.Fatal(err)
			}
			r, raw := await(t, got)
			if r.Version != "1.0" || time.Since(r.Timestamp) > time.Minute || len(r.RequestContext.RequestID) != 36 ||
				r.RequestContext.FunctionARN != "arn:aws:lambda:eu-central-1:123456789012:function:one:$LATEST" {
				t.Errorf("the record's head is wrong: %s", raw)
			}
			if r.RequestContext.Condition != "RetriesExhausted" || r.RequestContext.ApproximateInvokeCount != c.retries+1 {
				t.Errorf("the record %s, want RetriesExhausted after %d invokes", raw, c.retries+1)
			}
			if string(r.RequestPayload) != c.event || !strings.Contains(string(r.ResponsePayload), c.answer) {
				t.Errorf("the record %s, want the event %s and the answer %s", raw, c.event, c.answer)
			}
			if rc := r.ResponseContext; rc == nil || rc.StatusCode != 200 || rc.ExecutedVersion != "$LATEST" || rc.FunctionError != "Unhandled" {
				t.Errorf("the record's responseContext is wrong: %s", raw)
			}
		})
	}
}

func TestAsyncSuccessIsTriedOnce(t *testing.T) {
	f := plain("one")
	f.MaxRetries = 2
	h, got := recorded(t, f)
	url, arrived := meeting(t, 1)
	if err := h.InvokeAsync(t.Context(), "one", "", []byte(meet(url))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event arrives", func() bool { return arrived() == 1 })
	pid := invoke(t, h, "one", `{}`).PID
	if err := h.Close(); err != nil || exists(pid) {
		t.Fatalf("Close: %v", err)
	}
	if arrived() != 1 || len(got) != 0 {
		t.Errorf("an event that succeeds ran %d times and left %d records", arrived(), len(got))
	}
}

func TestAsyncEventGetsTooOld(t *testing.T) {
	t.Run("waiting for its first try", func(t *testing.T) {
		f := plain("one")
		f.Concurrency, f.MaxEventAge = 1, 50*time.Millisecond
		h, got := recorded(t, f)
		url, arrived := meeting(t, 2)
		for _, event := range []string{meet(url), `{"Do":"late"}`} {
			if err := h.InvokeAsync(t.Context(), "one", "", []byte(event)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the first event runs", func() bool { return arrived() == 1 })
		}
		r, raw := await(t, got)
		if r.RequestContext.Condition != "EventAgeExceeded" || r.RequestContext.ApproximateInvokeCount != 0 ||
			string(r.RequestPayload) != `{"Do":"late"}` || r.ResponseContext != nil {
			t.Errorf("the record %s, want EventAgeExceeded without an invoke", raw)
		}
		invoke(t, h, "records", meet(url))
	})
	t.Run("waiting for a retry", func(t *testing.T) {
		f := plain("one")
		f.MaxRetries, f.MaxEventAge = 2, 5*time.Millisecond
		h, got := recorded(t, f)
		if err := h.InvokeAsync(t.Context(), "one", "", []byte(`{"Do":"fail"}`)); err != nil {
			t.Fatal(err)
		}
		r, raw := await(t, got)
		if r.RequestContext.Condition != "EventAgeExceeded" || r.RequestContext.ApproximateInvokeCount != 1 {
			t.Errorf("the record %s, want EventAgeExceeded after one invoke", raw)
		}
	})
}

func TestEventsWaitForASlotAndAllRun(t *testing.T) {
	f := plain("one")
	f.Concurrency = 2
	h := startWith(t, f)
	url, arrived := meeting(t, 1)
	for range 30 {
		if err := h.InvokeAsync(t.Context(), "one", "", []byte(meet(url))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all 30 events ran", func() bool { return arrived() >= 30 })
}

func TestStartRefusesAWrongConfiguration(t *testing.T) {
	missing, tenants := plain("one"), plain("one")
	missing.OnFailure, tenants.OnFailure = "none", "tenants"
	unnamed, negative := plain(""), plain("one")
	negative.Timeout = -1
	for name, functions := range map[string][]lambda.Function{
		"twice":                 {plain("one"), plain("one")},
		"does not exist":        {missing},
		"needs a tenant id":     {tenants, perTenant("tenants")},
		"needs a Name":          {unnamed},
		"has a negative limit":  {negative},
		"needs a Name and a Bi": {{Name: "one"}},
	} {
		h, err := lambda.Start(t.Context(), lambda.Config{Addr: "127.0.0.1:0", Functions: functions})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Start: %v, want an error that says %q", err, name)
		}
		if h != nil {
			_ = h.Close()
		}
	}
}
