package mutants

import "slices"

// idGuards are the rules of run ids, message ids and lists.
func idGuards() []guard {
	return slices.Concat(adapterIDGuards(), runIDGuards(), listGuards(), clientListGuards())
}

func adapterIDGuards() []guard {
	const test = "web client/test/agui.test.ts"
	return []guard{
		{
			name: "agui: nothing new runs under the id of a run that has ended", file: "web/client/src/agui.ts",
			test: test,
			from: `this.client.hasEnded(runId) || interrupts`, to: `interrupts`,
		},
		{
			name: "agui: an answer does not run under the id of the run that asked", file: "web/client/src/agui.ts",
			test: test,
			from: `this.client.hasEnded(runId) || interrupts.some((one) => askedBy(one) === runId)`,
			to:   `this.client.hasEnded(runId) && interrupts.length > 0`,
		},
		{
			name: "agui: a stock client is shown its own ids, live", file: "web/client/src/agui.ts", test: test,
			from: `return ("input" in event ? withStockIds(event) : event) as unknown`, to: `return event as unknown`,
		},
		{
			name: "agui: a stock client is shown its own ids, restated", file: "web/client/src/restate.ts", test: test,
			from: `.map((one) => toRestored(one, runs)) }`, to: ` }`,
		},
		{
			name: "agui: a message that was sent is not sent again", file: "web/client/src/stock-input.ts", test: test,
			from: `[[message.id, message], [toStock(message).id, message]]`, to: `[[message.id, message]]`,
		},
		{
			name: "agui: an edited message is not appended", file: "web/client/src/stock-input.ts", test: test,
			from: `if ([...shown].some((id) => !given.has(id))) throw`, to: `if (shown.size < 0) throw`,
		},
		{
			name: "agui: a message keeps its text", file: "web/client/src/stock-input.ts", test: test,
			from: `textOf(message) !== before.content`, to: `textOf(message) === ""`,
		},
		{
			name: "agui: content that cannot be carried is refused by name", file: "web/client/src/stock-input.ts",
			test: test,
			from: `if (!isEmpty(value)) throw`, to: `if (isEmpty(name)) throw`,
		},
		{
			name: "agui: a run whose thread is left ends its promise", file: "web/client/src/follow.ts", test: test,
			from: `const elsewhere = thread?.threadId !== threadId;`, to: `const elsewhere = thread === undefined;`,
		},
	}
}

func runIDGuards() []guard {
	const test, file = "./shared/store TestStore", "shared/store/admit_ids.go"
	return []guard{
		{
			name: "admission: another run of the same id is refused", file: "shared/store/admit.go", test: test,
			from: `!bytes.Equal(b.run.Hash, c.hash)`, to: `len(c.hash) == 0 && !bytes.Equal(b.run.Hash, c.hash)`,
		},
		{
			name: "admission: the hash covers the answers", file: file, test: test,
			from: `	}{a.Messages, resume, a.Agent})`, to: `	}{a.Messages, nil, a.Agent})`,
			also: []edit{{file, `	for _, response := range a.Responses {
		resume = append(resume, response.Resume)
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
			name: "admission: a repeat's own message ids are not taken", file: "shared/store/admit_write.go",
			from: `if _, exists := refusedPart(err, admitRun); exists {`,
			to:   `if _, known := refusedPart(err, 0); known && err == nil {`,
			test: "./shared/store TestFault33_AnswerLost",
		},
		{
			name: "message ids: another run's form is refused", file: "shared/chat/id.go",
			test: "./shared/wire TestClientFrames",
			from: `case strings.Contains(id, ".") && !IsOwnMessageID(run, id):`,
			to:   `case strings.Contains(id, "..") && !IsOwnMessageID(run, id):`,
		},
		{
			name: "message ids: those of the server are refused", file: "shared/chat/id.go",
			test: "./shared/wire TestClientFrames",
			from: `case strings.HasPrefix(id, ServerPrefix):`, to: `case strings.HasPrefix(id, ServerPrefix+"."):`,
		},
		{
			name: "message ids: the server's begin with carrel.", file: "shared/engine/run.go",
			test: "./shared/engine TestRun_UniqueIDs",
			from: `return chat.ServerPrefix + r.newID()`, to: `return r.newID()`,
		},
	}
}

func listGuards() []guard {
	const test, keys, recent = "./shared/store TestStore", "shared/store/keys.go", "shared/store/recent.go"
	return []guard{
		{
			name: "lists: a cursor is of this list and of a row's form", file: keys, test: test,
			from: `if _, _, ok := splitRecent(prefix, string(high)); err != nil || !ok {`,
			to:   `if _, _, ok := splitRecent(prefix, string(high)); err != nil && !ok {`,
		},
		{
			name: "lists: a cursor has its list's prefix", file: keys, test: test,
			from:  `rest, ok := strings.CutPrefix(recent, prefix)`,
			to:    `rest, ok := recent[min(2, len(recent)):], len(recent) > 2`,
			spare: "what follows the prefix has another form in each list",
		},
		{
			name: "lists: a thread that is used moves up", file: "shared/store/admit_write.go", test: test,
			from: `s.begin(w.thread, recent)`, to: `s.begin(w.thread, w.thread.Recent)`,
		},
		{
			name: "lists: a pinned or archived thread stays so when it is used", file: "shared/store/admit_write.go",
			test: test,
			from: `recentThread(class, max(w.run.Created, used), w.run.Thread)`,
			to:   `recentThread(max(class, usualThread)&usualThread, max(w.run.Created, used), w.run.Thread)`,
		},
		{
			name: "lists: a deleted thread leaves the index", file: "shared/store/delete.go", test: test,
			from: `REMOVE #open, #asked, #recent", when: standing`, to: `REMOVE #open, #asked", when: standing`,
		},
		{
			name: "lists: the first page of runs has all that have not ended", file: recent, test: test,
			from: `s.listedRuns(ctx, rows, before == "")`, to: `s.listedRuns(ctx, rows, false)`,
		},
		{
			name: "lists: a page does not repeat the row of its cursor", file: recent, test: test,
			from: `if row.Recent == q.high {`, to: `if row.Recent == q.pk {`,
		},
		{
			name: "lists: an erased user has no runs", file: recent, test: test,
			from: `if err == nil && queue.Erasing {`, to: `if err == nil && queue.Erasing && queue.Version < 0 {`,
		},
		{
			name: "lists: the end of a run returns the thread's last use", file: "shared/store/end_write.go",
			test: test,
			from: ` AND #updated = :was",`, to: ` AND (#updated = :was OR #updated <> :was)",`,
		},
	}
}

func clientListGuards() []guard {
	const ts, web = "web/client/src/threadlist.ts", "web client/test/threadlist.test.ts"
	return []guard{
		{
			name: "list: the first page removes only rows that belong into it", file: ts, test: web,
			from: `(!last || byUse(row, last) < 0)`, to: `(!last || byUse(row, last) !== 0)`,
		},
		{
			name: "list: a later page removes nothing", file: ts, test: web,
			from: `  #olderPage(page: Page): void {
`, to: `  #olderPage(page: Page): void {
    this.#forget(page, this.#rows);
`,
		},
		{
			name: "list: a first page that reaches no known row leaves a gap", file: ts, test: web,
			from: `if (!joins(page, known)) this.#older`, to: `if (known.length === 0) this.#older`,
		},
		{
			name: "list: an older page of before the gap does not close it", file: ts, test: web,
			from: `if (this.#requestedOlder === this.#older) this.#older`, to: `this.#older`,
		},
		{
			name: "list, TS: the row of a record is applied", file: "web/client/src/inbox.ts",
			test: "web client/test/model.test.ts",
			from: `return frame.row && this.#row(frame.row, now);`, to: `return;`,
		},
		{
			name: "list, Go: the row of a record is applied", file: "shared/client/inbox.go",
			test: "./shared/client TestScenarios",
			from: `if f.Row != nil {`, to: `if f.Row != nil && answered {`,
		},
	}
}
