package main

import "slices"

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
			checks: []check{
				{pkg: "./infra/soak", test: "TestSchedules", shows: "random schedules over the whole stack", scale: scale{"SCHEDULES", "40", "1000", "1000"}},
				{pkg: "./functions/connect", test: "TestAConnectionGetsAThreadAndIsNoTargetYet", shows: "a connection has a thread from the start, and is no target before its hello"},
				{pkg: messagePackage, test: "TestAStaleHelloChangesNothing", shows: "a hello that is late changes nothing"},
				{pkg: messagePackage, test: "TestHelloInTheMiddleOfARun", shows: "hellos at any moment of a run"},
				{pkg: auditPackage, test: "TestFault42HellosAndCancelOvertake", shows: "hellos that overtake each other"},
			},
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
			checks: slices.Concat(attacks(), []check{
				{pkg: auditPackage, test: "TestWebSocketIsolation", shows: "every event on every socket looked at"},
				{pkg: auditPackage, test: "TestFault14ForeignIDsNameNothing", shows: "other people's ids name nothing"},
				{pkg: messagePackage, test: "TestTwoUsersOnOneConnectionAreAViolation", shows: "two users on one connection post nothing"},
				{pkg: mutantsPackage, test: "TestEachLockAlone", shows: "each lock stops alone what its table says", slow: true},
			}),
		},
	}
}
