package mutants

// idGuards are the rules of run ids, message ids and lists.
func idGuards() []guard {
	return adapterIDGuards()
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
