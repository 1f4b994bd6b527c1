package mutants

// headerGuards are the rules of docs/protocol.md, "Run headers".
func headerGuards() []guard {
	const storeTest, turnTest = "./shared/store TestStore/dynoxide/TranscriptHeaders",
		"./functions/turn TestRunStarted_NamesTheAgent"
	const goTest, adapterTest = "./shared/client TestScenarios", "web client/test/agui.test.ts"
	return []guard{
		{
			name: "headers: the end's usage is stored", file: "shared/store/end.go", test: storeTest,
			from: `		header.Add(e)`, to: `		_ = header`,
		},
		{
			name: "headers: the messages of a previous attempt are stored", file: "shared/store/previous.go",
			test: storeTest,
			from: `l.header.Add(e)`, to: `_ = l.header`,
		},
		{
			name: "headers: the agent is named also if none was asked for", file: "functions/turn/attempt.go",
			test: turnTest,
			from: `name = a.Name`, to: `_ = a.Name`,
		},
		{
			name: "headers: a header counts its own messages (Go)", file: "shared/client/headers.go", test: goTest,
			from: `messages = messages[n:]`, to: `messages = messages[0:]`,
		},
		{
			name: "headers: a header counts its own messages (TypeScript)", file: "web/client/src/fold.ts",
			test: adapterTest,
			from: `    this.#run = undefined;
    for`, to: `    for`,
		},
		{
			name: "headers: a message's metadata stays with its run", file: "web/client/src/stock-ids.ts",
			test: adapterTest,
			from: `metadata: { ...stock.metadata, carrel }`, to: `metadata: { carrel }`,
		},
	}
}
