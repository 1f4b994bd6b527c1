package mutants

import "slices"

// lastHopGuards make up the last hop of docs/isolation.md, and its records.
func lastHopGuards() []guard {
	return slices.Concat(recordGuards(), frameGuards(), ageGuards(), violationGuards(), canaryGuards(), sweepsGuards())
}

func recordGuards() []guard {
	const rows, emit = "./shared/store TestStore/dynoxide/ForeignRows", "./shared/emit "
	return []guard{
		{
			name: "last hop: a row was written for its user", row: "C5", file: "shared/store/items.go", test: rows,
			from: ` || i.Owner != "" && i.Owner != s.seal(id) {`, to: ` {`,
		},
		{
			name: "last hop: a row was written for its connection", row: "C5", file: "shared/store/items.go",
			test: rows,
			from: `if i.SK != s.connectionKey(id).sk || i.Owner`, to: `if i.Owner`,
		},
		{
			name: "last hop: a foreign connection row is not used to watch", row: "C5",
			file: "shared/store/connections.go",
			test: rows,
			from: ` AND (attribute_not_exists(#owner) OR #owner = :owner)"`, to: `"`,
		},
		{
			name: "last hop: an erasure closes no foreign connection", row: "C5",
			file: "shared/store/forget.go",
			test: rows,
			from: "			all = append(all, foreign.Connection)\n			return true, nil\n",
			to:   "			c.ID = foreign.Connection\n",
		},
		{
			name: "last hop: the run's own user", row: "C5", file: "shared/emit/list.go",
			test: emit + "TestARowOfAnothersIsRefused",
			from: `return c.Owner == chat.OwnerHash(u.Hash()) && !u.IsZero() && c.N > 0`,
			to:   `return !u.IsZero() && c.N > 0`,
		},
		{
			name: "last hop: each post is checked by its record", row: "A6", file: "shared/emit/list.go",
			test: emit + "TestEachPostIsChecked",
			from: `return c.Owner == chat.OwnerHash(u.Hash()) && !u.IsZero() && c.N > 0`,
			to:   `return !u.IsZero() && c.N > 0`,
		},
		{
			name: "last hop: a long frame ends with its thread", file: "shared/emit/post.go",
			test: emit + "TestALongFrameEndsWithItsThread",
			from: ` && (thread == "" || thread == o.conn.Thread)`, to: ` && (thread == "" || o.conn.Thread != "")`,
		},
		{
			name: "last hop: a broadcast to all windows ignores the thread", file: "shared/emit/list.go",
			test: emit + "TestWhatIsToldReachesWhoHasGoneElsewhere",
			from: `o.leave()`, to: `o.drop()`,
		},
		{
			name: "last hop: a broadcast of a thread reaches its watchers only", file: "shared/emit/tell.go",
			test: emit + "TestTellReachesWhomItConcerns",
			from: ` || s.thread != "" && s.thread != c.Thread {`, to: ` {`,
		},
	}
}

func frameGuards() []guard {
	const every = "./functions/message TestEveryFrameMustBeOfTheConnectionsUser"
	const spare = "a poster that has not read a record reads it before it posts"
	return []guard{
		{
			name: "last hop: every frame is compared with its connection", row: "C5",
			file: "functions/message/dispatch.go",
			test: every,
			from: "		if _, err := r.mine(ctx); err != nil {\n			return err\n		}\n",
			to:   "",
		},
		{
			name: "last hop: also an unreadable frame", file: "functions/message/handler.go", test: every,
			from: "	if bad != nil {\n		if _, err := r.mine(ctx); err != nil {\n			return " +
				"err\n		}\n",
			to:    "	if bad != nil {\n",
			spare: spare,
		},
		{
			name: "last hop: no frame is handled after the token has expired", file: "functions/message/handler.go",
			test:  "./infra/audit/... TestFault30TokenExpiresOnOpenSocket",
			from:  "if !r.now().Before(r.in.TokenExpires) {\n\t\treturn r.tooLate",
			to:    "if r.now().IsZero() {\n\t\treturn r.tooLate",
			spare: "the token is looked at before each post of an answer too",
		},
		{
			name: "last hop: also a frame of an expired token", file: "functions/message/handler.go", test: every,
			from: "tooLate(ctx context.Context) error {\n\tif _, err := r.mine(ctx); err != nil {\n\t\treturn " +
				"err\n\t}\n",
			to:    "tooLate(ctx context.Context) error {\n",
			spare: spare,
		},
		{
			name: "last hop: also a ping", file: "functions/message/ping.go", test: every,
			from: "	row, err := r.mine(ctx)\n	if err != nil {",
			to: "	row, err := r.store.Connection(ctx, r.in.Connection)\n	if err != nil && !errors.Is(err, " +
				"chat.ErrNotFound) {",
			spare: spare,
		},
		{
			name: "last hop: also a hello and a run", row: "C5", file: "functions/message/connection.go", test: every,
			from: "	row, err := r.store.Watch(ctx, c)\n",
			to: `	row, err := r.store.Watch(ctx, c)
	if errors.Is(err, chat.ErrForeign) {
		row, err = c, nil
	}
`,
		},
	}
}

func ageGuards() []guard {
	const emit, message = "./shared/emit ", "./functions/message "
	return []guard{
		{
			name: "last hop: no post by an old list", row: "C2", file: "shared/emit/list.go",
			test: emit + "TestListsThatFailOrHang",
			from: `e.c.User.Now().Sub(e.listedAt) <= listGood && `, to: ``,
		},
		{
			name: "last hop: delivery resumes with the next list", file: "shared/emit/list.go",
			test: emit + "TestNothingIsPostedByAnOldList",
			from: "		return listAgain\n", to: "		return 1000 * listAgain\n",
		},
		{
			name: "last hop: no broadcast by an old list", file: "shared/emit/tell.go",
			test: emit + "TestTellDoesNotGoByAnOldList",
			from: `return r.Now().Sub(r.at) > listGood`, to: `return r.at.IsZero()`,
		},
		{
			name: "last hop: no answer without a record", file: "functions/message/connection.go",
			test: message + "TestEveryFrameMustBeOfTheConnectionsUser",
			from: `	if err := c.current(ctx); err != nil {
		return err
	}
`, to: "", spare: "every frame is compared before",
		},
		{
			name: "last hop: no answer by an old record", row: "C2", file: "functions/message/connection.go",
			test: message + "TestALongAnswerGoesByTheRecordOfTheLastSecond",
			from: `if r.now().Sub(r.at) > recordGood {`, to: `if r.at.IsZero() {`,
		},
		{
			name: "last hop: an answer reaches its thread's watchers only", row: "C2",
			file: "functions/message/connection.go",
			test: message + "TestALongAnswerGoesByTheRecordOfTheLastSecond",
			from: `if r.thread != "" && r.thread != r.row.Thread {`,
			to:   `if r.thread != "" && r.row.Thread == r.thread+"-" {`,
		},
		{
			name: "last hop: an answer to a closed connection deletes its records",
			file: "functions/message/connection.go",
			test: message + "TestAnAnswerToNobodyLeavesNoRecords",
			from: `r.store.Disconnect(ctx, r.in.Connection)`, to: `r.store.RemoveConnection(ctx, r.in.Connection)`,
		},
	}
}

func violationGuards() []guard {
	const told = "./shared/monitor TestViolation_HashesOnly"
	return []guard{
		{
			name: "violations: the metric has a point each ten seconds", row: "E2", file: "shared/monitor/monitor.go",
			test: told,
			from: `if v.name == IsolationViolation {`, to: `if v.name == "" {`,
		},
		{
			name: "violations: no id in clear", row: "E2", file: "shared/monitor/violation.go", test: told,
			from: `return ID{"ThreadHash", hash("thread", string(id))}`, to: `return ID{"ThreadHash", string(id)}`,
		},
		{
			name: "violations: a frame's is recorded", row: "E2", file: "functions/message/handler.go",
			test: "./functions/message TestEveryFrameMustBeOfTheConnectionsUser",
			from: `r.violated(ctx, v, f)`, to: `_ = v.guard`,
		},
		{
			name: "violations: a run's is recorded", row: "E2", file: "shared/emit/list.go",
			test: "./functions/turn TestARunRefusesAConnectionOfAnothers",
			from: `e.c.Violation(id)`, to: `e.c.Report(nil)`,
		},
		{
			name: "violations: a broadcast's is recorded", row: "E2", file: "shared/emit/tell.go",
			test: "./functions/sweep TestSweep_ConnectionOfAnotherUser",
			from: "			r.Violation(id)\n", to: "",
		},
		{
			name: "violations: a connect's is recorded", row: "E2", file: "functions/connect/connect.go",
			test: "./functions/connect TestConnect_ConnectionOfAnotherUser",
			from: `case errors.Is(err, chat.ErrForeign):`, to: `case errors.Is(err, chat.ErrForeign) && own == nil:`,
		},
		{
			name: "violations: a disconnect's is recorded", row: "E2", file: "functions/disconnect/disconnect.go",
			test: "./functions/disconnect TestDisconnect_OwnConnectionOnly",
			from: `if !in.User.IsZero() && in.User != owner {`,
			to:   `if in.User.IsZero() && in.User != owner && err != nil {`,
		},
		{
			name: "violations: a missing record is not recorded", row: "E2", file: "functions/message/connection.go",
			test: "./functions/message TestARecordThatIsMissingIsNoViolation",
			from: `if err == nil && owner != r.in.User {`,
			to:   `if (err == nil || errors.Is(err, chat.ErrNotFound)) && owner != r.in.User {`,
		},
	}
}

func canaryGuards() []guard {
	return []guard{
		{
			name: "canary: frames between two tries are searched", file: "infra/cli/canary/try.go",
			test: "./infra/cli/canary TestWhatIsNoAnswer",
			from: `	defer c.search(typ)`, to: `	c.searched = len(c.one.since(0))
	defer c.search(typ)`,
		},
		{
			name: "canary: a request that is lost each time has no answer", file: "infra/cli/canary/person.go",
			test: "./infra/cli/canary TestWhatIsNoAnswer",
			from: `if err != nil || !m.lost {`, to: `if err != nil || !m.lost || try == mostTries {`,
		},
		{
			name: "canary: the victim sends while the attacker watches", file: "infra/cli/canary/state.go",
			test: "./infra/cli/canary TestALeakIsNoticed",
			from: `"/say "+c.secret("what the other said while the one watched")`, to: `"/say nothing"`,
		},
		{
			name: "canary: it receives the frames", file: "infra/cli/canary/try.go",
			test: "./infra/cli/canary TestALeakIsNoticed",
			from: `if contains(m.raw, text) {`, to: `if contains(m.raw, text) && c.one == nil {`,
		},
		{
			name: "canary: it compares also without a run's end", file: "infra/cli/canary/state.go",
			test: "./infra/cli/canary TestAnEndThatDoesNotCome",
			from: `if lookErr == nil {`, to: `if lookErr == nil && err == nil {`,
		},
		{
			name: "canary: late frames are searched", file: "infra/cli/canary/try.go",
			test: "./infra/cli/canary TestWhatComesLateIsSearched",
			from: `came := c.one.since(c.searched)`, to: `came := c.one.since(len(c.one.since(0)))`,
		},
		{
			name: "canary: a stack with another address is not the local one", file: "infra/cli/canary/main.go",
			test: "./infra/cli/canary TestWhatKeepsItFromRunning",
			from: `if flags.NArg() > 0 {`, to: `if flags.NArg() > 9 {`,
		},
		{
			name: "chat: a pipe that was not read to its end", file: "infra/cli/chat/session.go",
			test: "./infra/cli/chat TestPipe",
			from: `case s.unread != nil:`, to: `case s.unread != nil && s.std.terminal:`,
		},
	}
}

func sweepsGuards() []guard {
	return []guard{
		{
			name: "sweep: the slots of an erased user raise no alarm", file: "functions/sweep/repairs.go",
			test: "./functions/sweep TestSweep_SlotsOfErasedUser",
			from: `if err != nil || now.Erasing {`, to: `if err != nil {`,
		},
	}
}
