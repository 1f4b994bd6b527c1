package main

import "slices"

// websockets are rows C1 to C5.
func websockets() []row { return slices.Concat(websocketsOne(), websocketsTwo()) }

// websocketsOne are C1 to C3.
func websocketsOne() []row {
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
				{pkg: "./infra/soak", test: "TestSchedules", shows: "random schedules over the whole stack", scale: scale{"SCHEDULES", "40", "1000", "1000"}, amount: "1000 schedules"},
				{pkg: "./functions/connect", test: "TestAConnectionGetsAThreadAndIsNoTargetYet", shows: "a connection has a thread from the start, and is no target before its hello"},
				{pkg: messagePackage, test: "TestAStaleHelloChangesNothing", shows: "a hello that is late changes nothing"},
				{pkg: messagePackage, test: "TestHelloInTheMiddleOfARun", shows: "hellos at any moment of a run"},
				{pkg: emitPackage, test: "TestListsThatFailOrHang", shows: "no post by a list that was asked for over 1.25 s ago: the second between two lists, and the time of one"},
				{pkg: messagePackage, test: "TestALongAnswerGoesByTheRecordOfTheLastSecond", shows: "a long answer follows its connection"},
				{pkg: auditPackage, test: "TestLiveDeliveryPausesWithoutAList", shows: "delivery stands still without a list, and nothing is lost", slow: true},
			},
		},
		{
			id: "C3", claim: "Queues and delivery tracking of each user",
			here: "The log is the queue; what waits for a connection is bounded, how far it is behind is a metric, and it holds up no other.",
			checks: []check{
				{pkg: emitPackage, test: "TestAFullQueueCutsTheConnectionUntilItsNextHello", shows: "a full queue cuts its connection and no run"},
				{pkg: emitPackage, test: "TestAThrottledConnectionIsTriedAgain", shows: "what is posted, throttled, tried again and late is counted, and nobody else waits"},
				{pkg: emitPackage, test: "TestAppendIsTriedAgain", shows: "a failed append is repeated and stands in the log once"},
				{pkg: auditPackage, test: "TestFault03ResumeIsTheLiveStream", shows: "what is replayed is what was live, byte for byte"},
			},
		},
	}
}

// websocketsTwo are C4 to C5.
func websocketsTwo() []row {
	return []row{
		{
			id: "C4", claim: "Connection health",
			here: "A 410 removes that connection, a slow one is cut without slowing others, a half-open one ends by itself.",
			checks: []check{
				{pkg: emitPackage, test: "TestAHalfOpenConnectionHoldsUpNobody", shows: "a half-open one holds up nobody"},
				{pkg: emitPackage, test: "TestAConnectionThatStaysThrottledIsCut", shows: "one that stays throttled is cut"},
				{pkg: storePackage, test: "TestStore/dynoxide/Expiry", shows: "a connection that nobody has ended is gone when its time is over"},
				{pkg: auditPackage, test: "TestFault16GoneIsForgottenAlone", shows: "a 410 has that connection forgotten, and no other"},
				{pkg: auditPackage, test: "TestFault17DisconnectNeverComes", shows: "connections that went without a word"},
			},
		},
		{
			id: "C5", claim: "User A's events never reach user B",
			here: "50 users, in the full size a million events: not one foreign event. An attacker who speaks the protocol gets nothing and changes nothing.",
			checks: slices.Concat(attacks(), []check{
				{pkg: auditPackage, test: "TestWebSocketIsolation", shows: "every event on every socket looked at", amount: "50 users"},
				{pkg: auditPackage, test: "TestTheAttackerNamesTheVictimsIDsInEveryField", shows: "the victim's ids in every field of every frame"},
				{pkg: auditPackage, test: "TestTheAttackerCombinesOwnAndForeign", shows: "own and foreign ids together"},
				{pkg: auditPackage, test: "TestTheAttackerSendsHostileIDs", shows: "ids with separators and wildcards"},
				{pkg: auditPackage, test: "TestTheAttackerAddsFields", shows: "fields that no frame has"},
				{pkg: auditPackage, test: "TestTheAttackersRunOfTheSameIDIsAnother", shows: "a run with the id of the victim's"},
				{pkg: auditPackage, test: "TestTheAttackerForgets", shows: "an attacker who is forgotten"},
				{pkg: auditPackage, test: "TestTheAttackerKnowsEveryFrame", shows: "no type of frame is left out"},
				{pkg: storePackage, test: "TestStore/dynoxide/ForeignRows", shows: "a row that was written for another is refused"},
				{pkg: emitPackage, test: "TestARowOfAnothersIsRefused", shows: "a run posts to no connection of another"},
				{pkg: messagePackage, test: "TestEveryFrameMustBeOfTheConnectionsUser", shows: "every frame must be of its connection's user"},
				{pkg: auditPackage, test: "TestLockKeys", shows: "another's thread by its id"},
				{pkg: auditPackage, test: "TestLockLastHop", shows: "forged frames and a forged row of a connection"},
				{pkg: mutantsPackage, test: "TestEachLockAlone", shows: "each lock stops alone what its table says", slow: true},
			}),
		},
	}
}
