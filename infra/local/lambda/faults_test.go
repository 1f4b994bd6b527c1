package lambda_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carrel/infra/local/lambda"
)

// A dropped event never runs, a repeated one runs twice, a late one runs once.
func TestFaultsOfEvents(t *testing.T) {
	h, _ := recorded(t, plain("one"))
	var asked atomic.Int64
	h.SetFaults(lambda.Faults{Event: func(e lambda.Event) lambda.EventFault {
		if e.Function != "one" || !strings.Contains(string(e.Payload), "Do") {
			t.Errorf("asked of %+v", e)
		}
		return []lambda.EventFault{{Drop: true}, {Repeat: true}, {Delay: 20 * time.Millisecond}}[asked.Add(1)-1]
	}})
	dropped, drops := meeting(t, 2)
	repeated, repeats := meeting(t, 2)
	late, lates := meeting(t, 1)
	for _, url := range []string{dropped, repeated, late} {
		if err := h.InvokeAsync(t.Context(), "one", "", []byte(meet(url))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the late event and both of the repeated one run", func() bool { return repeats() == 2 && lates() == 1 })
	if drops() != 0 {
		t.Error("the dropped event ran")
	}
}

// Both deliveries of a repeated event have one id, and so have their failure records.
func TestARepeatedEventHasOneID(t *testing.T) {
	h, got := recorded(t, plain("one"))
	h.SetFaults(lambda.Faults{Event: func(e lambda.Event) lambda.EventFault { return lambda.EventFault{Repeat: e.Function == "one"} }})
	if err := h.InvokeAsync(t.Context(), "one", "", []byte(`{"Do":"fail"}`)); err != nil {
		t.Fatal(err)
	}
	first, _ := await(t, got)
	second, _ := await(t, got)
	if id := first.RequestContext.RequestID; id == "" || second.RequestContext.RequestID != id {
		t.Errorf("the records are of %q and %q", id, second.RequestContext.RequestID)
	}
}

// An event without capacity never runs, and its failure record says so: it has no functionError. A record may be lost, late,
// or come twice, like any event.
func TestAnEventWithoutCapacity(t *testing.T) {
	h, got := recorded(t, plain("one"))
	h.SetFaults(lambda.Faults{Event: func(e lambda.Event) lambda.EventFault {
		if e.Function == "records" {
			return lambda.EventFault{Repeat: true}
		}
		return lambda.EventFault{Expire: true, Delay: 10 * time.Millisecond}
	}})
	url, arrived := meeting(t, 1)
	if err := h.InvokeAsync(t.Context(), "one", "", []byte(meet(url))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r, raw := await(t, got)
		if r.RequestContext.Condition != "EventAgeExceeded" || r.ResponseContext != nil || string(r.RequestPayload) != meet(url) {
			t.Errorf("the failure record is %s", raw)
		}
	}
	if arrived() != 0 {
		t.Error("the event ran")
	}
}

// A frozen process stays where it is until it is thawed, and a killed one is a failed try.
func TestFreezeAndKill(t *testing.T) {
	h, got := recorded(t, plain("one"))
	url, arrived := meeting(t, 2)
	if err := h.InvokeAsync(t.Context(), "one", "", []byte(meet(url))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it runs", func() bool { return arrived() == 1 })
	if n := h.Freeze("one", ""); n != 1 || h.Freeze("one", "ann") != 0 || h.Freeze("nobody", "") != 0 {
		t.Errorf("%d were frozen", n)
	}
	if h.Thaw("one", "") != 1 || h.Kill("one", "") != 1 {
		t.Error("it was not thawed or not killed")
	}
	if _, raw := await(t, got); !strings.Contains(raw, "killed") {
		t.Errorf("the failure record is %s", raw)
	}
}

// A process that starts gets the variables of the moment.
func TestFaultsOfTheEnvironment(t *testing.T) {
	h, _ := recorded(t, plain("one"))
	h.SetFaults(lambda.Faults{Env: func(function, tenant string) map[string]string {
		return map[string]string{"SKEW": function + "/" + tenant}
	}})
	if got := invoke(t, h, "one", `{}`).Env; !slices.Contains(got, "SKEW=one/") {
		t.Errorf("the process has %q", got)
	}
}
