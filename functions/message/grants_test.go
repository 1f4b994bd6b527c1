package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/shared/agent"
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

func TestRun_AgentWithoutGrant(t *testing.T) {
	r := newRig(t)
	r.agents = agentsOf(t, agent.Definition{Name: "first", Grant: agent.Open, Default: true},
		agent.Definition{Name: "auditor", Grant: "audit"})
	w := r.window("alice", "w1=")
	auditor := strings.Replace(hi, `"messages"`, `"agent":"auditor","messages"`, 1)
	for _, grants := range [][]string{nil, {"calculator"}, {"auditor"}, {"none"}} {
		got := w.granted(auditor, grants...)
		if e, ok := got[len(got)-1].(*wire.Rejected); !ok || e.Code != wire.CodeDenied {
			t.Errorf("with the grants %q: answered %+v, want rejected denied", grants, got[len(got)-1])
		}
	}
	if got := r.edge.Invoked(); len(got) != 0 {
		t.Errorf("invoked %v", got)
	}
	got := w.granted(auditor, "audit")
	if _, ok := got[len(got)-1].(*wire.Accepted); !ok {
		t.Errorf("with the agent's grant: answered %+v", got[len(got)-1])
	}
}

// Without a name in the frame, the agent that asked continues, and the user needs its grant.
func TestRun_AnsweringAgentWithoutGrant(t *testing.T) {
	r := newRig(t)
	r.agents = agentsOf(t, agent.Definition{Name: "first", Grant: agent.Open, Default: true},
		agent.Definition{Name: "auditor", Grant: "audit"})
	w := r.window("alice", "w1=")
	w.send(hi)
	w.puts("r1", w.wants("i1", "auditor"))
	bern := resumes("r2", `"status":"resolved","payload":{"city":"Bern"}`)
	got := w.granted(bern, "calculator")
	if e, ok := got[len(got)-1].(*wire.Rejected); !ok || e.Code != wire.CodeDenied {
		t.Errorf("without the grant: answered %+v, want rejected denied", got[len(got)-1])
	}
	got = w.granted(bern, "audit")
	if _, ok := got[len(got)-1].(*wire.Accepted); !ok {
		t.Errorf("with the grant: answered %+v", got[len(got)-1])
	}
}

// Ready lists the agents that the user may use, and no agent if there is only one.
func TestHello_Agents(t *testing.T) {
	r := newRig(t)
	r.agents = agentsOf(t, agent.Definition{Name: "first", Grant: agent.Open, Default: true},
		agent.Definition{Name: "auditor", Grant: "audit"}, agent.Definition{Name: "clerk", Grant: "books"})
	w := r.window("alice", "w1=")
	for grants, want := range map[string][]string{"": nil, "audit": {"first", "auditor"}, "books": {"first", "clerk"}} {
		ready, ok := w.granted(`{"type":"hello","n":1}`, grants)[0].(*wire.Ready)
		if !ok {
			t.Fatal("the hello has no ready")
		}
		var got []string
		for _, a := range ready.Agents {
			got = append(got, a.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("with the grants %q: offered %q, want %q", grants, got, want)
		}
	}
}
