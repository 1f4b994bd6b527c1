package main

import (
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/gateway/gatewaytest"
)

func TestSamples(t *testing.T) {
	for _, name := range []string{"sweep-schedule", "sweep-failed"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.limits.Attempts = 1 // they end their run
			alice := r.person("alice")
			alice.admit("r1")
			alice.dies("r1")
			r.sweep(string(gatewaytest.Sample(t, name)))
			if got := alice.status("r1"); got != chat.RunRunning {
				t.Errorf("a run whose lease holds is %s", got)
			}
			r.advance(time.Minute)
			r.sweep(string(gatewaytest.Sample(t, name)))
			alice.ended("r1", chat.ThreadIdle)
		})
	}
}
