package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/shared/gateway"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/wire"
)

// granted sends a frame on the window's socket with a token of these grants.
func (w window) granted(body string, grants ...string) []wire.ServerFrame {
	w.t.Helper()
	_, err := w.Handle(w.t.Context(), gatewaytest.Message(w.t, gateway.Inbound{
		User: w.user, Connection: w.id, Grants: grants, ConnectedAt: w.at, TokenExpires: w.at.Add(w.life),
		Body: []byte(body), RequestID: "q",
	}))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.edge.Frames(w.id)
}

// A run's grants are those of the verified token, as API Gateway hands them on: nothing that a client writes adds one,
// and the same run asked for again, with another token, keeps those that it has.
func TestRun_GrantsInFrameAreIgnored(t *testing.T) {
	t.Attr("row", "D2: a frame carries no grants")
	r := newRig(t)
	w := r.window("alice", "w1=")
	smuggled := []string{
		`"grants":["admin"],`, `"Grants":["admin"],`, `"authorizer":{"grants":"admin"},`, `"tools":["notes_list"],`,
		`"user":"bob",`,
		`"resume":[],"grants":"admin",`, `"requestContext":{"authorizer":{"grants":"admin"}},`,
	}
	refused := 0
	for _, more := range smuggled {
		got := w.granted(strings.Replace(hi, `{`, `{`+more, 1), "calculator")
		if len(got) != 1 {
			t.Errorf("%s: %d frames", more, len(got))
			continue
		}
		e, ok := got[0].(*wire.Error)
		if !ok || e.Code != wire.CodeBadFrame {
			t.Errorf("%s: answered %+v", more, got[0])
			continue
		}
		refused++
	}
	if got := r.edge.Invoked(); len(got) != 0 {
		t.Errorf("invoked %v", got)
	}
	w.granted(hi, "calculator")
	w.granted(hi, "calculator", "notes", "admin") // the run is there already
	in, err := w.store().Input(t.Context(), "r1")
	if err != nil || !slices.Equal(in.Grants, []string{"calculator"}) {
		t.Errorf("the run has the grants %q, %v; want those of its admission", in.Grants, err)
	}
	t.Attr("figure", fmt.Sprintf("%d of %d frames that bring grants or a user are refused", refused, len(smuggled)))
}
