package mutants

// suitesGuards are guards that the four suites of the audit, and the checks beside them, must notice.
func suitesGuards() []guard {
	const suites, turn = "./infra/audit/... ", "./functions/turn "
	return []guard{
		{
			name: "suites: no log contains users' messages", row: "B2", file: "functions/turn/turn.go",
			test: suites + "TestMultiUserIsolation",
			from: `t.log.WarnContext(ctx, "the run failed", "code", terminal.Code)`,
			to: `t.log.WarnContext(ctx, "the run failed", "code", terminal.Code,
				"input", t.lease.Input().RunInput())`,
		},
		{
			name: "suites: an event has one number", row: "E7", file: "shared/emit/subscriber.go",
			test: suites + "TestWebSocketIsolation",
			from: `Seq: seq, RunID: e.c.User.Run(), Events: events,`,
			to:   `Seq: seq + 1, RunID: e.c.User.Run(), Events: events,`,
		},
		{
			name: "suites: each turn closes its context", row: "E7", file: "functions/turn/handler.go",
			test: suites + "TestResourceCleanup",
			from: "	defer t.close(ctx)\n", to: "	defer t.stop()\n",
		},
		{
			name: "suites: a user who floods has five runs at a time", row: "E7", file: "shared/runqueue/queue.go",
			test: suites + "TestConcurrentExecution",
			from: `&& len(next.Slots) < p.Limits.Runs`, to: `&& len(next.Slots) <= p.Limits.Runs`,
		},
		{
			name: "suites: a model's error text reaches no client", row: "B4", file: "shared/engine/errors.go",
			test: turn + "TestTurn_ErrorsOfOneUser",
			from: `message: "The model could not answer. Try again in a moment.", cause: cause}`,
			to:   `message: cause.Error(), cause: cause}`,
		},
		{
			name: "suites: connections are kept", row: "E6", file: "shared/awsenv/http.go",
			test: suites + "TestClients_Pooled",
			from: `MaxIdleConnsPerHost: 64,`, to: `DisableKeepAlives:   true,`,
		},
	}
}
