package main

// tools are rows D1 to D4.
func tools() []row {
	return []row{
		{
			id: "D1", claim: "A dispatcher for each request",
			here: "In this order: exists, permission, arguments against JSON Schema, handler with deadline and recover, bound of the result, record.",
			checks: []check{
				{pkg: toolPackage, test: "TestTheOrderOfTheChecks", shows: "the steps of a call in their order"},
				{pkg: toolPackage, test: "TestWhatBecomesOfACall", shows: "every way that a call can go"},
				{pkg: toolPackage, test: "TestAToolsOwnDeadline", shows: "each tool has its own deadline"},
				{pkg: toolPackage, test: "TestCallsPerRun", shows: "a tool's calls in a run are bounded"},
				{pkg: turnPackage, test: "TestACallsLimitIsTheRuns", shows: "over all attempts of the run"},
			},
		},
		{
			id: "D2", claim: "Permissions are the user's",
			here: "Denied by default, granted by the verified token, and a decision record for every call, allowed or not.",
			checks: []check{
				{pkg: turnPackage, test: "TestAModelThatObeysEverything", shows: "a model that obeys every text gets nothing that was not granted"},
				{pkg: turnPackage, test: "TestEveryCallIsAudited", shows: "a record of every decision, without content"},
				{pkg: messagePackage, test: "TestAFrameBringsNoGrants", shows: "a frame brings no grants"},
				{pkg: turnPackage, test: "TestWhoseGrantsARunHas", shows: "grants are those of the admission"},
				{pkg: enginePackage, test: "TestCallsThatAreNotMadeAreRecorded", shows: "calls that are never made are recorded"},
			},
		},
		{
			id: "D3", claim: "Tool events reach their user only",
			here: "Through the run's own emitter; START, ARGS, END and RESULT pair in every outcome.",
			checks: []check{
				{pkg: enginePackage, test: "TestEveryOutcomeOfCallsAtOnce", shows: "the events of a call pair, whatever becomes of it"},
				{pkg: enginePackage, test: "TestASlowCallHoldsUpNobody", shows: "a slow call holds up no other"},
			},
		},
		{
			id: "D4", claim: "Tools do not contaminate each other",
			here: "A tool is built for a run from that run's store and has no way to name a user; a tool without an isolation case fails the suite; no text talks a run into a tool that was not granted.",
			checks: []check{
				{pkg: turnPackage, test: "TestEveryToolKeepsUsersApart", shows: "every tool beside another user's data"},
				{pkg: auditPackage, test: "TestToolsOverTheWholeStack", shows: "texts that ask for other users' data and for tools not granted", slow: true},
				{pkg: "./shared/arch", test: "TestToolsCannotNameUsers", shows: "no tool can name a user"},
			},
		},
	}
}
