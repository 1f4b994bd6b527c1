package main

import "slices"

// engines are rows B1 to B6.
func engines() []row { return slices.Concat(enginesOne(), enginesTwo()) }

// enginesOne are B1 to B2.
func enginesOne() []row {
	return []row{
		{
			id: "B1", claim: "A user context with all of a user's state",
			here: "User, thread, run, request, grants, limits and metrics; copied in and out; children keep user, thread and run, to a depth of 10. No code can make a user of its own.",
			checks: []check{
				{pkg: userContext, test: "TestWhatItSays", shows: "what a context says, and that it is a copy"},
				{pkg: userContext, test: "TestAChildIsOfTheSameRun", shows: "a child is of the same user, thread and run"},
				{pkg: userContext, test: "TestDepthIsBounded", shows: "depth is at most 10"},
				{pkg: "./shared/arch", test: "TestUsersCannotBeMade", shows: "code that makes or smuggles a user does not compile"},
				{pkg: "./shared/arch", test: "TestForgedUsersAreNobody", shows: "what compiles leaves nobody"},
				{pkg: "./shared/arch", test: "TestUsersAreMadeAtTheEdgeAlone", shows: "users are made in named files"},
				{pkg: "./shared/arch", test: "TestUsersComeThroughDoors", shows: "which functions give a user, and to whom"},
				{pkg: "./shared/arch", test: "TestEveryTakerIsFound", shows: "whatever takes a user is tried with nobody"},
				{pkg: "./shared/arch", test: "TestNothingGoesRoundTheTypes", shows: "no unsafe, no reflection, no C"},
				{pkg: "./shared/arch", test: "TestTheGoCommandBuildsOnlyWhatTheRulesRead", shows: "nothing is built that the rules do not read"},
				{pkg: "./shared/arch", test: "TestTheZeroUserIsRefused", shows: "nobody is refused everywhere"},
			},
		},
		{
			id: "B2", claim: "No state leaks between users who work at once",
			here: "50 users with secret markers in messages, tool data, errors and model history: no marker in anybody else's frames, model input or store.",
			checks: []check{
				{pkg: auditPackage, test: "TestMultiUserIsolation", shows: "users with secret markers on the whole stack", amount: "50 users"},
				{pkg: auditPackage, test: "TestFault22AWarmProcessKeepsNobody", shows: "a warm process keeps nobody, without tenant isolation too"},
				{pkg: turnPackage, test: "TestARunOfAnotherOwner", shows: "a tenant works on no run of another owner"},
				{pkg: turnPackage, test: "TestAnEventThatNamesAnotherUser", shows: "an event that names a second user"},
				{pkg: "./shared/gateway", test: "TestWhoseRunItIs", shows: "whose run it is stands in one place"},
				{pkg: "./infra/local/lambda", test: "TestSDKIsRefused", shows: "no invocation without its tenant"},
			},
		},
	}
}

// enginesTwo are B3 to B6.
func enginesTwo() []row {
	return []row{
		{
			id: "B3", claim: "Database queries are the user's own",
			here: "Every method of the store × own, another's, colliding and absent names; a method without a case fails the suite.",
			checks: slices.Concat(aliases(), []check{
				{pkg: storePackage, test: "TestStore/dynoxide/Isolation", shows: "every method of the store against users whose names nearly meet"},
				{pkg: auditPackage, test: "TestIAMMatrix", shows: "every method with somebody else's credentials, on the template's policies"},
				{pkg: auditPackage, test: "TestARequestWithTwoMeanings", shows: "requests past the SDK that could be read as the user's own"},
				{pkg: storePackage, test: "FuzzKeys", shows: "no key of one user lies among those of another"},
				{pkg: storePackage, test: "TestEveryKeyIsFuzzed", shows: "every key there is"},
				{pkg: "./shared/internal/principal", test: "FuzzKey", shows: "escaping is injective"},
				{pkg: "./shared/internal/principal", test: "TestFromKeyRefusesWhatKeyCannotReturn", shows: "only what was escaped is a key"},
				{pkg: "./shared/arch", test: "TestKeysAreBuiltInOnePlace", shows: "keys are built in one file"},
			}),
		},
		{
			id: "B4", claim: "One user's errors stay that user's",
			here: "A panic, timeout, nil result, model error or poison input ends that run with one terminal event; the others of 50 finish untouched.",
			checks: []check{
				{pkg: auditPackage, test: "TestConcurrentExecution", shows: "runs that go wrong beside users who notice nothing", amount: "50 users"},
				{pkg: turnPackage, test: "TestOneUsersErrorsTouchNobodyElse", shows: "mishaps of every kind in one process"},
				{pkg: "./functions/sweep", test: "TestAFailedTurnIsItsUsersAlone", shows: "a failed turn ends no run of another's with the same id"},
				{pkg: turnPackage, test: "TestWhateverHappensARunEndsOnce", shows: "whatever happens, a run ends once and its thread goes on"},
			},
		},
		{
			id: "B5", claim: "Run history and metrics of each user",
			here: "Kept in the user's own partition, paged, and bounded by retention.",
			checks: []check{
				{pkg: messagePackage, test: "TestRunsArePaged", shows: "a user's runs, page by page"},
				{pkg: storePackage, test: "TestStore/dynoxide/Fault44Retention", shows: "a log is kept for as long as the deployment says"},
				{pkg: storePackage, test: "TestStore/dynoxide/Expiry", shows: "a run's record goes when its time is over"},
			},
		},
		{
			id: "B6", claim: "Memory of each user is apart, and given back",
			here: "10,000 contexts made and closed: heap and goroutines as they were, no residue; a leftover in memory cannot meet another user's run.",
			checks: []check{
				{pkg: userContext, test: "TestNothingStaysBehind", shows: "10,000 contexts, each with a child, a goroutine and a clean-up", amount: "20000 contexts"},
				{pkg: turnPackage, test: "TestManyRunsLeaveTheProcessAsItWas", shows: "whole runs in one warm process", scale: scale{"CARREL_RUNS", "60", "500", "10000"}},
				{pkg: storePackage, test: "TestAHolderStaysSmall", shows: "what a run says does not stay in its worker"},
				{pkg: "./infra/local/lambda", test: "TestAWarmGlobal", shows: "a leftover in memory, with and without tenant isolation"},
			},
		},
	}
}
