package mutants

// approvalGuards are what stands between a person's answer and a call: docs/protocol.md, "Interrupts".
func approvalGuards() []guard {
	const engine = "shared/engine/interrupts.go"
	return []guard{
		{
			name: "tools: a destructive call asks a person", file: "shared/tool/effects.go", test: "./shared/tool TestDestructive",
			from: `if t.question == "" && t.effects.Destructive {`, to: `if t.question == "" && t.effects.Destructive && t.grant == "" {`,
		},
		{
			name: "tools: a key that stands twice is no argument", file: "shared/tool/arguments.go", test: "./shared/tool TestArguments_SchemaAndGoAgree",
			from: `if keys[name] {`, to: `if keys[name] && n < 0 {`,
		},
		{
			name: "tools: a whole number is one however it is written", file: "shared/tool/arguments.go", test: "./shared/tool TestArguments_SchemaAndGoAgree",
			from: `out.WriteString(digits(v.String()))`, to: `out.WriteString(v.String() + digits("")[:0])`,
		},
		{
			name: "tools: a yes that is none is no yes", file: engine, test: "./functions/message TestWhatNeedsNotFit",
			from: `_, invalid := checkApproval(question, payload)
		return invalid`, to: `return nil`,
		},
		{
			name: "tools: unknown never means yes, however it was admitted", file: engine, test: "./shared/engine TestApproval_WhatMeansYes",
			from: `if invalid != nil || !given.approved {`, to: `if invalid == nil && !given.approved {`,
		},
		{
			name: "tools: edited arguments fit the tool", file: "shared/engine/approval.go", test: "./shared/engine TestApproval_WhatMeansYes",
			from: `if err := tool.CheckResponse(question.ResponseSchema, payload); err != nil {`,
			to:   `if err := tool.CheckResponse(question.ResponseSchema, payload); err != nil && payload == nil {`,
		},
		{
			name: "tools: an edited call is made as edited", file: "shared/engine/run.go", test: "./shared/engine TestApproval_Edited",
			from: `call.Arguments, call.Edited = p.Edited, true`, to: `call.Edited = true`,
		},
	}
}

// visibleGuards are what keeps hidden characters out of what a person decides by.
func visibleGuards() []guard {
	const engine = "shared/engine/interrupts.go"
	return []guard{
		{
			name: "tools: a question hides nothing", file: "shared/tool/result.go", test: "./shared/tool TestWhatAHandlerMayAsk",
			from: `q.Message, q.Schema = visible.Text(q.Message), visible.JSON(q.Schema)`, to: `_ = visible.Text`,
		},
		{
			name: "tools: the arguments of a question hide nothing", file: engine, test: "./shared/engine TestQuestion_HidesNothing",
			from: `string(visible.JSON([]byte(call.Function.Arguments)))`, to: `call.Function.Arguments`,
		},
		{
			name: "tools: what nobody sees is spelled out", file: "shared/visible/visible.go", test: "./shared/visible TestCases",
			from: `shown := t.direct && selects(c, t.base, next)`, to: `shown := selects(c, t.base, next)`,
		},
		{
			name: "tools: what comes in pieces is spelled out too", file: "shared/visible/writer.go", test: "./shared/visible TestWriter_Pieces",
			from: `if contextual(c) && !last && !utf8.FullRune(rest) {`, to: `if contextual(c) && last {`,
		},
		{
			name: "tools: a chat's terminal is not commanded", file: "infra/cli/chat/session.go", test: "./infra/cli/chat TestHostileTitle",
			from: `std.out, std.err = out, visible.NewWriter(std.err)`, to: `out = visible.NewWriter(std.out)`,
			also: []edit{{file: "infra/cli/chat/threads.go", from: `visible.Line(row.Title)`, to: `row.Title + visible.Line("")`}},
		},
		{
			name: "tools: an operator's terminal is not commanded", file: "infra/cli/ops/main.go", test: "./infra/cli/ops TestHostileSubject",
			from: `fmt.Fprintln(o.out, visible.Line(line))`, to: `fmt.Fprintln(o.out, line+visible.Line(""))`,
		},
		{
			name: "tools: choices that look the same are none", file: "shared/tool/ask/ask.go", test: "./shared/tool/ask TestAsk",
			from: `if other, there := seen[key]; there && other != c {`, to: `if _, there := seen[key]; there && key == "" {`,
		},
		{
			name: "tools: a person's other arguments need a place", file: "infra/cli/chat/answers.go", test: "./infra/cli/chat TestAnswers",
			from: `if _, editable := shapeOf(q).Properties["arguments"]; !editable {`, to: `if _, editable := shapeOf(q).Properties["arguments"]; !editable && arguments == "" {`,
		},
		{
			name: "tools: an answer that looks like two choices is none", file: "shared/tool/interrupts.go", test: "./shared/engine TestAnswer_LooksLikeAChoice",
			from: `if len(alike) != 1 {`, to: `if len(alike) < 1 {`,
		},
	}
}
