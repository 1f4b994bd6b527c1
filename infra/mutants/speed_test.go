package mutants

// speedGuards are guards that a soak does not miss soon, and its neighbours at once.
func speedGuards() []guard {
	return []guard{
		{
			// A soak's windows find it out by their timers and are seconds late, which no soak can tell from a slow machine.
			name: "soak: what was not answered is sent again on the next socket", file: "shared/client/requests.go",
			from: "	for _, r := range q.runs {\n		r.n = 0\n	}\n", to: "",
			test: "./shared/client TestScenarios",
		},
		{
			name: "message: a frame whose token ends while it is answered is told so", file: "functions/message/handler.go",
			from: "if err == nil && r.past {", to: "if err == nil && r.past && false {",
			test: "./functions/message TestATokenEndsWhileItsFrameIsAnswered",
		},
		{
			name: "soak: what was not answered is sent again", file: "shared/client/requests.go",
			from: "if r.n != 0 && !again {", to: "if r.ever {",
			test: "./infra/soak TestSchedules",
		},
	}
}
