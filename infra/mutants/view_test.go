package mutants

import "slices"

// viewGuards are the rules of docs/protocol.md, "Client requirements": both clients' rules in their code, and the
// server's rules in the model that drives the clients.
func viewGuards() []guard {
	all := slices.Concat(cursorGuards(), askingGuards(), socketGuards(), epochGuards(), runGuards())
	for i := range all {
		g := &all[i]
		g.name, g.test = "view, Go: "+g.name, goModel
	}
	ts := slices.Concat(tsCursorGuards(), tsAskingGuards(), tsEpochGuards())
	for i := range ts {
		g := &ts[i]
		g.name, g.test = "view, TS: "+g.name, tsModel
	}
	return slices.Concat(all, ts, lapsedGuards())
}

const (
	goModel = "./shared/client TestModel"
	tsModel = "web client/test/model.test.ts"
)

func cursorGuards() []guard {
	const file = "shared/client/thread.go"
	return []guard{
		{
			name: "an applied event is not applied again", file: file,
			from: `if f.Seq+chat.Seq(i) <= t.cursor.Seq {`, to: `if f.Seq+chat.Seq(i) < 0 {`,
		},
		{
			name: "a frame that leaves a gap is held", file: file,
			from: `if f.Epoch != t.cursor.Epoch || f.Seq > t.cursor.Seq+1 {`, to: `if f.Epoch != t.cursor.Epoch {`,
		},
		{
			name: "a frame that leaves a gap is not dropped", file: file,
			from: `if len(t.held) < maxHeld {`, to: `if len(t.held) < maxHeld && f.Seq <= t.cursor.Seq+1 {`,
		},
		{
			name: "a cursor short of ready.head is a gap", file: file,
			from: `t.head = max(t.head, min(r.Head, maxSeq))`, to: `t.head = max(t.head, min(0, maxSeq))`,
		},
		{
			name: "a snapshot not beyond the cursor is dropped", file: file,
			from: `|| s.Seq <= t.cursor.Seq || s.Seq > maxSeq`, to: `|| s.Seq > maxSeq`,
		},
		{
			name: "an end that a snapshot restates ends its run", file: file,
			from: `if e.Terminal() { // a snapshot`, to: `if e.Terminal() && i < 0 { // a snapshot`,
		},
		{
			name: "an older row is dropped", file: "shared/client/threadlist.go",
			from: `!there || r.Updated >= have.Updated`, to: `!there || r.Updated >= have.Updated || true`,
		},
	}
}

func askingGuards() []guard { return slices.Concat(askingGuards1(), askingGuards2()) }

func askingGuards1() []guard {
	const file = "shared/client/timers.go"
	return []guard{
		{
			name: "a gap is asked for", file: file,
			from: `add(quiet && v.open.gap(),`, to: `add(false && quiet && v.open.gap(),`,
		},
		{
			name: "a gap waits 250 ms after the last applied event", file: "shared/client/inbox.go",
			from: "v.socket.gapPause = v.patience()\n\t\tv.socket.quiet = v.now",
			to:   "v.socket.gapPause = v.patience()",
		},
		{
			name: "a gap waits while parts come", file: "shared/client/inbox.go",
			from: "s.gapPause = max(s.gapPause, v.patience())\n\ts.quiet = v.now\n", to: "",
		},
		{
			name: "the gap's pause doubles", file: file,
			from: `s.gapPause = min(2*s.gapPause, gapMost)`, to: `s.gapPause = min(s.gapPause, gapMost)`,
		},
		{
			name: "no hello while one is unanswered", file: file,
			from: `quiet := s.hello == 0 && v.status == Ready`, to: `quiet := v.status == Ready`,
		},
		{
			name: "a frame whose parts stop coming is a gap", file: file,
			from: `v.open.incomplete = true`, to: `v.open.incomplete = v.open.incomplete`,
		},
		{
			name: "a ping every 15 s while a run is there", file: file,
			from: `interval = pingBusy`, to: `interval = pingIdle`,
		},
	}
}

func askingGuards2() []guard {
	const file = "shared/client/timers.go"
	return []guard{
		{
			name: "a ping every 5 min", file: file,
			from: `interval := pingIdle`, to: `interval := 100 * pingIdle`,
		},
		{
			name: "pings no more often than that", file: file,
			from: `interval := pingIdle`, to: `interval := pingBusy`,
		},
		{
			name: "a pong's head beyond the cursor is a gap", file: "shared/client/inbox.go",
			from: `t.head = max(t.head, min(f.Head, maxSeq))`, to: `t.head = max(t.head, min(0, maxSeq))`,
		},
		{
			name: "a pong of another epoch or other runs means hello", file: "shared/client/inbox.go",
			from: `case f.Epoch != t.cursor.Epoch, !slices.Equal(theirs, ours):`, to: `case false:`,
		},
		{
			name: "a pong's or row's interrupted that differs means hello", file: "shared/client/interrupts.go",
			from: `|| interrupted == (len(v.open.openInterrupts()) > 0) {`, to: `|| interrupted || !interrupted {`,
		},
		{
			name: "a pong that finds a request unanswered starts the retry", file: "shared/client/inbox.go",
			from: `if s.pingedOut && v.requests.out() {`, to: `if false && s.pingedOut && v.requests.out() {`,
		},
		{
			name: "a frame without type starts the retry", file: "shared/client/inbox.go",
			from: `if errors.Is(err, wire.ErrGateway) {`,
			to:   `if errors.Is(err, wire.ErrGateway) && v.socket.open == false {`,
		},
	}
}

func socketGuards() []guard {
	const file = "shared/client/timers.go"
	return []guard{
		{
			name: "a hello without answer for 10 s: the socket is lost", file: file,
			from: `add(s.hello != 0, s.helloSince`, to: `add(false && s.hello != 0, s.helloSince`,
		},
		{
			name: "a ping without answer for 10 s: the socket is lost", file: file,
			from: `add(s.pinging, s.pingSince`, to: `add(false && s.pinging, s.pingSince`,
		},
		{
			name: "the first pause is at most 1 s", file: file,
			from: `backoffLeast = time.Second`, to: `backoffLeast = 8 * time.Second`,
		},
		{
			name: "backoff with jitter", file: file,
			from: `time.Duration(v.random() * float64(d))`, to: `time.Duration(float64(d))`,
		},
		{
			name: "backoff doubles", file: file,
			from: `least<<min(doubled, 10)`, to: `least<<min(doubled, 0)`,
		},
		{
			name: "backoff is at most 20 s", file: file,
			from: `min(least<<min(doubled, 10), retryMost)`, to: `min(least<<min(doubled, 10), 30*retryMost)`,
		},
		{
			name: "an unanswered request is repeated on the next socket", file: file,
			from: "v.requests.unsent()\n", to: "\n",
		},
		{
			name: "a replaced client does not reconnect", file: "shared/client/answers.go",
			from: "case wire.CodeReplaced:\n",
			to:   "case wire.CodeReplaced:\n\t\tv.actions.Close = true\n\t\tv.lose()\n\t\treturn\n\tcase \"never\":\n",
		},
		{
			name: "a thread that is opened is asked for", file: "shared/client/view.go",
			from: "v.socket.wantHello = true\n\t\tv.socket.gapPause", to: "v.socket.gapPause",
		},
	}
}

func epochGuards() []guard {
	const file = "shared/client/thread.go"
	return []guard{
		{
			name: "a ready of a lower n is dropped", file: "shared/client/inbox.go",
			from: "if f.N < s.had || f.N > s.n {\n", to: "if f.N > s.n {\n",
		},
		{
			name: "a snapshot of a lower n is dropped", file: "shared/client/inbox.go",
			from: "if f.N < s.had || f.N > s.n || f.ThreadID", to: "if f.N > s.n || f.ThreadID",
			spare: "one of the cursor's epoch and beyond the cursor is right whatever asked for it",
		},
		{
			name: "a snapshot of another epoch is dropped", file: file,
			from: `if s.Epoch != t.cursor.Epoch || s.Seq <=`, to: `if s.Seq <=`,
		},
		{
			name: "a frame of another epoch is not applied", file: file,
			from: `if f.Epoch != t.cursor.Epoch || f.Seq > t.cursor.Seq+1 {`, to: `if f.Seq > t.cursor.Seq+1 {`,
		},
		{
			name: "a ready drops held frames of other epochs", file: file,
			from: `return settled`, to: `return false`,
		},
		{
			name: "later frames of those are dropped", file: file,
			from: `|| t.dead[f.Epoch] {`, to: `{`,
			spare: "a frame that is held is a gap, and the next ready drops it again",
		},
		{
			name: "a ready without an epoch empties the view", file: file,
			from: "if r.Epoch != t.cursor.Epoch {\n", to: "if r.Epoch != t.cursor.Epoch && r.Epoch != \"\" {\n",
		},
		{
			name: "a late ready takes nothing away", file: file,
			from: `if r.Epoch != t.cursor.Epoch && t.adopted >= r.N {`, to: `if false && t.adopted >= r.N {`,
		},
	}
}

func runGuards() []guard {
	const file = "shared/client/thread.go"
	return []guard{
		{
			name: "a run that ended is not shown again", file: file,
			from: `case r == "" || r == active || t.over[r]:`, to: `case r == "" || r == active:`,
		},
		{
			name: "before ready, the applied events show the running run", file: file,
			from: `active = t.speaking`, to: `active = ""`,
		},
		{
			name: "a late ready does not undo an accepted", file: file,
			from: `return a.n < r.N })`, to: `return a.n >= 0 })`,
		},
		{
			name: "an answered question does not come back", file: "shared/client/interrupts.go",
			from: `if !a.resumed[i.ID] {`, to: `if !a.resumed[i.ID] || true {`,
			spare: "a ready below the cursor, which would bring it, says nothing of questions",
		},
		{
			name: "a ready below the cursor does not change interrupts", file: file,
			from: `if r.Head >= t.cursor.Seq {`, to: `if r.Head >= 0 {`,
		},
	}
}

// lapsedGuards are the server's rules: the model omits each by its name.
func lapsedGuards() []guard {
	var all []guard
	for _, clause := range []string{
		"hello first stores the connection's thread",
		"the transcripts end at the head of the thread that was read", "snapshot.seq is the thread's head",
		"the run queue is not older than the thread of a snapshot", "ready.interrupts include the changes of the log",
		"events that retention removed are replaced by a snapshot",
		"hello and run change the row only if their n is higher",
		"a hello whose n is not higher is answered",
		"a run switches its connection to its thread", "a repeated runId is the same run",
		"a recreated thread has another epoch",
		"the emitter lists connections at the start", "the emitter lists connections once a second",
		"the emitter lists connections after the terminal append",
		"the emitter posts the last record to new connections",
		"a disconnected connection is new again when its n rises", "append before send", "pong has the thread's head",
		"pong includes the last log record", "pong has the runs of the queue",
		"pong reports whether the thread is awaiting input",
		"each change of a thread raises its updated", "the oldest connection receives replaced",
	} {
		all = append(all, guard{name: "view, server: " + clause, lapse: clause, file: "shared/client/view.go",
			test: goModel})
	}
	return all
}
