package main

// tools are rows D1 to D4.
func tools() []row {
	return []row{
		{
			id: "D1", claim: "A dispatcher for each request",
			here: "In this order: exists, permission, arguments against JSON Schema, handler with deadline and recover, bound of the result, record.",
			checks: []check{
				{pkg: toolPackage, test: "TestOrderOfACall", shows: "the steps of a call in their order"},
				{pkg: toolPackage, test: "TestWhatBecomesOfACall", shows: "every way that a call can go"},
				{pkg: toolPackage, test: "TestAResultIsBoundedAsJSON", shows: "a result is bounded"},
				{pkg: toolPackage, test: "TestACallEndsWhenItMust", shows: "a call ends when it must"},
				{pkg: toolPackage, test: "TestAToolsOwnDeadline", shows: "a tool's own deadline"},
				{pkg: toolPackage, test: "TestCallsPerRun", shows: "how often a run may call a tool"},
				{pkg: turnPackage, test: "TestACallsLimitIsTheRuns", shows: "the same, over all attempts at a run"},
			},
		},
		{
			id: "D2", claim: "Permissions are the user's",
			here: "Denied by default, granted by the verified token, and a decision record for every call, allowed or not.",
			checks: []check{
				{pkg: toolPackage, test: "TestDefaultDeny", shows: "nothing is allowed that is not granted"},
				{pkg: toolPackage, test: "TestEveryCallIsDecided", shows: "a record of every decision"},
				{pkg: turnPackage, test: "TestEveryCallIsAudited", shows: "the record, in the function's log"},
				{pkg: enginePackage, test: "TestCallsThatAreNotMadeAreRecorded", shows: "a record also of what was never called"},
				{pkg: turnPackage, test: "TestWhoseGrantsARunHas", shows: "the grants are those of the admission"},
				{pkg: turnPackage, test: "TestInjection", shows: "no text talks a run into a tool that was not granted"},
				{pkg: messagePackage, test: "TestAFrameBringsNoGrants", shows: "a frame brings none"},
				{pkg: toolPackage, test: "TestSpecsAreWhatTheRunMayCall", shows: "a model is shown what its run may call, and no more"},
			},
		},
		{
			id: "D3", claim: "Tool events reach their user only",
			here: "Through the run's own emitter; START, ARGS, END and RESULT pair in every outcome.",
			checks: []check{
				{pkg: enginePackage, test: "TestEveryOutcomePairsItsEvents", shows: "the events of a call pair, whatever becomes of it"},
				{pkg: enginePackage, test: "TestASlowCallHoldsUpNobody", shows: "so many at a time, and none waits for a slow one"},
				{pkg: enginePackage, test: "TestResultsComeInTheOrderOfTheCalls", shows: "calls side by side, results in their order"},
				{pkg: turnPackage, test: "TestAnAnswersCallIsPairedWhateverHappens", shows: "a call that a person was asked about, whatever ends the answering run"},
				{pkg: turnPackage, test: "TestToolRun", shows: "a run with a tool, as a client sees it"},
			},
		},
		{
			id: "D4", claim: "Tools do not contaminate each other",
			here: "A tool is built for a run from that run's store and has no way to name a user; a tool without an isolation case fails the suite; no text talks a run into a tool that was not granted.",
			checks: []check{
				{pkg: turnPackage, test: "TestEveryToolHasAnIsolationCase", shows: "every tool beside another user's data"},
				{pkg: turnPackage, test: "TestInjection", shows: "texts that ask for other users' data and for tools not granted"},
				{pkg: toolPackage, test: "TestIdempotencyKeysOfTwoUsers", shows: "what a call is known by elsewhere is its user's"},
				{pkg: auditPackage, test: "TestToolsOverTheWholeStack", shows: "the same over the whole stack, with tokens of fewer grants"},
				{pkg: turnPackage, test: "TestAToolThatMixesUsersIsNoticed", shows: "a tool that mixes users is noticed"},
				{pkg: "./shared/arch", test: "TestToolsCannotNameUsers", shows: "no tool's package names a user"},
				{pkg: turnPackage, test: "TestNotesInARun", shows: "a run's notes are its user's"},
				{pkg: auditPackage, test: "TestNotesNeverMeet", shows: "two users' notes over the whole stack"},
			},
		},
	}
}
