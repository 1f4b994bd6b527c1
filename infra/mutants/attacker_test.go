package mutants

// Texts of the planted holes: the answer of a history request, and code that opens the thread as the victim.
const (
	historyAnswer = `		return r.answer(ctx, &wire.HistoryPage{RequestID: r.id, ThreadID: f.ThreadID})
`
	openVictimsThread = `		u, err := r.table.ForOperator(ctx, store.Named{Key: "victim"})
		if err != nil {
			return err
		}
		theirs, err := r.table.For(u)
		if err != nil {
			return err
		}
		t, err := theirs.Thread(ctx, f.ThreadID)
`
)

// attackerGuards stop an attacker who speaks the protocol. Some entries plant a hole instead of removing a guard: only
// the keys separate the users of the function message, so there is no guard to remove.
func attackerGuards() []guard {
	const audit = "./infra/audit/... "
	return []guard{
		{
			name: "attacker: a foreign thread is not read", row: "C5", file: "functions/message/history.go",
			test: audit + "TestAttack_VictimsIDsInEveryField",
			from: historyAnswer, to: openVictimsThread + `		if err == nil {
			r.store = theirs
			p, err := r.transcript(ctx, t, 0, limit)
			if err != nil {
				return err
			}
			return r.answer(ctx, &wire.HistoryPage{RequestID: r.id, ThreadID: t.ID, Messages: p.messages, Runs: p.runs})
		}
` + historyAnswer,
		},
		{
			name: "attacker: a foreign id is answered as an absent one", row: "B3",
			file: "functions/message/history.go",
			test: audit + "TestAttack_ForeignIDLooksUnknown",
			from: historyAnswer, to: openVictimsThread + `		if err == nil && t.ID != "" {
			return chat.ErrDenied
		}
` + historyAnswer,
		},
		{
			name: "attacker: names that differ in case are different users", row: "B3", file: "shared/store/keys.go",
			test: audit + "TestAttack_SimilarName",
			from: `return userPrefix + u.Key()`, to: `return userPrefix + strings.ToLower(u.Key())`,
		},
		{
			name: "attacker: a repeated field is rejected", row: "C5", file: "shared/wire/object.go",
			test: audit + "TestAttack_ExtraFields",
			from: `} else if twice == nil {`, to: `} else if twice != nil {`,
		},
		{
			name: "attacker: a header sent twice is rejected", row: "C5", file: "shared/gateway/authorizer.go",
			test: "./shared/gateway TestAuthorizer_RepeatedHeader",
			from: `		if max(n, names) > 1 {`, to: `		if names > 1 {`,
		},
		{
			name: "attacker: an idempotency key contains its user", row: "D4", file: "shared/tool/dispatch.go",
			test: "./shared/tool TestIdempotencyKey_TwoUsers",
			from: `d.user.User().Hash()+":"+string(d.user.Run())`, to: `string(d.user.Run())`,
		},
		{
			name: "attacker: a refusal is counted", row: "E2", file: "functions/message/handler.go",
			test: "./functions/message TestFrame_RefusalsAreCounted",
			from: `r.monitor.Count(monitor.FramesRefused, 1)`, to: `_ = monitor.FramesRefused`,
		},
	}
}
