package main

import (
	"strings"
	"testing"

	"carrel/agents"
	"carrel/shared/agent"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
	"carrel/shared/model/scripted"
	"carrel/shared/store"
)

// advised lets the sample's team answer a message, each agent by its script. It returns the texts of the run's parent
// line: those of the agent that was asked by the person.
func (r *fixture) advised(t *testing.T, run chat.RunID, text string, grants ...string) string {
	t.Helper()
	set, err := agents.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	r.agents, err = agent.NewRegistry(set, func(d agent.Definition) ([]engine.Candidate, error) {
		return []engine.Candidate{{Model: scripted.New(scripted.Config{Pace: -1, Script: d.Script})}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.store.Admit(t.Context(), store.Admission{
		Run: run, Thread: "t", Agent: "advisor", Grants: grants,
		Messages: []agui.Message{{ID: "u-" + string(run), Role: agui.RoleUser, Content: text}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.turn(t, run)
	var b strings.Builder
	for _, e := range r.events(t) {
		if e.Type == agui.RunStarted {
			b.Reset()
		}
		if e.Type == agui.TextMessageContent && e.SubagentRunID == "" {
			b.WriteString(e.Delta)
		}
	}
	return b.String()
}

// A tool reads what the person wrote in this thread, in the run's message and in earlier ones, also for an agent that
// another one asks. It reads nothing of another user's thread with the same name.
func TestTools_TextsOfThread(t *testing.T) {
	const table = "day,model,requests,input_tokens,output_tokens,cost_usd,latency_ms,errors\n" +
		"2026-01-01,big,1,1,1,3.25,5,0\n2026-01-02,big,1,1,1,4.5,5,0\n"
	r := newFixture(t, fast())
	bob := r.as(t, "auth0|bob")
	const want = "They suffice for a partial report." + "The colleagues are ready." +
		"## AI cost and performance: 7.75 USD in 2 days" // 3.25 + 4.50
	if got := r.advised(t, "r1", "My usage:\n"+table, "usage"); !strings.Contains(got, want) {
		t.Errorf("the table of the message is not read: %s", got)
	}
	if got := r.advised(t, "r2", "And now?", "usage"); !strings.Contains(got, want) {
		t.Errorf("the table of an earlier run is not read: %s", got)
	}
	got := bob.advised(t, "r1", "What does it cost?", "usage")
	if !strings.Contains(got, "They do not suffice.## Not enough data") {
		t.Errorf("another user's thread gives %s", got)
	}
}
