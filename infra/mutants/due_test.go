package mutants

// dueGuards keep the order of the live index: see "Due times" in docs/data.md.
func dueGuards() []guard {
	return []guard{
		{
			name: "due: a claim keeps no time that is far ahead or near", file: "shared/store/claim.go",
			from: `" AND #due BETWEEN :soon AND :late"`,
			to:   `" AND (#due BETWEEN :soon AND :late OR #due > :late OR #due < :soon)"`,
		},
		{
			name: "due: the heartbeat moves it", file: "shared/store/due.go",
			from: `if due-millis(now) >= moveDueBelow.Milliseconds() {`,
			to:   `if due-millis(now) >= -time.Hour.Milliseconds() {`,
		},
		{
			name: "due: a look moves it", file: "shared/store/due.go", test: "./functions/sweep TestSweep_UnclaimedRun",
			from: `":due": number(millis(nextLook(r, s.t.c.Now())))`, to: `":due": number(millis(r.Due))`,
		},
		{
			name: "due: only due entries are read", file: "shared/store/due.go", test: "./shared/store TestStore",
			from: `" AND #due < :now"`, to: `" AND #due > :now"`,
		},
		{
			name: "due: an entry that cannot be read stops no other", file: "shared/store/due.go",
			test: "./shared/store TestStore",
			from: `				unreadable = append(unreadable, err)
				continue
`, to: `				return nil, err
`,
		},
		{
			name: "due: a user's failure stops no other", file: "functions/sweep/handler.go",
			test: "./functions/sweep TestSweep_UnreadableEntry",
			from: `	due, err := h.live.Due(ctx)
	if err != nil {
`, to: `	due, err := h.live.Due(ctx)
	if err != nil {
		due = nil
`,
		},
	}
}

// failureGuards limit what sweep does because of a failure record.
func failureGuards() []guard {
	return []guard{
		{
			name: "sweep: an unclaimed run is admitted", file: "shared/store/claim.go",
			from: `claiming{when: "#status = :seen",`, to: `claiming{when: "(#status = :seen OR #status <> :seen)",`,
			test: "./shared/store TestStore",
		},
		{
			name: "sweep: a lease is ended for its own worker", file: "shared/store/due.go",
			from: `#status = :running AND #worker = :worker`,
			to:   `#status = :running AND (#worker = :worker OR #worker <> :worker)`,
		},
		{
			name: "sweep: only a running run's lease is ended", file: "shared/store/due.go",
			from: `#status = :running AND #worker = :worker`,
			to:   `(#status = :running OR #status <> :running) AND #worker = :worker`,
			test: "./shared/store TestStore",
		},
		{
			name: "claim: it names the worker", file: "shared/store/claim.go",
			from: `" #worker = :worker, #started`, to: `" #worker = if_not_exists(#worker, :worker), #started`,
		},
		{
			name: "failure records: functionError means that the function ran", file: "shared/gateway/gateway.go",
			test: "./functions/sweep TestRecord_NeverRan",
			from: `Invoked: e.ResponseContext.FunctionError != "",`, to: `Invoked: true,`,
		},
		{
			name: "failure records: a young run has another event", file: "functions/sweep/user.go",
			test: "./functions/sweep TestRecord_NeverRan",
			from: `run.Unclaimed(w.now()) >= eventAge:`, to: `run.Unclaimed(w.now()) >= 0*eventAge:`,
		},
		{
			name: "failure records: one of an ended run starts the queued runs", file: "functions/sweep/user.go",
			test: "./functions/sweep TestRecord_OfAnEndedRun",
			from: `	case run.Status.Terminal():
		return w.startQueued(ctx)
`, to: `	case run.Status.Terminal():
		return nil
`,
		},
	}
}
