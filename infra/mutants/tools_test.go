package mutants

import "slices"

// toolsGuards keep a model from calls that it must not make: docs/tools.md.
func toolsGuards() []guard {
	return slices.Concat(callGuards(), callLimitGuards(), auditedGuards(), apartGuards(), pairGuards(), answerGuards(),
		approvalGuards(),
		visibleGuards(), subagentGuards(), handoffGuards(), foreignToolGuards(), outsideGuards(), guardedGuards(),
		mcpGuards())
}

func callGuards() []guard {
	const tools, dispatch = "./shared/tool ", "shared/tool/dispatch.go"
	return []guard{
		{
			name: "tools: default deny", file: dispatch, row: "D2", test: "./functions/turn TestInjection",
			from: `if !d.user.Granted(t.grant) {
		return Result{Outcome: Denied`, to: `if !d.user.Granted(t.grant) && t.grant == "" {
		return Result{Outcome: Denied`,
		},
		{
			name: "tools: the permission before the arguments", file: dispatch, row: "D1",
			test: tools + "TestCall_OrderOfChecks",
			from: `if !d.user.Granted(t.grant) {
		return Result{Outcome: Denied`, to: `if !d.user.Granted(t.grant) &&
		t.check(json.RawMessage(c.Arguments)) == nil {
		return Result{Outcome: Denied`,
		},
		{
			name: "tools: the arguments before the limit", file: dispatch, row: "D1",
			test: tools + "TestCall_OrderOfChecks",
			from: `if err := t.check(json.RawMessage(c.Arguments)); err != nil {`,
			to:   `if err := t.check(json.RawMessage(c.Arguments)); err != nil && d.count(t, c.ID) {`,
		},
		{
			name: "tools: arguments are checked", file: dispatch, row: "D1", test: tools + "TestCall_Outcomes",
			from: `if err := t.check(json.RawMessage(c.Arguments)); err != nil {`,
			to:   `if err := t.check(json.RawMessage(c.Arguments)); err != nil && c.Arguments == "{" {`,
		},
		{
			name: "tools: a panic becomes a result", file: dispatch, row: "D1", test: tools + "TestCall_Outcomes",
			from: `if v := recover(); v != nil {`, to: `if v := error(nil); v != nil {`,
		},
	}
}

// callLimitGuards bound a call and end it with its run.
func callLimitGuards() []guard {
	const tools, dispatch = "./shared/tool ", "shared/tool/dispatch.go"
	return []guard{
		{
			name: "tools: a call has its deadline", file: dispatch, row: "D1", test: tools + "TestDeadline",
			from: `context.WithTimeoutCause(ctx, t.limits.time, callTimeError{})`,
			to:   `context.WithTimeoutCause(ctx, callTime, callTimeError{})`,
		},
		{
			name: "tools: a result is bounded", file: "shared/tool/limits.go", row: "D1",
			test: tools + "TestCall_OrderOfChecks",
			from: `bound(text, t.limits.result)`, to: `bound(text, MaxResult)`,
		},
		{
			name: "tools: a run's calls of one tool are bounded", file: dispatch, row: "D1",
			test: tools + "TestCallsPerRun",
			from: `return c.calls[t.spec.Name] <= t.limits.calls`, to: `return c.calls[t.spec.Name] > 0`,
		},
		{
			name: "tools: an attempt's calls count for the next", file: "functions/turn/tools.go", row: "D1",
			test: "./functions/turn TestTools_CallLimitOverAttempts",
			from: `d.CountPrevious(s.events)`, to: `d.CountPrevious(nil)`,
		},
		{
			name: "tools: a dispatcher is of an open context", file: dispatch, row: "A7",
			test: tools + "TestNewDispatcher_Refused",
			from: `p != usercontext.Active && p != usercontext.Executing {`,
			to:   `p != usercontext.Active && p != usercontext.Executing && len(names) > 0 {`,
		},
		{
			name: "tools: no call after Close", file: dispatch, row: "A7",
			test: tools + "TestCall_StoppedRun",
			from: `if ctx.Err() != nil || d.user.Context().Err() != nil {`, to: `if ctx.Err() != nil {`,
		},
	}
}

func auditedGuards() []guard {
	const turn, file = "./functions/turn ", "functions/turn/tools.go"
	return []guard{
		{
			name: "tools: the record reaches the log", file: file, row: "D2", test: turn + "TestTools_AuditRecords",
			from: `d.Record = t.recordDecision`, to: `_ = t.recordDecision`,
		},
		{
			name: "tools: denied calls are counted", file: file, row: "D2", test: turn + "TestTools_AuditRecords",
			from: `if d.Outcome == tool.Denied {`, to: `if d.Outcome == tool.Unknown && d.Grant != "" {`,
		},
		{
			name: "tools: a made-up name is content", file: "shared/tool/dispatch.go", row: "D2",
			test: turn + "TestTools_AuditRecords",
			from: `Tool: t.spec.Name, Grant: t.grant, Outcome`, to: `Tool: c.Name, Grant: t.grant, Outcome`,
		},
		{
			name: "tools: calls that are never made are recorded", file: "shared/engine/run.go", row: "D2",
			test: "./shared/engine TestRun_SkippedCallsAreRecorded",
			from: `r.c.Tools.RecordSkipped(toCall(c), tool.NotCalled)`, to: `_ = toCall(c)`,
		},
		{
			name: "tools: a frame brings no grants", file: "functions/message/run.go", row: "D2",
			test: "./functions/message TestRun_GrantsInFrameAreIgnored",
			from: `Grants: r.in.Grants, WhenBusy: f.WhenBusy,`,
			to:   `Grants: append(r.in.Grants, "admin"), WhenBusy: f.WhenBusy,`,
		},
		{
			name: "tools: a run has the grants of its admission", file: "functions/turn/handler.go", row: "D2",
			test: turn + "TestTools_GrantsOfARun",
			from: `Grants: in.Grants, Limits`,
			to:   `Grants: append(in.Grants, "notes"), Limits`,
		},
	}
}

func apartGuards() []guard {
	const apart = "./functions/turn TestTools_IsolationCases"
	return []guard{
		{
			name: "tools: made from the run's own store", file: "functions/turn/tools.go", row: "D4", test: apart,
			from: `func (h *handler) registry(s *store.Store) (*tool.Registry, error) {
`, to: `var warm *store.Store

func (h *handler) registry(s *store.Store) (*tool.Registry, error) {
	if warm == nil {
		warm = s
	}
	s = warm
`,
		},
		{
			name: "tools: a tool without an isolation case is noticed",
			file: "shared/tool/tooltest/cases.txtar", row: "D4",
			test: apart,
			from: "-- clock --", to: "-- hourglass --",
		},
		{
			name: "tools: a tool package cannot name a user", file: "shared/arch/tools_test.go", row: "D4",
			test: "./shared/arch TestTools_NoUsers",
			from: `{"Note", "ErrNotFound", "ErrFull"}`, to: `{"Note", "ErrNotFound", "ErrFull", "User"}`,
		},
	}
}

func pairGuards() []guard {
	const engine, file = "./shared/engine ", "shared/engine/run.go"
	return []guard{
		{
			name: "tools: each call has its result", file: file, row: "D3",
			test: engine + "TestRun_EveryOutcomeHasAResult",
			from: `		waiting = waiting[1:]
`, to: `		waiting = waiting[1:]
		if result.Outcome == tool.TimedOut {
			continue
		}
`,
		},
		{
			name: "tools: the number of parallel calls is limited", file: file, row: "D3", test: engine +
				"TestRun_SlowCall",
			from: `places := make(chan struct{}, maxParallel)`, to: `places := make(chan struct{}, maxParallel*100)`,
		},
		{
			name: "tools: a call does not wait for the call before it", file: file, row: "D3",
			test: engine + "TestRun_SlowCall",
			from: `places := make(chan struct{}, maxParallel)`, to: `places := make(chan struct{}, 1)`,
		},
	}
}

func answerGuards() []guard {
	const judge, turn = "functions/message/interrupts.go", "./functions/turn TestResponse_CallHasResultInEveryCase"
	return []guard{
		{
			name: "tools: an answer has to fit its question", file: judge,
			test: "./functions/message TestRun_ResponseMustFitInterrupt",
			from: `wrong != nil {`, to: `wrong != nil && wrong.Field == "" {`,
		},
		{
			name: "tools: the run that requested input continues", file: judge,
			test: "./functions/message TestRun_AgentOfResponse",
			from: `if a.Agent == "" {`, to: `if a.Agent == "nobody" {`,
		},
		{
			name: "tools: a request for input can be answered", file: "shared/tool/dispatch.go",
			test: "./shared/tool TestInputError_Bounds",
			from: `if _, err := resolve(q.Schema); err != nil {`,
			to:   `if _, err := resolve(q.Schema); err != nil && t.grant == "" {`,
		},
		{
			name: "tools: an answer's call has its result", file: "functions/turn/turn.go", row: "D3", test: turn,
			from: `agui.Close(s.events, t.lease.Input().AnsweredCalls()...)`, to: `agui.Close(s.events)`,
		},
		{
			name: "tools: an answer's call is recorded", file: "functions/turn/turn.go", test: turn,
			from: `config.Tools.RecordSkipped(tool.Call{`, to: `_ = (tool.Call{`,
			also: []edit{{file: "functions/turn/turn.go", from: `f.Arguments}, tool.NotCalled)`,
				to: `f.Arguments})`}},
		},
		{
			name: "tools: a stopped run records the calls it skips", file: "shared/tool/dispatch.go", test: turn,
			from: `if p := uc.Phase(); p`, to: `if p := uc.Phase(); uc.Context().Err() != nil || p`,
		},
		{
			name: "tools: an answer's call has its result from sweep too", file: "functions/sweep/user.go",
			test: "./functions/sweep TestSweep_EndedRunIsComplete",
			from: `emit.Died(previous, asked, started)`, to: `emit.Died(previous, asked[:0], started)`,
		},
	}
}
