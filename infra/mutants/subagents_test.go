package mutants

// subagentGuards keep an agent that another one asks within the user's grants, and its messages in its own line.
func subagentGuards() []guard {
	const engine, file = "./shared/engine ", "shared/engine/subagent.go"
	return []guard{
		{
			name: "subagents: an agent is offered with its grant only", file: file, row: "D2",
			test: engine + "TestAsk_Grant",
			from: `if w.mayAsk(r.c.User) && len(r.path) < MaxDepth {`, to: `if len(r.path) < MaxDepth {`,
		},
		{
			name: "subagents: an agent is asked with its grant only", file: file, row: "D2",
			test: engine + "TestAsk_Grant",
			from: `case !who.mayAsk(r.c.User):`, to: `case who.Name == "":`,
		},
		{
			name: "subagents: no more than four wait", file: file, row: "D1",
			test: engine + "TestAsk_Depth",
			from: `case len(r.path) >= MaxDepth:`, to: `case len(r.path) > 7:`,
		},
		{
			name: "subagents: a child has no grant that its parent lacks", file: "shared/usercontext/child.go",
			row:  "D2",
			test: "./shared/usercontext TestChildWith",
			from: `		if c.Granted(g) {
			fewer[g] = true`, to: `		if g != "" {
			fewer[g] = true`,
		},
		{
			name: "subagents: the asking model reads no message of a line", file: "shared/engine/run.go", row: "D2",
			test: engine + "TestAsk_KilledAtEachEvent",
			from: `	c.History = agui.LineMessages(c.History, "")
`, to: ``,
		},
		{
			name: "subagents: a death is judged by line", file: "shared/agui/close.go", row: "D1",
			test: engine + "TestAsk_KilledAtEachEvent",
			from: `	for _, l := range slices.Backward(o.lines) {
		_, more := l.close(Marks{})
		closing`, to: `	for _, l := range o.lines[:1] {
		_, more := l.close(Marks{})
		closing`,
		},
		{
			name: "subagents: outside text counts below too", file: "shared/engine/outside.go",
			test: engine + "TestAsk_Outside",
			from: `r.outside && !requested || r.tainted`, to: `r.outside && !requested`,
		},
		{
			name: "subagents: an approved call of a line is made once", file: "shared/engine/subagent.go", row: "D1",
			test: engine + "TestAsk_Interrupt",
			from: `case len(p.Path) == 0 && !agui.HasResult(r.log, p.Call.ID):`, to: `case len(p.Path) == 0:`,
		},
	}
}

// handoffGuards keep a successor within the user's grants, a run with one agent at a time, and the person's texts apart
// from a model's.
func handoffGuards() []guard {
	const engine = "./shared/engine "
	return []guard{
		{
			name: "subagents: a question is not the person's text", file: "shared/engine/outside.go",
			test: engine + "TestAsk_Outside",
			from: `range r.said {`, to: `range r.c.History {
		m.SubagentRunID = ""`,
		},
		{
			name: "handoffs: a successor needs its grant", file: "shared/engine/handoff.go",
			test: engine + "TestHandoff_Grant",
			from: `	case !w.mayAsk(r.c.User):`, to: `	case w.Name == "":`,
		},
		{
			name: "handoffs: of two the first counts", file: "shared/engine/handoff.go",
			test: engine + "TestHandoff",
			from: `		if p.MayHaveRun && tookOver(r.log) {`, to: `		if p.MayHaveRun && r.handoffs > 9 {`,
		},
		{
			name: "handoffs: a worker that continues asks the successor", file: "shared/engine/run.go",
			test: engine + "TestHandoff_Limit",
			from: `range handoffsIn(c.Log) {`, to: `range handoffsIn(c.Log[:0]) {`,
		},
	}
}
