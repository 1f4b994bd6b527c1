package main

import (
	"slices"
	"testing"

	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/wire"
)

func TestSample(t *testing.T) {
	r := newRig(t)
	alice := r.window("alice", gatewaytest.SampleConnection)
	if _, err := r.Handle(t.Context(), gatewaytest.Sample(t, "message")); err != nil {
		t.Fatal(err)
	}
	if got := r.edge.Invoked(); !slices.Equal(got, []gatewaytest.Invocation{{User: alice.user, Run: "r1"}}) {
		t.Errorf("invoked %+v, want alice's r1", got)
	}
	accepted := func(f wire.ServerFrame) bool { _, ok := f.(*wire.Accepted); return ok }
	if got := r.edge.Frames(alice.id); !slices.ContainsFunc(got, accepted) {
		t.Errorf("posted %+v, want that the run was accepted", got)
	}
}
