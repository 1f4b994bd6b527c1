package main

import "slices"

// factories are rows A1 to A7.
func factories() []row { return slices.Concat(factoriesOne(), factoriesTwo()) }

// factoriesOne are A1 to A3.
func factoriesOne() []row {
	return []row{
		{
			id: "A1", claim: "The execution engine is complete for each request alone",
			here: "The engine is built from one user context for one run; two contexts in one warm process share no pointer that can be written, by a walk over both.",
			checks: []check{
				{pkg: userContext, test: "TestTwoRunsShareNothing", shows: "two users' runs in one process reach nothing in common"},
				{pkg: turnPackage, test: "TestTwoTurnsShareNothing", shows: "the same with all that a turn makes, its store among it"},
				{pkg: userContext, test: "TestAUsedContextCarriesNoSecondRun", shows: "a used context carries no second run"},
			},
		},
		{
			id: "A2", claim: "At most five runs of a user at a time",
			here: "At most five seats over all threads, devices and processes; 10,000 racing admissions never give a sixth.",
			checks: []check{
				{pkg: storePackage, test: "TestRaces", shows: "admissions raced from four processes through the real store", scale: scale{"RACES", "500", "10000", "10000"}, amount: "10000 admissions"},
				{pkg: storePackage, test: "TestRacingRuns", shows: "runs admitted, run, cancelled and started from many goroutines"},
				{pkg: auditPackage, test: "TestConcurrentExecution", shows: "who asks for many runs has five at a time", amount: "50 users"},
				{pkg: "./shared/desk", test: "TestRandomHistories", shows: "desks of all sizes through random histories"},
			},
		},
		{
			id: "A3", claim: "Limits of resources, memory among them",
			here: "Time, steps, output, tool calls and events of a run are bounded; passing one ends it with a named error, and 100 MB streamed grow the process by at most 32 MB.",
			checks: []check{
				{pkg: userContext, test: "TestAFloodEndsWithANamedErrorAndBoundedMemory", shows: "a model that streams 100 MB"},
				{pkg: enginePackage, test: "TestHowARunIsStopped", shows: "each limit ends a run under its own name"},
				{pkg: enginePackage, test: "TestLimitsHoldOverAttempts", shows: "a run's later attempts have what the earlier ones left"},
				{pkg: "./infra/template", test: "TestTheLimitsOfARun", shows: "which limits there are when nobody sets others, and 14 minutes at most"},
				{pkg: "./infra/template", test: "TestLimits", shows: "every function is told the same limits, and a run ends before its function does"},
			},
		},
	}
}

// factoriesTwo are A4 to A7.
func factoriesTwo() []row {
	return []row{
		{
			id: "A4", claim: "Clean-up callbacks, and a life cycle that is used",
			here: "One Close: reverse order, once, safe from panics, each callback with its deadline; no illegal move between the phases.",
			checks: []check{
				{pkg: userContext, test: "TestCloseCleansUpInReverseAfterTheGoroutines", shows: "in reverse order, after the goroutines"},
				{pkg: userContext, test: "TestOneBadCleanUpKeepsNoOtherFromRunning", shows: "a callback that panics, hangs or fails keeps no other from running"},
				{pkg: userContext, test: "TestNoIllegalMove", shows: "whatever is called in whatever order, only legal moves"},
			},
		},
		{
			id: "A5", claim: "Monitoring and metrics",
			here: "Contexts made, active, cleaned and their peak; runs by outcome; times; as embedded metrics.",
			checks: []check{
				{pkg: turnPackage, test: "TestRunsAreMeasured", shows: "runs by outcome, with their times and what they left"},
				{pkg: userContext, test: "TestAGaugeTellsWhatIsNew", shows: "contexts made, active, cleaned and their peak"},
			},
		},
		{
			id: "A6", claim: "An emitter for each user: health, delivery, ownership",
			here: "Bound for life to one user, thread and run; at least once to each live socket and once in each view; gone connections go; ownership is checked at each post.",
			checks: []check{
				{pkg: emitPackage, test: "TestEachPostIsChecked", shows: "owner, thread and token at each post"},
				{pkg: emitPackage, test: "TestEveryWatcherSeesWhatTheLogHas", shows: "every watcher sees what the log has"},
				{pkg: emitPackage, test: "TestAConnectionThatIsGoneIsForgotten", shows: "a connection that is gone is forgotten"},
				{pkg: emitPackage, test: "TestNothingIsPostedPastTheToken", shows: "nothing is posted past a token's end"},
				{pkg: auditPackage, test: "TestFault24NothingIsSentBeforeItIsSaved", shows: "nothing is sent before it is saved"},
			},
		},
		{
			id: "A7", claim: "Tool execution for each request, created safely",
			here: "A dispatcher is made from one user context, refuses after Close, and 1,000 are made at once without a race.",
			checks: []check{
				{pkg: toolPackage, test: "TestAThousandDispatchersAtOnce", shows: "a thousand dispatchers at once, each of its own user", amount: "1000 dispatchers"},
				{pkg: toolPackage, test: "TestWhoGetsNoDispatcher", shows: "no dispatcher without a live context"},
				{pkg: toolPackage, test: "TestACallOfAStoppedRunIsNotMade", shows: "no call once the run is stopped"},
				{pkg: toolPackage, test: "TestAHandlerThatStaysIsNamedByClose", shows: "a handler that does not go is named by Close"},
			},
		},
	}
}
