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

// meter hands what the parts of the stack see to the meters. What a function asks for belongs to the run that the
// environment's current invocation is about: an environment has one invocation at a time, and the session token of its
// credentials, or of those that it has got from STS by them, says which environment it is. So nothing is guessed from
// keys or bodies.
type meter struct {
	*meters.Meters
	stack *Stack
	host  atomic.Pointer[lambda.Host] // set once it serves
}

func newMeter(s *Stack) *meter { return &meter{Meters: meters.New(nil), stack: s} }

// Meters is what AWS would bill for, by function and by run, since the stack began.
func (s *Stack) Meters() *meters.Meters { return s.meter.Meters }

// subject is the run that an invocation is about: that of turn's event, or of the frame that came to message. A failure
// record, a schedule and a frame that names no run have none.
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
	return named([]byte(event.Body))
}

// named is the run that a client's frame names.
func named(frame []byte) string {
	var f struct {
		RunID string `json:"runId"`
	}
	if json.Unmarshal(frame, &f) != nil {
		return ""
	}
	return f.RunID
}

// who is at work with these credentials; caller is who has the access key, if no environment has the session.
func (m *meter) who(session, caller string) meters.For {
	if host := m.host.Load(); host != nil {
		if name, run := host.At(session); name != "" {
			return meters.For{Function: m.id(name), Run: run}
		}
	}
	return meters.For{Function: caller}
}

// id is the logical id of a function.
func (m *meter) id(name string) string {
	for _, f := range m.stack.template.Functions {
		if f.Name == name {
			return f.LogicalID
		}
	}
	return name
}

// requested counts a request of DynamoDB.
func (m *meter) requested(r proxy.Metered) {
	m.Add(m.who(m.stack.guard.STS.Origin(r.Session), r.Caller),
		meters.Use{Requests: 1, ReadUnits: r.ReadUnits, WriteUnits: r.WriteUnits})
}

// Posted implements apigateway.Meter.
func (m *meter) Posted(session string, bytes int, taken bool) {
	u := meters.Use{Posts: 1}
	if taken {
		u.Sent = meters.Messages(bytes)
	}
	m.Add(m.who(session, "posts of nobody's function"), u)
}

// Received implements apigateway.Meter.
func (m *meter) Received(function string, message []byte) {
	m.Add(meters.For{Function: m.id(function), Run: named(message)},
		meters.Use{Received: meters.Messages(len(message))})
}

// ran counts an invocation, and says what a run has used when its worker's ends.
func (m *meter) ran(w lambda.Work) {
	m.Add(meters.For{Function: m.id(w.Function), Run: w.Subject},
		meters.Use{Invocations: 1, GBSeconds: meters.GBSeconds(w.MemoryMB, w.Init+w.Took)})
	if w.Event && w.Subject != "" {
		m.stack.journal.add("meters", "run "+w.Subject+": "+sentence(m.Run(w.Subject)))
	}
}

// sentence is a use for the log.
func sentence(u meters.Use) string {
	return fmt.Sprintf("%d invocations, %.3f GB-s, %d DynamoDB requests, %g write and %g read units, %d posts (%d "+
		"messages out, %d in): $%s per million",
		u.Invocations, u.GBSeconds, u.Requests, u.WriteUnits, u.ReadUnits, u.Posts, u.Sent, u.Received,
		strings.TrimSuffix(fmt.Sprintf("%.1f", u.Dollars()*1e6), ".0"))
}

// serve answers /meters.json.
func (m *meter) serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(m.Read()) // who does not read it has gone
}
