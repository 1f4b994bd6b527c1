package main

import (
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/gateway/gatewaytest"
)

func TestSamples(t *testing.T) {
	for name, code := range map[string]string{
		"sweep-schedule": engine.CodeDied, "sweep-failed": engine.CodeDied, "sweep-expired": engine.CodeNoCapacity,
	} {
		t.Run(name, func(t *testing.T) {
			r := newFixture(t)
			r.limits.Attempts = 1 // so that each event ends the run
			alice := r.person("alice")
			alice.admit("r1")
			r.sweep(string(gatewaytest.Sample(t, "sweep-schedule")))
			if got := alice.status("r1"); got != chat.RunAdmitted {
				t.Errorf("a run that is not due is %s", got)
			}
			if code == engine.CodeDied {
				alice.claims("r1", "e4b46cbf-b738-44ef-a3f2-9d4b1e1b1c53") // the request id in the record
			} else {
				r.advance(2 * time.Minute)
			}
			r.advance(61 * time.Second)
			r.sweep(string(gatewaytest.Sample(t, name)))
			alice.endedWith(code, "r1", chat.ThreadIdle)
		})
	}
}
