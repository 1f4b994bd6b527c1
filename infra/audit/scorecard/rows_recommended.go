package main

import "slices"

// recommendations are rows E1 to E7.
func recommendations() []row { return slices.Concat(recommendationsOne(), recommendationsTwo()) }

// recommendationsOne are E1 to E2.
func recommendationsOne() []row {
	return []row{
		{
			id: "E1", claim: "One clean-up entry point, verified, without circles",
			here: "Close is the only one; sweep verifies from outside and reports residue; ownership points one way.",
			checks: []check{
				{pkg: auditPackage, test: "TestResourceCleanup", shows: "nothing is left after users have gone", amount: "50 users"},
				{pkg: "./functions/sweep", test: "TestResidueIsFound", shows: "what is planted as residue is found and told of"},
				{pkg: "./infra/cli/ops", test: "TestVerify", shows: "an operator's look at what is left"},
				{pkg: userContext, test: "TestResidueIsNotClean", shows: "a context with something left is not clean"},
				{pkg: userContext, test: "TestTwoRunsShareNothing", shows: "nothing of a run points in a circle"},
				{pkg: turnPackage, test: "TestTwoTurnsShareNothing", shows: "nothing that a turn makes points in a circle"},
			},
		},
		{
			id: "E2", claim: "Isolation violations are detected",
			here: "Every refusal of a guard is a metric, a record without content and an alarm within 60 s; no false alarm among clean events, of which the full size has a million.",
			checks: []check{
				{pkg: auditPackage, test: "TestEachViolationIsCounted", shows: "each guard's refusal is counted"},
				{pkg: auditPackage, test: "TestOrdinaryLifeIsNoViolation", shows: "no false alarm in ordinary life"},
				{pkg: messagePackage, test: "TestEveryFrameMustBeOfTheConnectionsUser", shows: "a frame's violation is recorded"},
				{pkg: messagePackage, test: "TestRefusedFramesAreCounted", shows: "a frame that is refused is counted"},
				{pkg: messagePackage, test: "TestARecordThatIsMissingIsNoViolation", shows: "a missing record is none"},
				{pkg: "./functions/connect", test: "TestAConnectOnAnothersConnectionIsAViolation", shows: "a connect's"},
				{pkg: "./functions/disconnect", test: "TestADisconnectForgetsItsOwnConnectionOnly", shows: "a disconnect's"},
				{pkg: "./functions/sweep", test: "TestSweepRefusesAConnectionOfAnothers", shows: "sweep's"},
				{pkg: turnPackage, test: "TestARunRefusesAConnectionOfAnothers", shows: "a run's"},
				{pkg: turnPackage, test: "TestAnEventThatNamesAnotherUser", shows: "an invocation's"},
				{pkg: "./infra/template", test: "TestAViolationRingsWithinAMinute", shows: "the alarm rings within a minute"},
				{pkg: "./infra/cli/canary", test: "TestCanary", shows: "two users against a running stack, one trying to reach the other"},
				{pkg: "./shared/monitor", test: "TestAViolationTellsTheGuardAndNotTheUser", shows: "a record tells the guard and not the user"},
				{pkg: "./infra/template", test: "TestAlarms", shows: "every alarm watches a metric that is written"},
				{pkg: auditPackage, test: "TestWebSocketIsolation", shows: "no false alarm among clean events"},
			},
		},
	}
}

// recommendationsTwo are E3 to E7.
func recommendationsTwo() []row {
	return []row{
		{
			id: "E3", claim: "Delivery is confirmed",
			here: "Each connection's acknowledged cursor, by hello and every ping; the lag is a metric.",
			checks: []check{
				{pkg: messagePackage, test: "TestClientsAcknowledge", shows: "cursors are kept, and their lag measured"},
				{pkg: auditPackage, test: "TestFault23SavedAndNotTold", shows: "what was saved and not told is missed at the next ping"},
			},
		},
		{
			id: "E4", claim: "Leaks are detected",
			here: "B6 and E1 as metrics with alarms.",
			checks: []check{
				{pkg: turnPackage, test: "TestResidueIsCounted", shows: "what a run leaves is a metric"},
				{pkg: "./functions/sweep", test: "TestResidueIsFound", shows: "what sweep finds is a metric"},
				{pkg: "./infra/template", test: "TestAlarms", shows: "there is an alarm on it"},
			},
		},
		{
			id: "E5", claim: "Creation is cheap",
			here: "A user context with engine, emitter and dispatcher in at most 20 µs and 100 allocations.",
			checks: []check{
				{pkg: userContext, test: "TestARunIsCheapToBegin", shows: "allocations"},
				{pkg: userContext, test: "TestARunIsQuickToBegin", shows: "time"},
			},
		},
		{
			id: "E6", claim: "Connections are pooled",
			here: "Clients are built once in main, keep their connections, and know no identity.",
			checks: []check{
				{pkg: auditPackage, test: "TestClientsArePooled", shows: "connections dialled beside requests made"},
				{pkg: auditPackage, test: "TestFault21ACancelledReadLeavesNoAnswer", shows: "a pooled connection gives nobody another's answer"},
			},
		},
		{
			id: "E7", claim: "The four suites",
			here: "Multi-user isolation, event isolation, clean-up and concurrent execution, by these names, over the whole local stack at 50 users.",
			checks: []check{
				{pkg: auditPackage, test: "TestMultiUserIsolation", shows: "multi-user isolation", amount: "50 users"},
				{pkg: auditPackage, test: "TestWebSocketIsolation", shows: "event isolation", amount: "50 users"},
				{pkg: auditPackage, test: "TestResourceCleanup", shows: "resource clean-up", amount: "50 users"},
				{pkg: auditPackage, test: "TestConcurrentExecution", shows: "concurrent execution", amount: "50 users"},
			},
		},
	}
}
