package mutants

import "slices"

// auditGuards are guards of rows of the audit (docs/audit.md), each with the fastest of its row's checks that notices.
// Other guards of rows are in the lists of their subjects.
func auditGuards() []guard { return slices.Concat(factoryGuards(), engineGuards(), webSocketGuards()) }

func factoryGuards() []guard {
	return []guard{
		{
			name: "audit: each run has a table of tools of its own", row: "A1", file: "shared/tool/dispatch.go",
			from: `tools: make(map[string]Tool, len(names))`, to: `tools: r.tools`,
			test: "./shared/usercontext TestSession_RunsOfTwoUsersShareNothing",
		},
		{
			name: "audit: a context carries one run", row: "A1", file: "shared/usercontext/phase.go",
			from: `if !c.move(Executing) {`, to: `if !c.move(Executing) && c.closed {`,
			test: "./shared/usercontext TestExecute_SecondRun",
		},
		{
			name: "audit: a user has five slots", row: "A2", file: "shared/runqueue/queue.go",
			from: `&& len(next.Slots) < p.Limits.Runs`, to: `&& len(next.Slots) <= p.Limits.Runs`,
			test: "./shared/runqueue TestQueue_RandomHistories",
		},
		{
			name: "audit: output is bounded", row: "A3", file: "shared/engine/run.go",
			from: `if after.OutputBytes > int64(r.limits.OutputBytes) {`,
			to:   `if after.OutputBytes > int64(r.limits.OutputBytes) && after.Events < 0 {`,
			test: "./shared/engine TestRun_LimitsOverAttempts",
		},
		{
			name: "audit: clean-ups run in reverse", row: "A4", file: "shared/usercontext/close.go",
			from: `for _, cb := range slices.Backward(callbacks) {`, to: `for _, cb := range callbacks {`,
			test: "./shared/usercontext TestClose_ReverseOrderAfterGoroutines",
		},
		{
			name: "audit: a clean-up may panic", row: "A4", file: "shared/usercontext/close.go",
			from: `err = fmt.Errorf("the clean-up panicked: %v", v)`, to: `err = nil`,
			test: "./shared/usercontext TestClose_CleanUpFails",
		},
		{
			name: "audit: runs are counted by outcome", row: "A5", file: "functions/turn/measure.go",
			from: `monitor.N(outcome(last), 1)`, to: `monitor.N(monitor.RunsFinished, 1)`,
			test: "./functions/turn TestMetrics_Runs",
		},
		{
			name: "audit: no dispatcher of a closed context", row: "A7", file: "shared/tool/dispatch.go",
			from: `p != usercontext.Active && p != usercontext.Executing {`,
			to:   `p != usercontext.Active && p != usercontext.Executing && r == nil {`,
			test: "./shared/tool TestNewDispatcher_Refused",
		},
	}
}

func engineGuards() []guard {
	return []guard{
		{
			name: "audit: children are at most ten deep", row: "B1", file: "shared/usercontext/child.go",
			from: `if c.depth == MaxDepth {`, to: `if c.depth == MaxDepth+1 {`,
			test: "./shared/usercontext TestChild_MaxDepth",
		},
		{
			name: "audit: a log is kept as long as the deployment says", row: "B5", file: "shared/store/append.go",
			from: `l.s.t.expiry(l.s.t.c.Limits.Retention)`, to: `l.s.t.expiry(chat.DefaultLimits().Retention)`,
			test: "./shared/store TestStore/dynoxide/Fault44Retention",
		},
		{
			name: "audit: a context is cleaned once nothing is left", row: "B6", file: "shared/usercontext/close.go",
			from: `		c.move(Cleaned)`, to: `		_ = Cleaned`,
			test: "./shared/usercontext TestClose_NothingRemains",
		},
		{
			name: "audit: a goroutine that still runs is residue", row: "E1", file: "shared/usercontext/close.go",
			from: `if c.through && len(c.running) == 0 && c.calling == 0 {`, to: `if c.through {`,
			test: "./shared/usercontext TestPhase_ResidueBeforeCleaned",
		},
		{
			name: "audit: a run's residue is counted", row: "E4", file: "functions/turn/measure.go",
			from: `left = residue.Count()`, to: `left = 0 * residue.Count()`,
			test: "./functions/turn TestMetrics_Residue",
		},
		{
			name: "audit: a run begins with few allocations", row: "E5", file: "shared/usercontext/usercontext.go",
			from: `	limits := withDefaults(c.Limits)`, to: `	limits := withDefaults(c.Limits)
	for range 100 {
		_ = fmt.Sprint(limits)
	}`,
			test: "./shared/usercontext TestNew_Allocations",
		},
	}
}

func webSocketGuards() []guard {
	return []guard{
		{
			name: "audit: package-level state is found", row: "C1", file: "shared/arch/state_test.go",
			from: `if !ok || g.Tok != token.VAR {`, to: `if !ok || g.Tok != token.VAR || len(f.text) > 0 {`,
			test: "./shared/arch TestState_PackageVariables",
		},
		{
			name: "audit: a connection has a thread from the start", row: "C2", file: "functions/connect/connect.go",
			from: `chat.ThreadID(chat.NewID(h.now()))`, to: `""`,
			test: "./functions/connect TestConnect_NewThreadAndNoPostsBeforeHello",
		},
		{
			name: "audit: the later of two hellos wins", row: "C2", file: "shared/store/connections.go",
			from: `present + " AND #n < :n`, to: `present + " AND (#n < :n OR #n >= :n)`,
			test: "./functions/message TestHello_Stale",
		},
		{
			name: "audit: a connection's queue is bounded", row: "C3", file: "shared/emit/subscriber.go",
			from: `if s.size+d.size > maxQueue {`, to: `if s.size+d.size > 1000*maxQueue {`,
			test: "./shared/emit TestEmitter_FullQueue",
		},
		{
			name: "audit: a failed append is repeated", row: "C3", file: "shared/emit/flush.go",
			from: `|| try == appendTries ||`, to: `|| try <= appendTries ||`,
			test: "./shared/emit TestEmit_FailedAppend",
		},
	}
}
