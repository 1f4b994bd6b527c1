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

// failureRecord is a failure record in Lambda's documented format.
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

// startRecording starts a function "one" with the failure destination "records". The channel receives each record.
func startRecording(t *testing.T, f lambda.Function) (*lambda.Host, chan []byte) {
	t.Helper()
	got := make(chan []byte, 10)
	records := plain("records")
	records.Env = map[string]string{"FORWARD": forwardURL(t, got)}
	f.OnFailure = "records"
	h, _ := start(t, lambda.Config{
		Functions:   []lambda.Function{f, records},
		RetryDelays: []time.Duration{10 * time.Millisecond, 20 * time.Millisecond},
	})
	return h, got
}

// forwardURL returns a URL to which a function can forward its events. The channel receives them.
func forwardURL(t *testing.T, got chan<- []byte) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got <- []byte(r.URL.Query().Get("event"))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func awaitRecord(t *testing.T, got chan []byte) (failureRecord, string) {
	t.Helper()
	select {
	case raw := <-got:
		var r failureRecord
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatalf("decode the record %q: %v", raw, err)
		}
		return r, string(raw)
	case <-time.After(20 * time.Second):
		t.Fatal("no failure record arrived within 20 s")
		return failureRecord{}, ""
	}
}

func TestInvokeAsync_RetriesAndRecord(t *testing.T) {
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
			h, got := startRecording(t, f)
			if err := h.InvokeAsync(t.Context(), "one", "ann", []byte(c.event)); err != nil {
				t.Fatal(err)
			}
			r, raw := awaitRecord(t, got)
			if r.Version != "1.0" || time.Since(r.Timestamp) > time.Minute || len(r.RequestContext.RequestID) != 36 ||
				r.RequestContext.FunctionARN != "arn:aws:lambda:eu-central-1:123456789012:function:one:$LATEST" {
				t.Errorf("the head of the record is wrong: %s", raw)
			}
			if r.RequestContext.Condition != "RetriesExhausted" ||
				r.RequestContext.ApproximateInvokeCount != c.retries+1 {
				t.Errorf("record %s, want RetriesExhausted after %d attempts", raw, c.retries+1)
			}
			if string(r.RequestPayload) != c.event || !strings.Contains(string(r.ResponsePayload), c.answer) {
				t.Errorf("record %s, want the event %s and the response %s", raw, c.event, c.answer)
			}
			if rc := r.ResponseContext; rc == nil || rc.StatusCode != 200 || rc.ExecutedVersion != "$LATEST" ||
				rc.FunctionError != "Unhandled" {
				t.Errorf("the responseContext of the record is wrong: %s", raw)
			}
		})
	}
}

func TestInvokeAsync_Success(t *testing.T) {
	f := plain("one")
	f.MaxRetries = 2
	h, got := startRecording(t, f)
	url, arrived := barrier(t, 1)
	if err := h.InvokeAsync(t.Context(), "one", "", []byte(meet(url))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event has arrived", func() bool { return arrived() == 1 })
	pid := invoke(t, h, "one", `{}`).PID
	if err := h.Close(); err != nil || exists(pid) {
		t.Fatalf("Close: %v", err)
	}
	if arrived() != 1 || len(got) != 0 {
		t.Errorf("a successful event ran %d times and left %d records", arrived(), len(got))
	}
}

func TestInvokeAsync_EventTooOld(t *testing.T) {
	t.Run("before its first attempt", func(t *testing.T) {
		f := plain("one")
		f.Concurrency, f.MaxEventAge = 1, 50*time.Millisecond
		h, got := startRecording(t, f)
		url, arrived := barrier(t, 2)
		for _, event := range []string{meet(url), `{"Do":"late"}`} {
			if err := h.InvokeAsync(t.Context(), "one", "", []byte(event)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the first event runs", func() bool { return arrived() == 1 })
		}
		r, raw := awaitRecord(t, got)
		if r.RequestContext.Condition != "EventAgeExceeded" || r.RequestContext.ApproximateInvokeCount != 0 ||
			string(r.RequestPayload) != `{"Do":"late"}` || r.ResponseContext != nil {
			t.Errorf("record %s, want EventAgeExceeded without an attempt", raw)
		}
		invoke(t, h, "records", meet(url))
	})
	t.Run("before a retry", func(t *testing.T) {
		f := plain("one")
		f.MaxRetries, f.MaxEventAge = 2, 5*time.Millisecond
		h, got := startRecording(t, f)
		if err := h.InvokeAsync(t.Context(), "one", "", []byte(`{"Do":"fail"}`)); err != nil {
			t.Fatal(err)
		}
		r, raw := awaitRecord(t, got)
		if r.RequestContext.Condition != "EventAgeExceeded" || r.RequestContext.ApproximateInvokeCount != 1 {
			t.Errorf("record %s, want EventAgeExceeded after one attempt", raw)
		}
	})
}

func TestInvokeAsync_WaitsForSlot(t *testing.T) {
	f := plain("one")
	f.Concurrency = 2
	h := startWith(t, f)
	url, arrived := barrier(t, 1)
	for range 30 {
		if err := h.InvokeAsync(t.Context(), "one", "", []byte(meet(url))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all 30 events have run", func() bool { return arrived() >= 30 })
}

func TestStart_InvalidConfig(t *testing.T) {
	missing, tenants := plain("one"), plain("one")
	missing.OnFailure, tenants.OnFailure = "none", "tenants"
	unnamed, negative := plain(""), plain("one")
	negative.Timeout = -1
	for name, functions := range map[string][]lambda.Function{
		"configured twice":      {plain("one"), plain("one")},
		"does not exist":        {missing},
		"needs a tenant id":     {tenants, perTenant("tenants")},
		"needs a Name":          {unnamed},
		"has a negative limit":  {negative},
		"needs a Name and a Bi": {{Name: "one"}},
	} {
		h, err := lambda.Start(t.Context(), lambda.Config{Addr: "127.0.0.1:0", Functions: functions})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Start: %v, want an error with %q", err, name)
		}
		if h != nil {
			_ = h.Close()
		}
	}
}
