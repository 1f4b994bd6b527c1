package lambda_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carrel/infra/local/lambda"
)

// A dropped event never runs, a repeated one runs twice, a delayed one runs once.
func TestFaults_Events(t *testing.T) {
	h, _ := startRecording(t, plain("one"))
	var calls atomic.Int64
	h.SetFaults(lambda.Faults{Event: func(e lambda.Event) lambda.EventFault {
		if e.Function != "one" || !strings.Contains(string(e.Payload), "Do") {
			t.Errorf("fault requested for %+v", e)
		}
		return []lambda.EventFault{{Drop: true}, {Repeat: true}, {Delay: 20 * time.Millisecond}}[calls.Add(1)-1]
	}})
	dropped, drops := barrier(t, 2)
	repeated, repeats := barrier(t, 2)
	delayed, delays := barrier(t, 1)
	for _, url := range []string{dropped, repeated, delayed} {
		if err := h.InvokeAsync(t.Context(), "one", "", []byte(meet(url))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the delayed event has run once and the repeated one twice",
		func() bool { return repeats() == 2 && delays() == 1 })
	if drops() != 0 {
		t.Error("the dropped event ran")
	}
}

// Both deliveries of a repeated event, and their failure records, have the same id.
func TestFaults_RepeatKeepsID(t *testing.T) {
	h, got := startRecording(t, plain("one"))
	h.SetFaults(lambda.Faults{Event: func(e lambda.Event) lambda.EventFault {
		return lambda.EventFault{Repeat: e.Function == "one"}
	}})
	if err := h.InvokeAsync(t.Context(), "one", "", []byte(`{"Do":"fail"}`)); err != nil {
		t.Fatal(err)
	}
	first, _ := awaitRecord(t, got)
	second, _ := awaitRecord(t, got)
	if id := first.RequestContext.RequestID; id == "" || second.RequestContext.RequestID != id {
		t.Errorf("the records have the ids %q and %q", id, second.RequestContext.RequestID)
	}
}

// An event without capacity never runs. Its failure record has no functionError. A record can be lost, late or
// duplicated like any event.
func TestFaults_NoCapacity(t *testing.T) {
	h, got := startRecording(t, plain("one"))
	h.SetFaults(lambda.Faults{Event: func(e lambda.Event) lambda.EventFault {
		if e.Function == "records" {
			return lambda.EventFault{Repeat: true}
		}
		return lambda.EventFault{Expire: true, Delay: 10 * time.Millisecond}
	}})
	url, arrived := barrier(t, 1)
	if err := h.InvokeAsync(t.Context(), "one", "", []byte(meet(url))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r, raw := awaitRecord(t, got)
		if r.RequestContext.Condition != "EventAgeExceeded" || r.ResponseContext != nil ||
			string(r.RequestPayload) != meet(url) {
			t.Errorf("failure record: %s", raw)
		}
	}
	if arrived() != 0 {
		t.Error("the event ran")
	}
}

// A frozen process does not continue until it is thawed, and a killed one is a failed attempt.
func TestFreezeThawKill(t *testing.T) {
	h, got := startRecording(t, plain("one"))
	url, arrived := barrier(t, 2)
	if err := h.InvokeAsync(t.Context(), "one", "", []byte(meet(url))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event runs", func() bool { return arrived() == 1 })
	if n := h.Freeze("one", ""); n != 1 || h.Freeze("one", "ann") != 0 || h.Freeze("nobody", "") != 0 {
		t.Errorf("%d processes were frozen", n)
	}
	if h.Thaw("one", "") != 1 || h.Kill("one", "") != 1 {
		t.Error("the process was not thawed or not killed")
	}
	if _, raw := awaitRecord(t, got); !strings.Contains(raw, "killed") {
		t.Errorf("failure record: %s", raw)
	}
}

// A new process gets the variables of the current faults.
func TestFaults_Env(t *testing.T) {
	h, _ := startRecording(t, plain("one"))
	h.SetFaults(lambda.Faults{Env: func(function, tenant string) map[string]string {
		return map[string]string{"SKEW": function + "/" + tenant}
	}})
	if got := invoke(t, h, "one", `{}`).Env; !slices.Contains(got, "SKEW=one/") {
		t.Errorf("the process has the variables %q", got)
	}
}
