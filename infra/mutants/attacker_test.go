package mutants

// attackerGuards are what an attacker who speaks the protocol meets. Some are no guards that are taken away but holes that
// are planted: keys alone keep the users of message apart, so that there is nothing to take away.
func attackerGuards() []guard {
	const audit = "./infra/audit/... "
	const history = `		return r.answer(ctx, &wire.HistoryPage{RequestID: r.id, ThreadID: f.ThreadID})
`
	const victims = `		u, err := r.table.ForOperator(ctx, store.Named{Key: "victim"})
		if err != nil {
			return err
		}
		theirs, err := r.table.For(u)
		if err != nil {
			return err
		}
		t, err := theirs.Thread(ctx, f.ThreadID)
`
	return []guard{
		{
			name: "attacker: another's thread is not read", row: "C5", file: "functions/message/history.go", test: audit + "TestTheAttackerNamesTheVictimsIDsInEveryField",
			from: history, to: victims + `		if err == nil {
			r.store = theirs
			p, err := r.transcript(ctx, t, 0, limit)
			if err != nil {
				return err
			}
			return r.answer(ctx, &wire.HistoryPage{RequestID: r.id, ThreadID: t.ID, Messages: p.messages, Runs: p.runs})
		}
` + history,
		},
		{
			name: "attacker: not yours is not there, and not forbidden", row: "B3", file: "functions/message/history.go", test: audit + "TestNotYoursIsNotThere",
			from: history, to: victims + `		if err == nil && t.ID != "" {
			return chat.ErrDenied
		}
` + history,
		},
		{
			name: "attacker: names in another case are others", row: "B3", file: "shared/store/keys.go", test: audit + "TestTheAttackerIsNamedLikeTheVictim",
			from: `return userPrefix + u.Key()`, to: `return userPrefix + strings.ToLower(u.Key())`,
		},
		{
			name: "attacker: a field comes once", row: "C5", file: "shared/wire/object.go", test: audit + "TestTheAttackerAddsFields",
			from: `} else if twice == nil {`, to: `} else if twice != nil {`,
		},
		{
			name: "attacker: two lines of a header are two tokens", row: "C5", file: "shared/gateway/authorizer.go", test: "./shared/gateway TestAuthorizerRefusesTwoLinesOfAHeader",
			from: `		if max(n, names) > 1 {`, to: `		if names > 1 {`,
		},
		{
			name: "attacker: what a tool repeats by is its user's", row: "D4", file: "shared/tool/dispatch.go", test: "./shared/tool TestIdempotencyKeysOfTwoUsers",
			from: `d.user.User().Hash()+":"+string(d.user.Run())`, to: `string(d.user.Run())`,
		},
		{
			name: "attacker: a refusal is counted", row: "E2", file: "functions/message/handler.go", test: "./functions/message TestRefusedFramesAreCounted",
			from: `r.monitor.Count(monitor.FramesRefused, 1)`, to: `_ = monitor.FramesRefused`,
		},
	}
}
