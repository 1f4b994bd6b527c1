package main

import (
	"strings"
	"testing"

	"carrel/agents"
	"carrel/shared/agent"
	"carrel/shared/agui"
	"carrel/shared/catalog"
	"carrel/shared/engine"
	"carrel/shared/model/scripted"
)

// advising gives a fixture the sample agent, which plays its script.
func (r *fixture) advising(t *testing.T) *fixture {
	t.Helper()
	set, err := agents.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	d, err := set.Find("advisor", catalog.Scopes(agents.Grants()))
	if err != nil {
		t.Fatal(err)
	}
	d.Grant, d.Default = agent.Open, true
	model := scripted.New(scripted.Config{Pace: -1, Script: d.Script})
	r.agents = agentsOf(t, agent.Agent{Definition: d, Candidates: []engine.Candidate{{Model: model}}})
	return r
}

// report returns the answer of a run.
func report(events []agui.Event) string {
	var b strings.Builder
	for _, e := range events {
		if e.Type == agui.TextMessageContent {
			b.WriteString(e.Delta)
		}
	}
	return b.String()
}

// A tool reads what the person wrote in this thread: in the run's message and in earlier ones. It reads nothing of
// another user's thread with the same name.
func TestTools_TextsOfThread(t *testing.T) {
	const table = "day,model,requests,input_tokens,output_tokens,cost_usd,latency_ms,errors\n" +
		"2026-01-01,big,1,1,1,3.25,5,0\n2026-01-02,big,1,1,1,4.5,5,0\n"
	r := newFixture(t, fast()).advising(t)
	bob := r.as(t, "auth0|bob")
	r.asks(t, "r1", "My usage:\n"+table, "usage")
	got := report(r.asks(t, "r2", "And now?", "usage"))
	if strings.Count(got, "AI cost and performance: 7.75 USD in 2 days") != 2 { // 3.25 + 4.50, in both runs
		t.Errorf("the table of an earlier run is not read: %s", got)
	}
	if got := report(bob.asks(t, "r1", "What does it cost?", "usage")); !strings.Contains(got, "## Not enough data") {
		t.Errorf("another user's thread gives %s", got)
	}
	if got := report(bob.asks(t, "r2", table)); strings.Contains(got, "USD") {
		t.Errorf("without the grant: %s", got)
	}
}
