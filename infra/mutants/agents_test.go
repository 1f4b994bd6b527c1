package mutants

// agentGuards are the rules of docs/agents.md.
func agentGuards() []guard {
	return []guard{
		{
			name: "agents: a run needs the grant of its agent", file: "shared/agent/definition.go",
			test: "./functions/message TestRun_AgentWithoutGrant",
			from: `if d.Grant != Open && !slices.Contains(grants, d.Grant) {`, to: `if false {`,
		},
		{
			name: "agents: an agent that continues a run needs its grant too", file: "functions/message/interrupts.go",
			test: "./functions/message TestRun_AnsweringAgentWithoutGrant",
			from: `r.agents.Find(a.Agent, r.in.Grants)`, to: `r.agents.Find("", r.in.Grants)`,
		},
	}
}
