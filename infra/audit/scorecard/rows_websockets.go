package main

// websockets are rows C1 to C5.
func websockets() []row {
	return []row{
		{
			id: "C1", claim: "The singleton manager must go",
			here: "No package-level state at all, anywhere.",
			checks: []check{
				{pkg: "./shared/arch", test: "TestNoPackageLevelState", shows: "no package-level variable"},
				{pkg: "./shared/arch", test: "TestNoGlobalsOfOthers", shows: "none of other packages' globals"},
				{pkg: "./shared/arch", test: "TestNothingRunsOrLinksInHiding", shows: "no init, no linkname"},
			},
		},
		{
			id: "C2", claim: "The race between a connection and its thread",
			here: "A thread from connect on, events logged before they are sent, and each post's thread checked: 1,000 random schedules of connect, hello, run, switch and disconnect lose nothing and misroute nothing.",
			checks: append(ages(),
				check{pkg: "./infra/soak", test: "TestSchedules", shows: "random schedules over the whole stack", scale: scale{"SCHEDULES", "40", "1000", "1000"}},
				check{pkg: "./functions/connect", test: "TestAConnectionGetsAThreadAndIsNoTargetYet", shows: "a connection has a thread from the start, and is no target before its hello"},
				check{pkg: messagePackage, test: "TestAStaleHelloChangesNothing", shows: "a hello that is late changes nothing"},
				check{pkg: messagePackage, test: "TestHelloInTheMiddleOfARun", shows: "hellos at any moment of a run"},
				check{pkg: auditPackage, test: "TestFault42HellosAndCancelOvertake", shows: "hellos that overtake each other"},
			),
		},
		{
			id: "C3", claim: "Queues and delivery tracking of each user",
			here: "The log is the queue; the highest event posted is known for each connection; what waits for one holds up no other.",
			checks: []check{
				{pkg: emitPackage, test: "TestAFullQueueCutsTheConnectionUntilItsNextHello", shows: "a full queue cuts its connection and no run"},
				{pkg: emitPackage, test: "TestAppendIsTriedAgain", shows: "a failed append is repeated and stands in the log once"},
				{pkg: emitPackage, test: "TestWhoComesLaterGetsTheLastRecord", shows: "who comes later lacks nothing"},
				{pkg: auditPackage, test: "TestFault03ResumeIsTheLiveStream", shows: "what is replayed is what was live, byte for byte"},
			},
		},
		{
			id: "C4", claim: "Connection health",
			here: "A 410 removes that connection, a slow one is cut without slowing others, a half-open one ends by itself.",
			checks: []check{
				{pkg: emitPackage, test: "TestASlowConnectionHoldsUpNobody", shows: "a slow connection holds up nobody"},
				{pkg: emitPackage, test: "TestAHalfOpenConnectionHoldsUpNobody", shows: "a half-open one holds up nobody"},
				{pkg: emitPackage, test: "TestAConnectionThatStaysThrottledIsCut", shows: "one that stays throttled is cut"},
				{pkg: auditPackage, test: "TestFault16GoneIsForgottenAlone", shows: "a 410 has that connection forgotten, and no other"},
				{pkg: auditPackage, test: "TestFault17DisconnectNeverComes", shows: "connections that went without a word"},
			},
		},
		{
			id: "C5", claim: "User A's events never reach user B",
			here: "50 users, in the full size a million events: not one foreign event. An attacker who speaks the protocol gets nothing and changes nothing.",
			checks: append(owners(),
				check{pkg: auditPackage, test: "TestWebSocketIsolation", shows: "every event on every socket looked at"},
				check{pkg: auditPackage, test: "TestAttacker", shows: "what an attacker would try"},
				check{pkg: auditPackage, test: "TestFault14ForeignIDsNameNothing", shows: "other people's ids name nothing"},
				check{pkg: messagePackage, test: "TestTwoUsersOnOneConnectionAreAViolation", shows: "two users on one connection post nothing"},
				check{pkg: mutantsPackage, test: "TestEachLockAlone", shows: "each lock stops alone what its table says", slow: true},
			),
		},
	}
}

// ages are the checks that no post goes by a record of long ago.
func ages() []check {
	return []check{
		{pkg: emitPackage, test: "TestListsThatFailOrHang", shows: "no post by a record that is too old, whatever becomes of the lists"},
		{pkg: messagePackage, test: "TestALongAnswerGoesByTheRecordOfTheLastSecond", shows: "nor by one in the middle of a replay"},
		{pkg: auditPackage, test: "TestLiveDeliveryPausesWithoutAList", shows: "delivery stands still without a list, and nothing is lost"},
	}
}

// owners are the checks that none goes to a connection of another's.
func owners() []check {
	return []check{
		{pkg: messagePackage, test: "TestEveryFrameMustBeOfTheConnectionsUser", shows: "every type of frame on another's connection"},
		{pkg: emitPackage, test: "TestARowOfAnothersIsRefused", shows: "a row that was written for another is posted nothing"},
		{pkg: storePackage, test: "TestStore/dynoxide/ForeignRows", shows: "nor is it a connection of anybody's"},
	}
}
