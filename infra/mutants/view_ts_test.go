package mutants

import "slices"

func tsCursorGuards() []guard {
	const file = "web/client/src/thread.ts"
	return []guard{
		{
			name: "an applied event is not applied again", file: file,
			from: `if (last(frame) > at) this.#apply(frame, at + 1 - frame.seq);`,
			to:   `if (last(frame) > at) this.#apply(frame, 0);`,
		},
		{
			name: "a frame that leaves a gap is held", file: file,
			from: `if (frame.epoch !== cursor.epoch || frame.seq > at + 1) return true;`,
			to:   `if (frame.epoch !== cursor.epoch) return true;`,
		},
		{
			name: "a frame that leaves a gap is not dropped", file: file,
			from: `    this.#held.push({ frame, n });`,
			to:   `    if (frame.seq <= (this.#cursor?.seq ?? 0) + 1) this.#held.push({ frame, n });`,
		},
		{
			name: "a cursor short of ready.head is a gap", file: file,
			from: `if (frame.epoch) this.#head = Math.max(this.#head, frame.head);`, to: ``,
		},
		{
			name: "a snapshot not beyond the cursor is dropped", file: file,
			from: `if (frame.epoch !== this.#cursor?.epoch || frame.seq <= this.#cursor.seq) return false;`,
			to:   `if (frame.epoch !== this.#cursor?.epoch) return false;`,
		},
		{
			name: "an end that a snapshot restates ends its run", file: file,
			from: `.some(({ type }) => type === "RUN_FINISHED" ||`, to: `.some(({ type }) => type === "never" ||`,
		},
		{
			name: "an older row is dropped", file: "web/client/src/threadlist.ts",
			from: `|| (shown && shown.updated > updated)) continue;`, to: `) continue;`,
		},
		{
			name: "a run that ended is not shown again", file: file,
			from: `return this.#ended.has(runId) || this.#answeredEnded.has(runId);`,
			to:   `return this.#answeredEnded.has(runId) && false;`,
		},
		{
			name: "before ready, the applied events show the running run", file: file,
			from: `if (this.#started && !this.#over(this.#started.runId)) return this.#started.runId;`, to: ``,
		},
		{
			name: "a late ready does not undo an accepted", file: file,
			from: `this.#accepted = this.#accepted.filter((run) => run.n >= frame.n);`, to: `this.#accepted = [];`,
		},
		{
			name: "an answered question does not come back", file: "web/client/src/interrupts.ts",
			from: `interrupts.filter(({ id }) => !this.#answered.has(id))`, to: `interrupts`,
			spare: "a ready below the cursor, which would bring it, says nothing of questions",
		},
		{
			name: "a ready below the cursor does not change interrupts", file: file,
			from: `if (frame.head >= (this.#cursor?.seq ?? 0)) this.#interrupts`, to: `this.#interrupts`,
		},
	}
}

func tsAskingGuards() []guard {
	return slices.Concat(tsAskingGuards1(), tsAskingGuards2(), tsAskingGuards3())
}

func tsAskingGuards1() []guard {
	const file, session, inbox = "web/client/src/timers.ts", "web/client/src/view.ts", "web/client/src/inbox.ts"
	return []guard{
		{
			name: "a gap is asked for", file: session,
			from: `if (due.has("gap") && !this.#timers.helloPending) this.#out.hello(now);`, to: ``,
		},
		{
			name: "a gap waits 250 ms after the last applied event", file: file,
			from: `    this.#wait(now, this.#patience(now));`, to: ``,
		},
		{
			name: "a gap waits while parts come", file: inbox,
			from: `this.#view.timers.parted(now);`, to: ``,
		},
		{
			name: "the gap's pause doubles", file: file,
			from: `this.#gapDelay = Math.min(this.#gapDelay * 2, GAP_MOST);`, to: ``,
		},
		{
			name: "no hello while one is unanswered", file: file,
			from: `get helloPending(): boolean {
    return this.#hello !== undefined;`, to: `get helloPending(): boolean {
    return this.#hello === null;`,
		},
		{
			name: "no hello while one is unanswered, the tick", file: session,
			from: `if (due.has("gap") && !this.#timers.helloPending)`, to: `if (due.has("gap"))`,
			spare: "no timer runs then",
		},
		{
			name: "a frame whose parts stop coming is a gap", file: inbox,
			from: `if (this.#parts.expire(now)) this.missed = true;`, to: `this.#parts.expire(now);`,
		},
		{
			name: "a ping every 15 s while a run is there", file: file,
			from: `const PING_BUSY = 15_000;`, to: `const PING_BUSY = 300_000;`,
		},
	}
}

func tsAskingGuards2() []guard {
	const file, inbox = "web/client/src/timers.ts", "web/client/src/inbox.ts"
	return []guard{
		{
			name: "a ping every 5 min", file: file,
			from: `const PING_IDLE = 5 * 60_000;`, to: `const PING_IDLE = 500 * 60_000;`,
		},
		{
			name: "pings no more often than that", file: file,
			from: `const PING_IDLE = 5 * 60_000;`, to: `const PING_IDLE = 15_000;`,
		},
		{
			name: "a pong's head beyond the cursor is a gap", file: "web/client/src/thread.ts",
			from: `this.#head = Math.max(this.#head, frame.head ?? 0);`, to: ``,
		},
		{
			name: "a pong of another epoch or other runs means hello", file: inbox,
			from: `else if (!this.#view.timers.helloPending) this.#view.out.hello(now);`, to: ``,
		},
		{
			name: "a pong's or row's interrupted that differs means hello", file: "web/client/src/answers.ts",
			from: `if ((interrupted === true) !== current.state().interrupts.length > 0) this.#out.hello(now);`, to: ``,
		},
		{
			name: "a pong that finds a request unanswered starts the retry", file: inbox,
			from: `if (lost && !this.#view.out.requests.empty) this.#view.timers.mayNotHaveArrived(now);`,
			to:   `void lost;`,
		},
		{
			name: "a frame without type starts the retry", file: inbox,
			from: `case "": return this.#view.timers.mayNotHaveArrived(now);`, to: `case "": return;`,
		},
		{
			name: "a hello without answer for 10 s: the socket is lost", file: file,
			from: `const sentAt = [this.#hello?.at, this.#ping?.at]`, to: `const sentAt = [this.#ping?.at]`,
		},
	}
}

func tsAskingGuards3() []guard {
	const file, session, inbox = "web/client/src/timers.ts", "web/client/src/view.ts", "web/client/src/inbox.ts"
	return []guard{
		{
			name: "a ping without answer for 10 s: the socket is lost", file: file,
			from: `const sentAt = [this.#hello?.at, this.#ping?.at]`, to: `const sentAt = [this.#hello?.at]`,
		},
		{
			name: "backoff with jitter", file: file,
			from: `this.#random() * Math.min(BACKOFF_MOST`, to: `Math.min(BACKOFF_MOST`,
		},
		{
			name: "backoff doubles", file: file,
			from: `BACKOFF_FIRST * 2 ** this.#attempts++`, to: `BACKOFF_FIRST`,
		},
		{
			name: "backoff is at most 20 s", file: file,
			from: `const BACKOFF_MOST = 20_000;`, to: `const BACKOFF_MOST = 600_000;`,
		},
		{
			name: "the first pause is at most 1 s", file: file,
			from: `const BACKOFF_FIRST = 1_000;`, to: `const BACKOFF_FIRST = 8_000;`,
		},
		{
			name: "an unanswered request is repeated on the next socket", file: "web/client/src/outbox.ts",
			from: `    this.#say(now, true);`, to: `    this.hello(now);`,
			spare: "the ready sends the runs, and a pong finds the rest",
		},
		{
			name: "a replaced client does not reconnect", file: inbox,
			from: `if (frame.code === "replaced" && !this.#view.timers.opening) this.#view.status.status = "replaced";`,
			to:   ``,
		},
		{
			name: "a thread that is opened is asked for", file: session,
			from: `if (this.#timers.online) this.#out.hello(now);`, to: ``,
		},
	}
}

func tsEpochGuards() []guard {
	const file, inbox = "web/client/src/thread.ts", "web/client/src/inbox.ts"
	return []guard{
		{
			name: "a ready of a lower n is dropped", file: inbox,
			from: "#ready(frame: Ready, now: number): void {\n    if (frame.n < this.#answeredN) return;",
			to:   "#ready(frame: Ready, now: number): void {",
		},
		{
			name: "a snapshot of a lower n is dropped", file: inbox,
			from:  "#snapshot(frame: Snapshot, now: number): void {\n    if (frame.n < this.#answeredN) return;",
			to:    "#snapshot(frame: Snapshot, now: number): void {",
			spare: "one of the cursor's epoch and beyond the cursor is right whatever asked for it",
		},
		{
			name: "a snapshot of another epoch is dropped", file: file,
			from: `if (frame.epoch !== this.#cursor?.epoch || frame.seq <= this.#cursor.seq) return false;`,
			to:   `if (!this.#cursor || frame.seq <= this.#cursor.seq) return false;`,
		},
		{
			name: "a frame of another epoch is not applied", file: file,
			from: `if (frame.epoch !== cursor.epoch || frame.seq > at + 1) return true;`,
			to:   `if (frame.seq > at + 1) return true;`,
		},
		{
			name: "a ready drops held frames of other epochs", file: file,
			from: `this.#held = this.#held.filter((held) => !this.#pastEpochs.has(held.frame.epoch));`, to: ``,
		},
		{
			name: "later frames of those are dropped", file: file,
			from: `if (!own && this.#pastEpochs.has(frame.epoch)) return false;`, to: ``,
			spare: "a frame that is held is a gap, and the next ready drops it again",
		},
		{
			name: "a ready without an epoch empties the view", file: file,
			from: `if (frame.epoch !== this.#cursor?.epoch) this.#restart(frame.epoch);`,
			to:   `if (frame.epoch && frame.epoch !== this.#cursor?.epoch) this.#restart(frame.epoch);`,
		},
		{
			name: "a late ready takes nothing away", file: file,
			from: `if (this.#doubt) return false;`, to: `this.#doubt = false;`,
		},
	}
}
