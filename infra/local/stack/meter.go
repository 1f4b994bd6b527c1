package stack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/lambda"
	"carrel/infra/local/meters"
)

// meter passes the use that the parts of the stack observe to the meters. It attributes each request to the run that
// the calling environment is working on. An environment handles one invocation at a time, and the session token of a
// request's credentials identifies the environment; this includes credentials that the environment got from STS. The
// attribution therefore never depends on keys or bodies.
type meter struct {
	*meters.Meters
	stack *Stack
	host  atomic.Pointer[lambda.Host] // set once the host serves
}

func newMeter(s *Stack) *meter { return &meter{Meters: meters.New(nil), stack: s} }

// Meters returns the use that AWS would bill, by function and by run, since the stack started.
func (s *Stack) Meters() *meters.Meters { return s.meter.Meters }

// subject returns the id of the run that an invocation's payload names: in turn's event, or in the client frame inside
// message's event. It returns "" for failure records, schedules and frames that name no run.
func subject(payload []byte) string {
	var event struct {
		Run  string `json:"run"`
		Body string `json:"body"`
	}
	if json.Unmarshal(payload, &event) != nil {
		return ""
	}
	if event.Run != "" {
		return event.Run
	}
	return frameRun([]byte(event.Body))
}

// frameRun returns the run id in a client's frame, or "".
func frameRun(frame []byte) string {
	var f struct {
		RunID string `json:"runId"`
	}
	if json.Unmarshal(frame, &f) != nil {
		return ""
	}
	return f.RunID
}

// attribute returns the function and run to charge for a request with this session token. If the token belongs to no
// environment, it charges caller, the owner of the access key.
func (m *meter) attribute(session, caller string) meters.For {
	if host := m.host.Load(); host != nil {
		if name, run := host.Serving(session); name != "" {
			return meters.For{Function: m.id(name), Run: run}
		}
	}
	return meters.For{Function: caller}
}

// id returns the logical id of the function with this name.
func (m *meter) id(name string) string {
	for _, f := range m.stack.template.Functions {
		if f.Name == name {
			return f.LogicalID
		}
	}
	return name
}

// requested counts a request to DynamoDB.
func (m *meter) requested(r proxy.Metered) {
	m.Add(m.attribute(m.stack.guard.STS.Origin(r.Session), r.Caller),
		meters.Use{Requests: 1, ReadUnits: r.ReadUnits, WriteUnits: r.WriteUnits})
}

// Posted implements apigateway.Meter.
func (m *meter) Posted(session string, bytes int, taken bool) {
	u := meters.Use{Posts: 1}
	if taken {
		u.Sent = meters.Messages(bytes)
	}
	m.Add(m.attribute(session, "posts of unknown callers"), u)
}

// Received implements apigateway.Meter.
func (m *meter) Received(function string, message []byte) {
	m.Add(meters.For{Function: m.id(function), Run: frameRun(message)},
		meters.Use{Received: meters.Messages(len(message))})
}

// ran counts an invocation. At the end of a turn invocation it also logs what the run has used so far.
func (m *meter) ran(w lambda.Work) {
	m.Add(meters.For{Function: m.id(w.Function), Run: w.Subject},
		meters.Use{Invocations: 1, GBSeconds: meters.GBSeconds(w.MemoryMB, w.Init+w.Took)})
	if w.Event && w.Subject != "" {
		m.stack.journal.add("meters", "run "+w.Subject+": "+summary(m.Run(w.Subject)))
	}
}

// summary describes a use in one line of the log.
func summary(u meters.Use) string {
	return fmt.Sprintf("%d invocations, %.3f GB-s, %d DynamoDB requests, %g write and %g read units, "+
		"%d posts (%d messages out, %d in): $%s per million",
		u.Invocations, u.GBSeconds, u.Requests, u.WriteUnits, u.ReadUnits, u.Posts, u.Sent, u.Received,
		strings.TrimSuffix(fmt.Sprintf("%.1f", u.Dollars()*1e6), ".0"))
}

// serve answers /meters.json.
func (m *meter) serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(m.Read()) // a write error means that the client has disconnected
}
