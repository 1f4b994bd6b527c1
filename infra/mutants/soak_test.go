package mutants

// soakGuards are defects that a short soak must notice without a test that knows of them.
func soakGuards() []guard {
	return []guard{
		{
			name: "soak: an event goes to its thread's watchers", file: "shared/emit/subscriber.go",
			from: `case d.record == nil || e.watches(s):`, to: `case d.record == nil || s.listed:`,
			test: "./infra/soak TestSchedules", spare: "the thread is looked at again before each message is posted",
		},
		{
			name: "soak: every accepted event is logged", file: "shared/emit/flush.go",
			from: "seq, err := e.append(events)",
			to: "if len(events) > 2 {\n			events = events[:len(events)-1]\n		}\n		seq, err := " +
				"e.append(events)",
			test: "./infra/soak TestSoak",
		},
		{
			name: "soak: a client applies no event twice", file: "shared/client/thread.go",
			from: "if f.Seq+chat.Seq(i) <= t.cursor.Seq {", to: "if f.Seq+chat.Seq(i) < 1 {",
			test: "./infra/soak TestSchedules",
		},
		{
			// Without it a soak's windows reconnect by their timers, seconds late. A soak cannot distinguish that from
			// a slow machine.
			name: "soak: an unanswered request is sent again on the next socket", file: "shared/client/requests.go",
			from: "	for _, r := range q.runs {\n		r.n = 0\n	}\n", to: "",
			test: "./shared/client TestScenarios",
		},
		{
			name: "message: a frame whose token expires while it is answered is reported",
			file: "functions/message/handler.go",
			from: "if err == nil && r.tokenExpired {", to: "if err == nil && r.tokenExpired && false {",
			test: "./functions/message TestFrame_TokenExpiresDuringAnswer",
		},
		{
			name: "soak: an unanswered request is sent again", file: "shared/client/outbox.go",
			from: "if r.n != 0 && !again {", to: "if r.ever {",
			test: "./infra/soak TestSchedules",
		},
	}
}
