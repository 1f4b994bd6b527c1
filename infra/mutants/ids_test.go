package mutants

import "slices"

// idGuards are the rules of run ids, message ids and lists.
func idGuards() []guard {
	return slices.Concat(adapterIDGuards(), runIDGuards())
}

func adapterIDGuards() []guard {
	const test = "web client/test/agui.test.ts"
	return []guard{
		{
			name: "agui: nothing new runs under the id of a run that has ended", file: "web/client/src/agui.ts", test: test,
			from: `this.client.hasEnded(runId) || interrupts`, to: `interrupts`,
		},
		{
			name: "agui: an answer does not run under the id of the run that asked", file: "web/client/src/agui.ts", test: test,
			from: `this.client.hasEnded(runId) || interrupts.some((one) => askedBy(one) === runId)`, to: `this.client.hasEnded(runId) && interrupts.length > 0`,
		},
		{
			name: "agui: a stock client is shown its own ids, live", file: "web/client/src/agui.ts", test: test,
			from: `return withStockIds(event) as unknown`, to: `return event as unknown`,
		},
		{
			name: "agui: a stock client is shown its own ids, restated", file: "web/client/src/agui.ts", test: test,
			from: `messages: messages.map(toStock) }`, to: `messages }`,
		},
		{
			name: "agui: a message that was sent is not sent again", file: "web/client/src/agui.ts", test: test,
			from: `[message.id, toStock(message).id]`, to: `[message.id]`,
		},
	}
}

func runIDGuards() []guard {
	const test, file = "./shared/store TestStore", "shared/store/admit_ids.go"
	return []guard{
		{
			name: "admission: another run of the same id is refused", file: "shared/store/admit.go", test: test,
			from: `b.run.Thread != "" && !bytes.Equal(b.run.Hash, hash)`, to: `len(hash) == 0 && !bytes.Equal(b.run.Hash, hash)`,
		},
		{
			name: "admission: the hash covers the answers", file: file, test: test,
			from: `	}{a.Messages, resume, a.Agent})`, to: `	}{a.Messages, nil, a.Agent})`,
			also: []edit{{file, `	for _, answer := range a.Answers {
		resume = append(resume, answer.Resume)
	}
	sent`, `	_ = resume
	sent`}},
		},
		{
			name: "admission: the hash covers the messages", file: file, test: test,
			from: `	}{a.Messages, resume, a.Agent})`, to: `	}{nil, resume, a.Agent})`,
		},
		{
			name: "admission: a message id that the thread has is refused", file: file, test: test,
			from: `"attribute_not_exists(#pk)"`, to: `"(attribute_not_exists(#pk) OR attribute_exists(#pk))"`,
		},
		{
			name: "admission: a repeat's own message ids are not taken", file: "shared/store/admit.go",
			from: `if _, known := refusedPart(err, 0); known {`, to: `if _, known := refusedPart(err, 0); known && err == nil {`,
			test: "./shared/store TestFault33AnswerLost",
		},
		{
			name: "message ids: another run's form is refused", file: "shared/chat/id.go", test: "./shared/wire TestClientFrames",
			from: `case strings.Contains(id, ".") && !IsOwnMessageID(run, id):`, to: `case strings.Contains(id, "..") && !IsOwnMessageID(run, id):`,
		},
		{
			name: "message ids: those of the server are refused", file: "shared/chat/id.go", test: "./shared/wire TestClientFrames",
			from: `case strings.HasPrefix(id, ServerPrefix):`, to: `case strings.HasPrefix(id, ServerPrefix+"."):`,
		},
		{
			name: "message ids: the server's begin with carrel.", file: "shared/engine/run.go", test: "./shared/engine TestIDsAreUnique",
			from: `return chat.ServerPrefix + r.newID()`, to: `return r.newID()`,
		},
	}
}
