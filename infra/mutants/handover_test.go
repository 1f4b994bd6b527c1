package mutants

// handOverGuards are the rules of hand-overs.
func handOverGuards() []guard {
	const file, conformance = "shared/store/handover.go", "./shared/store TestStore"
	return []guard{
		{
			name: "hand-over: the next claim counts no attempt", file: "shared/store/claim.go", test: conformance,
			from: `		if r.handedOver() {
			c = continued(c.worker)`, to: `		if r.handedOver() && c.worker == "nobody" {
			c = continued(c.worker)`,
		},
		{
			name: "hand-over: only its own claim counts no attempt", file: "shared/store/claim.go",
			from: `#attempts < :most)" + notHanded,`, to: `#attempts < :most)",`, test: conformance,
		},
		{
			name: "hand-over: it recognises its own success", file: file, test: "./shared/store TestModel",
			from: `case r.Nonce == l.nonce && r.handedOver():`, to: `case r.Nonce == "" && r.handedOver():`,
		},
		{
			name: "hand-over: the worker before can write nothing more", file: file, test: conformance,
			from: `	l.lost.Store(true)
	now`, to: `	now`,
		},
		{
			name: "hand-over: a lease that was handed over cannot be renewed", file: "shared/store/lease.go",
			from:  `	" AND (attribute_not_exists(#handed) OR #handed <> :fence)"`,
			to:    `	" AND (attribute_not_exists(#handed) OR #handed >= :fence OR #handed < :fence)"`,
			test:  conformance,
			spare: "the lease itself knows that it was handed over",
		},
		{
			name: "hand-over: a run is handed over ten times at most", file: file, test: conformance,
			from: `#handings < :most)`, to: `#handings < :most OR #handings >= :most)`,
		},
		{
			name: "hand-over: only of a lease that is held", file: file, test: conformance,
			from: `when: held + " AND`,
			to: `when: "attribute_exists(#pk) AND (#fence <> :fence OR #nonce = :nonce OR ` +
				`#nonce <> :nonce OR #status = :running) AND`,
		},
		{
			name: "hand-over: sweep continues the run after the last attempt", file: "functions/sweep/user.go",
			from: `run.Attempts >= w.limits.Attempts && !run.HandedOver ||`, to: `run.Attempts >= w.limits.Attempts ||`,
			test: "./functions/sweep TestSweep_HandedOver",
		},
	}
}

// handOverWorkGuards are the rules of the work of a worker that hands a run over.
func handOverWorkGuards() []guard {
	return []guard{
		{
			name: "hand-over: a call that was not made is made", file: "shared/engine/handover.go",
			from: `pending[i].MayHaveRun && !h.Continues`, to: `pending[i].MayHaveRun`,
			test: "./functions/turn TestTurn_HandOver",
		},
		{
			name: "hand-over: before calls that do not fit", file: "shared/engine/run.go",
			from: `if r.mustHandOver(r.callsTime(a.calls)) {`, to: `if r.mustHandOver(0) {`,
			test: "./shared/engine TestRun_HandOver",
		},
		{
			name: "hand-over: an answer that takes too long is closed", file: "shared/engine/policy.go",
			from: `	defer r.closeInTime(cancel)()
`, to: ``,
			test: "./shared/engine TestRun_HandOver",
		},
	}
}
