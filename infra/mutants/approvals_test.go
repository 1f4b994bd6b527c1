package mutants

// approvalGuards stand between a person's approval and a tool call: docs/protocol.md, "Interrupts".
func approvalGuards() []guard {
	const engine = "shared/engine/interrupts.go"
	return []guard{
		{
			name: "tools: a destructive call asks a person", file: "shared/tool/question.go",
			test: "./shared/tool TestDestructive",
			from: `if t.question == "" && t.effects.Destructive {`,
			to:   `if t.question == "" && t.effects.Destructive && t.grant == "" {`,
		},
		{
			name: "tools: arguments with a repeated key are rejected", file: "shared/tool/arguments.go",
			test: "./shared/tool TestArguments_SchemaAndGoAgree",
			from: `if keys[name] {`, to: `if keys[name] && n < 0 {`,
		},
		{
			name: "tools: an integer may be written as 1.0 or 1e0", file: "shared/tool/arguments.go",
			test: "./shared/tool TestArguments_SchemaAndGoAgree",
			from: `out.WriteString(digits(v.String()))`, to: `out.WriteString(v.String() + digits("")[:0])`,
		},
		{
			name: "tools: only a literal true approves a call", file: engine,
			test: "./functions/message TestRun_ResponsesThatNeedNotFit",
			from: `_, invalid := checkApproval(interrupt, payload)
		return invalid`, to: `return nil`,
		},
		{
			name: "tools: a call of unknown effect always requires approval", file: engine,
			test: "./shared/engine TestApproval_Forms",
			from: `if invalid != nil || !a.approved {`, to: `if invalid == nil && !a.approved {`,
		},
		{
			name: "tools: edited arguments fit the tool", file: "shared/engine/approval.go",
			test: "./shared/engine TestApproval_Forms",
			from: `if err := tool.CheckResponse(interrupt.ResponseSchema, payload); err != nil {`,
			to:   `if err := tool.CheckResponse(interrupt.ResponseSchema, payload); err != nil && payload == nil {`,
		},
		{
			name: "tools: an edited call is made as edited", file: "shared/engine/run.go",
			test: "./shared/engine TestApproval_Edited",
			from: `call.Arguments, call.Edited = p.Edited, true`, to: `call.Edited = true`,
		},
	}
}

// visibleGuards keep hidden characters out of the text on which a person decides.
func visibleGuards() []guard {
	const engine = "shared/engine/interrupts.go"
	return []guard{
		{
			name: "tools: a question hides nothing", file: "shared/tool/result.go",
			test: "./shared/tool TestInputError_Bounds",
			from: `q.Message, q.Schema = visible.Text(q.Message), visible.JSON(q.Schema)`, to: `_ = visible.Text`,
		},
		{
			name: "tools: the arguments of a question hide nothing", file: engine,
			test: "./shared/engine TestInterrupt_HiddenCharacters",
			from: `string(visible.JSON([]byte(call.Function.Arguments)))`, to: `call.Function.Arguments`,
		},
		{
			name: "tools: invisible characters are spelled out", file: "shared/visible/visible.go",
			test: "./shared/visible TestCases",
			from: `shown := t.direct && selects(c, t.base, next)`, to: `shown := selects(c, t.base, next)`,
		},
		{
			name: "tools: invisible characters in streamed text are spelled out", file: "shared/visible/writer.go",
			test: "./shared/visible TestWriter_Pieces",
			from: `if contextual(c) && !last && !utf8.FullRune(rest) {`, to: `if contextual(c) && last {`,
		},
		{
			name: "tools: a chat's terminal receives no control characters", file: "infra/cli/chat/session.go",
			test: "./infra/cli/chat TestHostileTitle",
			from: `std.out, std.err = out, visible.NewWriter(std.err)`, to: `out = visible.NewWriter(std.out)`,
			also: []edit{{file: "infra/cli/chat/threads.go", from: `visible.Line(row.Title)`,
				to: `row.Title + visible.Line("")`}},
		},
		{
			name: "tools: an operator's terminal receives no control characters", file: "infra/cli/ops/main.go",
			test: "./infra/cli/ops TestHostileSubject",
			from: `fmt.Fprintln(o.out, visible.Line(line))`, to: `fmt.Fprintln(o.out, line+visible.Line(""))`,
		},
		{
			name: "tools: choices that look the same are rejected", file: "shared/tool/ask/ask.go",
			test: "./shared/tool/ask TestAsk",
			from: `if other, there := seen[key]; there && other != c {`,
			to:   `if _, there := seen[key]; there && key == "" {`,
		},
		{
			name: "tools: a person's other arguments need a place", file: "infra/cli/chat/answers.go",
			test: "./infra/cli/chat TestAnswers",
			from: `if _, editable := shapeOf(q).Properties["arguments"]; !editable {`,
			to:   `if _, editable := shapeOf(q).Properties["arguments"]; !editable && arguments == "" {`,
		},
		{
			name: "tools: an answer that looks like two choices is rejected", file: "shared/tool/interrupts.go",
			test: "./shared/engine TestResponse_LooksLikeAChoice",
			from: `if len(alike) != 1 {`, to: `if len(alike) < 1 {`,
		},
	}
}
