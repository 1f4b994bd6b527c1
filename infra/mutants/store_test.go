package mutants

import "slices"

// storeGuards are the rules of docs/data.md, "Who may write a thread", in its order.
func storeGuards() []guard {
	const model = "./shared/store TestModel"
	all := slices.Concat(
		admissionGuards(), inputGuards(), slotGuards(), claimGuards(), sweepGuards(), dueGuards(), failureGuards(),
		readGuards(), appendGuards(), endStatusGuards(), endGuards(), interruptGuards(), requestGuards(), queueGuards(),
		dayGuards(),
	)
	for i := range all {
		if all[i].test == "" {
			all[i].test = model
		}
	}
	return all
}

func admissionGuards() []guard {
	return []guard{
		{
			name: "admission: nothing is written before the ownership is known", file: "shared/store/admit.go",
			from: `if foreign != nil {`, to: `if foreign != nil && c == nil {`,
		},
		{
			name: "admission: the first read waits for the ownership", file: "shared/store/admit.go",
			from: `		func() { foreign = c.request.own(ctx) },
	)`, to: `	)
	go func() { foreign = c.request.own(ctx) }()`,
		},
		{
			name: "admission: RUN must not exist", file: "shared/store/admit_write.go",
			from: `run, err := s.t.putPart(w.run, absent, now)`, to: `run, err := s.t.putPart(w.run, "", nil)`,
		},
		{
			name: "admission, start, cancel: QUEUE under the version read", file: "shared/store/runs.go",
			from: `"attribute_exists(#pk) AND #version = :version"`,
			to:   `"attribute_exists(#pk) AND (#version = :version OR #version <> :version)"`,
		},
		{
			name: "admission: not while the user is erased", file: "shared/store/admit.go",
			from: `if b.queue.Erasing {`, to: `if b.queue.Erasing && b.queue.Version < 0 {`,
			test: "./shared/store TestStore",
		},
		{
			name: "admission: the first QUEUE", file: "shared/store/runs.go",
			from: `u.change+" REMOVE #erasing, #expires", absent`,
			to:   `u.change+" REMOVE #erasing, #expires", "("+absent+" OR attribute_exists(#pk))"`,
		},
		{
			name: "admission: a repeat answers as the first did", file: "shared/store/admit.go",
			from: `if b.run.ID != "" {`, to: `if b.run.ID == "nobody" {`,
		},
		{
			name: "admission: a repeat invokes turn again if the run is unclaimed", file: "shared/store/admit.go",
			from: `Invoke: run.Status == chat.RunAdmitted,`, to: `Invoke: false,`,
		},
		{
			name: "admission: it recognises its own success", file: "shared/store/admit.go",
			from: `Repeat: b.run.Input != c.nonce`, to: `Repeat: true`,
		},
		{
			name: "admission: the policy interrupt cancels the running run", file: "shared/store/admit_write.go",
			from: `if w.interrupt != "" {`, to: `if w.interrupt == "nobody" {`,
		},
		{
			name: "admission, start, end: THREAD not deleted", file: "shared/store/admit_write.go",
			from: `attribute_exists(#pk) AND attribute_not_exists(#deleted) AND`, to: `attribute_exists(#pk) AND`,
		},
	}
}

func inputGuards() []guard {
	return []guard{
		{
			name: "admission: a long input is put", file: "shared/store/input.go",
			from: `if err := c.s.t.put(ctx, item, "", nil); err != nil {`,
			to:   `if err, _ := error(nil), item; err != nil {`,
		},
		{
			name: "admission: a short input is inside RUN", file: "shared/store/input.go",
			from: `	if size+claimedSize <= writeUnit {`, to: `	if r.Inside = ""; size+claimedSize <= writeUnit {`,
		},
		{
			name: "end: RUN has no content", file: "shared/store/end_write.go",
			from: `#lease, #in",`, to: `#lease",`,
		},
		{
			name: "cancel of an unclaimed run: RUN has no content", file: "shared/store/cancel.go",
			from: `#deadline, #in",`, to: `#deadline",`,
		},
	}
}

func slotGuards() []guard {
	return []guard{
		{
			name: "a thread has one slot: admission", file: "shared/runqueue/queue.go",
			from: `case !taken && !queued && len(next.Slots) < p.Limits.Runs:`,
			to:   `case (!taken || taken) && !queued && len(next.Slots) < p.Limits.Runs:`,
		},
		{
			name: "a thread has one slot: start", file: "shared/runqueue/queue.go",
			from: `if busy || q.Erasing || p.AwaitingInput`,
			to:   `if busy && len(after.Slots) < 0 || q.Erasing || p.AwaitingInput`,
		},
		{
			name: "a user has five slots: admission", file: "shared/runqueue/queue.go",
			from: `&& len(next.Slots) < p.Limits.Runs`, to: `&& len(next.Slots) <= p.Limits.Runs`,
		},
		{
			name: "a slot stays until its run's end", file: "shared/store/runs.go",
			from: `if item.ID == "" || s.t.expired(item.Expires) || chat.RunStatus(item.Status).Terminal() {`,
			to:   `if item.ID == "" || s.t.expired(item.Expires) || item.Lease < s.t.c.Now().UnixMilli() {`,
		},
	}
}

func claimGuards() []guard {
	return []guard{
		{
			name: "claim: the run is admitted, or its lease has expired", file: "shared/store/claim.go",
			from: `(#status = :running AND #lease < :clock AND`,
			to:   `(#status = :running AND (#lease < :clock OR #lease >= :clock) AND`,
		},
		{
			name: "claim: the number of attempts is limited", file: "shared/store/claim.go",
			from: `OR #attempts < :most)`, to: `OR #attempts < :most OR #attempts >= :most)`,
		},
		{
			name: "claim: counts the attempt", file: "shared/store/claim.go",
			from: `if_not_exists(#attempts, :zero) + :one`, to: `if_not_exists(#attempts, :zero) + :zero`,
		},
		{
			name: "claim: within the run's time", file: "shared/store/claim.go",
			from: `AND #deadline > :clock))`, to: `AND (#deadline > :clock OR #deadline <= :clock)))`,
		},
		{
			name: "claim: fence + 1", file: "shared/store/claim.go",
			from: `#fence = #fence + :one`, to: `#fence = if_not_exists(#fence, :one)`,
		},
		{
			name: "claim: it recognises its own success", file: "shared/store/claim.go",
			from: `case r.Nonce != nonce:`, to: `case r.Nonce != "":`,
		},
		{
			name: "claim: the lease is still held after reading the log", file: "shared/store/claim.go",
			from: `if err := l.stillHeld(now); err != nil {`, to: `if err := error(nil); err != nil {`,
		},
		{
			name: "claim: the lease is still held if the head is beyond the log", file: "shared/store/previous.go",
			from: `_, err := l.CancelRequested(ctx)`, to: `err := error(nil)`,
		},
		{
			name: "claim: the log is read before RUN", file: "shared/store/claim.go",
			from: `	if err := l.loadThread(r, items[thread.sk]); err != nil {`,
			to: `	if tail, found, err = s.recordBefore(ctx, l.run.Thread, chat.Epoch(r.Epoch), lastSeq); err != nil {
		return err
	}
	if err := l.loadThread(r, items[thread.sk]); err != nil {`,
		},
		{
			name: "claim: the thread has the run's epoch", file: "shared/store/claim.go",
			from: `t.Epoch != r.Epoch || `, to: ``, test: "./shared/store TestStore",
		},
	}
}

func sweepGuards() []guard {
	return []guard{
		{
			name: "sweep: the lease has expired when sweep acts", file: "shared/store/claim.go",
			from: `unchanged + "#lease < :clock"`, to: `unchanged + "(#lease < :clock OR #lease >= :clock)"`,
		},
		{
			name: "sweep: an admitted run's deadline has passed", file: "shared/store/claim.go",
			from: `== chat.RunAdmitted && fromMillis(r.Deadline).Before(now)`, to: `== chat.RunAdmitted`,
			spare: "the same stands in the condition of its claim",
		},
		{
			name: "sweep: fence and nonce are unchanged", file: "shared/store/claim.go",
			from: `const unchanged = "#status = :seen AND #fence = :fence AND #nonce = :old AND "`,
			to: `const unchanged = "#status = :seen AND (#fence = :fence OR #fence <> :fence) AND (#nonce = :old ` +
				`OR #nonce <> :old) AND "`,
			// It matters when a clock is late: a worker that has just claimed the run keeps it.
			test: "./shared/store TestSweepYields",
		},
		{
			name: "renew, end: under fence and nonce", file: "shared/store/lease.go",
			from: `AND #fence = :fence AND #nonce = :nonce AND`,
			to:   `AND (#fence = :fence OR #fence <> :fence) AND (#nonce = :nonce OR #nonce <> :nonce) AND`,
		},
		{
			name: "renew, end: under the nonce", file: "shared/store/lease.go",
			from: `AND #nonce = :nonce AND`, to: `AND (#nonce = :nonce OR #nonce <> :nonce) AND`,
			spare: "each claim has another fence",
		},
		{
			name: "renew, end: under the fence", file: "shared/store/lease.go",
			from:  `const held = "attribute_exists(#pk) AND #fence = :fence AND #nonce`,
			to:    `const held = "attribute_exists(#pk) AND (#fence = :fence OR #fence <> :fence) AND #nonce`,
			spare: "each claim has another nonce",
		},
	}
}
