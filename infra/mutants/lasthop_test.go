package mutants

import "slices"

// lastHopGuards make up the last hop of docs/locks.md, and its records.
func lastHopGuards() []guard {
	return slices.Concat(
		recordGuards(), ruleGuards(), checkGuards(), frameGuards(), watchGuards(), violationGuards(), canaryGuards(),
		sweepsGuards(),
	)
}

func recordGuards() []guard {
	const rows = "./shared/store TestStore/dynoxide/ForeignRows"
	return []guard{
		{
			name: "last hop: a row was written for its user", row: "C5", file: "shared/store/items.go", test: rows,
			from: ` || i.Owner != s.seal(id) {`, to: ` {`,
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
			from: ` AND #owner = :owner"`, to: ` AND (#owner = :owner OR #owner <> :owner)"`,
		},
		{
			name: "last hop: an erasure closes no foreign connection", row: "C5",
			file: "shared/store/erase_user.go",
			test: rows,
			from: "			all = append(all, foreign.Connection)\n			return true, nil\n",
			to:   "			c.ID = foreign.Connection\n",
		},
	}
}

// ruleGuards are the clauses of the rule of package lasthop.
func ruleGuards() []guard {
	const rule, send = "shared/lasthop/record.go", "shared/lasthop/send.go"
	const emit, message = "./shared/emit ", "./functions/message "
	return []guard{
		{
			name: "last hop: the connection is the user's", row: "C5", file: rule,
			test: emit + "TestEmitter_ForeignConnection",
			from: `u.IsZero() || c.Owner != chat.OwnerHash(u.Hash())`, to: `u.IsZero()`,
		},
		{
			name: "last hop: the token is valid", row: "A6", file: rule, test: emit + "TestEmitter_ExpiredToken",
			from: `case !now.Before(c.TokenExpires) && !a.expired:`, to: `case now.IsZero() && !a.expired:`,
		},
		{
			name: "last hop: the connection watches the thread", row: "C2", file: rule,
			test: message + "TestAnswer_RecordChangesDuringReplay",
			from: `case a.thread != "" && a.thread != c.Thread:`, to: `case a.thread != "" && c.Thread == "":`,
		},
		{
			name: "last hop: the record is fresh", row: "C2", file: send, test: emit + "TestEmitter_ListsFailOrHang",
			from: `r.age(now) > allowed;`, to: `r.age(now) > 100*allowed;`,
		},
		{
			name: "last hop: a renewed record is fresh", file: send, test: "./shared/lasthop TestSend_AgeOfTheRecord",
			from: `now, allowed = s.Now(), MaxAge`, to: `now, allowed = s.Now(), 100*MaxAge`,
		},
	}
}

// checkGuards are the places where the rule is applied to a post, and what a refusal leaves behind.
func checkGuards() []guard {
	const send = "shared/lasthop/send.go"
	const emit, message = "./shared/emit ", "./functions/message "
	return []guard{
		{
			name: "last hop: each post is checked", row: "A6", file: send, test: emit + "TestEmitter_EachPostIsChecked",
			from: `if err := s.check(ctx, id, f.audience); err != nil {`, to: `if err := ctx.Err(); err != nil {`,
		},
		{
			name: "last hop: each message of a frame is checked", file: send,
			test: emit + "TestEmitter_ThreadChangesDuringLongFrame",
			from: `	for _, body := range bodies {
		err := s.post(ctx, func() (Message, error) {
`, to: `	for n, body := range bodies {
		err := s.post(ctx, func() (Message, error) {
			if n > 0 {
				return Message{id, body}, nil
			}
`,
		},
		{
			name: "last hop: each retry is checked", file: send, test: emit + "TestEmitter_ExpiredToken",
			from: `	for try := 1; ; try++ {
		m, err := checked()
		if err != nil {
			return err
		}
`, to: `	m, err := checked()
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
`,
		},
		{
			name: "last hop: a broadcast to all windows ignores the thread", file: "shared/emit/connections.go",
			test: emit + "TestEmitter_BroadcastAfterThreadChange",
			from: `s.dropEvents()`, to: `s.drop()`,
		},
		{
			name: "last hop: delivery resumes with the next list", file: "shared/emit/connections.go",
			test: emit + "TestEmitter_OldList",
			from: "		return listAgain\n", to: "		return 1000 * listAgain\n",
		},
		{
			name: "last hop: an answer to a closed connection deletes its records", file: "functions/message/answer.go",
			test: message + "TestAnswer_GoneConnectionLeavesNoRecords",
			from: `r.store.Disconnect(ctx, r.in.Connection)`, to: `r.store.RemoveConnection(ctx, r.in.Connection)`,
		},
	}
}

func frameGuards() []guard {
	const every = "./functions/message TestFrame_ConnectionOfAnotherUser"
	const spare = "a poster that has not read a record reads it before it posts"
	return []guard{
		{
			name: "last hop: every frame is compared with its connection", row: "C5",
			file: "functions/message/dispatch.go",
			test: every,
			from: `if r.rows, err = r.ownRows(ctx, selected); err != nil {`,
			to:   `if r.rows, err = r.store.Rows(ctx, selected); err != nil {`,
		},
		{
			name: "last hop: rows that are read with the connection are returned after its check", row: "C5",
			file: "functions/message/connection.go", test: every,
			from: `		return nil, err
	}
	return rows, nil`, to: `		_ = err
	}
	return rows, nil`,
		},
		{
			name: "last hop: also an unreadable frame", file: "functions/message/handler.go", test: every,
			from: "	if bad != nil {\n		if _, err := r.ownConnection(ctx); err != nil {\n			return " +
				"err\n		}\n",
			to:    "	if bad != nil {\n",
			spare: spare,
		},
		{
			name: "last hop: no frame is handled after the token has expired", file: "functions/message/handler.go",
			test:  "./infra/audit/... TestFault30_TokenExpiresOnOpenSocket",
			from:  "if !r.now().Before(r.in.TokenExpires) {\n\t\treturn r.refuseExpired",
			to:    "if r.now().IsZero() {\n\t\treturn r.refuseExpired",
			spare: "the token is looked at before each post of an answer too",
		},
		{
			name: "last hop: also a frame of an expired token", file: "functions/message/handler.go", test: every,
			from: `refuseExpired(ctx context.Context) error {
	if _, err := r.ownConnection(ctx); err != nil {
		return err
	}
`,
			to:    "refuseExpired(ctx context.Context) error {\n",
			spare: spare,
		},
		{
			name: "last hop: also a ping", file: "functions/message/ping.go", test: every,
			from: `rows, err = r.ownRows(ctx, `, to: `rows, err = r.store.Rows(ctx, `,
			spare: spare,
		},
	}
}

// watchGuards concern frames that change what a connection watches.
func watchGuards() []guard {
	const every = "./functions/message TestFrame_ConnectionOfAnotherUser"
	return []guard{
		{
			name: "last hop: also a hello and a run", row: "C5", file: "functions/message/connection.go", test: every,
			from: "		c, err := r.store.Watch(ctx, c)\n",
			to: `		given := c
		c, err := r.store.Watch(ctx, c)
		if errors.Is(err, chat.ErrForeign) {
			c, err = given, nil
		}
`,
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
			test: "./functions/message TestFrame_ConnectionOfAnotherUser",
			from: `r.recordViolation(ctx, v, f)`, to: `_ = v.guard`,
		},
		{
			name: "violations: a listed one is recorded", row: "E2", file: "shared/lasthop/reader.go",
			test: "./functions/turn TestLastHop_ForeignConnection",
			from: `r.Violation(id)`, to: `_ = id`,
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
			test: "./functions/message TestFrame_MissingRecordIsNoViolation",
			from: "chat.ErrForeign):\n		return violation{monitor.ConnectionOwner}\n	case errors",
			to:   "chat.ErrNotFound):\n		return violation{monitor.ConnectionOwner}\n	case errors",
		},
	}
}

func canaryGuards() []guard {
	return []guard{
		{
			name: "canary: frames between two attempts are searched", file: "infra/cli/canary/try.go",
			test: "./infra/cli/canary TestAsk_LostByAPIGateway",
			from: `	defer c.search(typ)`, to: `	c.searched = len(c.attacker.since(0))
	defer c.search(typ)`,
		},
		{
			name: "canary: a request that is lost each time has no answer", file: "infra/cli/canary/person.go",
			test: "./infra/cli/canary TestAsk_LostByAPIGateway",
			from: `if err != nil || !m.lost {`, to: `if err != nil || !m.lost || try == mostTries {`,
		},
		{
			name: "canary: the victim sends while the attacker watches", file: "infra/cli/canary/state.go",
			test: "./infra/cli/canary TestCanary_PlantedLeak",
			from: `"/say "+c.secret("the victim's words while the attacker watched")`, to: `"/say nothing"`,
		},
		{
			name: "canary: it receives the frames", file: "infra/cli/canary/try.go",
			test: "./infra/cli/canary TestCanary_PlantedLeak",
			from: `if contains(m.raw, text) {`, to: `if contains(m.raw, text) && c.attacker == nil {`,
		},
		{
			name: "canary: it compares also without a run's end", file: "infra/cli/canary/state.go",
			test: "./infra/cli/canary TestSettle_MissingEnd",
			from: `if lookErr == nil {`, to: `if lookErr == nil && err == nil {`,
		},
		{
			name: "canary: late frames are searched", file: "infra/cli/canary/try.go",
			test: "./infra/cli/canary TestSearch_LateMessage",
			from: `received := c.attacker.since(c.searched)`,
			to:   `received := c.attacker.since(len(c.attacker.since(0)))`,
		},
		{
			name: "canary: a stack with another address is not the local one", file: "infra/cli/canary/main.go",
			test: "./infra/cli/canary TestCanary_CannotRun",
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
