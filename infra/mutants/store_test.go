package mutants

import "slices"

// storeGuards are the rules of docs/data.md, "Who may write a thread", in its order.
func storeGuards() []guard {
	const model = "./shared/store TestModel"
	all := slices.Concat(admissionGuards(), seatGuards(), claimGuards(), sweepGuards(), dueGuards(), failureGuards(),
		readGuards(), appendGuards(), endGuards(),
		questionGuards(), requestGuards(), deskGuards())
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
			name: "admission: the input is put", file: "shared/store/admit.go",
			from: `if err := s.putInput(ctx, a, nonce); err != nil {`, to: `if err := error(nil); err != nil {`,
		},
		{
			name: "admission: RUN must not exist", file: "shared/store/admit.go",
			from: `run, err := s.t.putPart(w.run, absent, now)`, to: `run, err := s.t.putPart(w.run, "", nil)`,
		},
		{
			name: "admission, start, cancel: QUEUE under the version read", file: "shared/store/runs.go",
			from: `"attribute_exists(#pk) AND #version = :version"`,
			to:   `"attribute_exists(#pk) AND (#version = :version OR #version <> :version)"`,
		},
		{
			name: "admission: not while the user is erased", file: "shared/store/admit.go",
			from: `if b.desk.Erasing {`, to: `if b.desk.Erasing && b.desk.Version < 0 {`,
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
			from: `Repeat: b.run.Input != nonce`, to: `Repeat: true`,
		},
		{
			name: "admission: the policy interrupt cancels the running run", file: "shared/store/admit.go",
			from: `if w.interrupt != "" {`, to: `if w.interrupt == "nobody" {`,
		},
		{
			name: "admission, start, end: THREAD not deleted", file: "shared/store/admit.go",
			from: `attribute_exists(#pk) AND attribute_not_exists(#deleted) AND`, to: `attribute_exists(#pk) AND`,
		},
	}
}

func seatGuards() []guard {
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
			name: "claim: the lease is still held after reading everything", file: "shared/store/claim.go",
			from: `_, err = h.CancelRequested(ctx)`, to: `err = nil`,
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
			name: "renew, end: under fence and nonce", file: "shared/store/claim.go",
			from: `AND #fence = :fence AND #nonce = :nonce AND`,
			to:   `AND (#fence = :fence OR #fence <> :fence) AND (#nonce = :nonce OR #nonce <> :nonce) AND`,
		},
		{
			name: "renew, end: under the nonce", file: "shared/store/claim.go",
			from: `AND #nonce = :nonce AND`, to: `AND (#nonce = :nonce OR #nonce <> :nonce) AND`,
			spare: "each claim has another fence",
		},
		{
			name: "renew, end: under the fence", file: "shared/store/claim.go",
			from:  `const mine = "attribute_exists(#pk) AND #fence = :fence AND #nonce`,
			to:    `const mine = "attribute_exists(#pk) AND (#fence = :fence OR #fence <> :fence) AND #nonce`,
			spare: "each claim has another nonce",
		},
	}
}

func readGuards() []guard {
	return []guard{
		{
			name: "first record: behind the thread's head", file: "shared/store/earlier.go",
			from: `h.next = h.thread.Head + 1`, to: `h.next = 1`,
		},
		{
			name: "first record: a higher fence in the log stops", file: "shared/store/earlier.go",
			from: `r.Fence > h.run.Fence ||`, to: ``,
		},
		{
			name: "first record: its position is chosen again", file: "shared/store/append.go",
			from: `if !h.wrote && there.Fence < r.Fence {`, to: `if h.wrote && there.Fence > r.Fence {`,
		},
		{
			name: "reads are consistent: one item", file: "shared/store/read.go",
			from: `TableName: &t.c.Name, Key: k.attributes(), ConsistentRead: aws.Bool(true),`,
			to:   `TableName: &t.c.Name, Key: k.attributes(), ConsistentRead: aws.Bool(false),`,
		},
		{
			name: "reads are consistent: many", file: "shared/store/read.go",
			from: `types.KeysAndAttributes{ConsistentRead: aws.Bool(true)}`,
			to:   `types.KeysAndAttributes{ConsistentRead: aws.Bool(false)}`,
		},
		{
			name: "reads are consistent: the log", file: "shared/store/read.go",
			from: `TableName: &t.c.Name, ConsistentRead: aws.Bool(true), Key`,
			to:   `TableName: &t.c.Name, ConsistentRead: aws.Bool(false), Key`,
		},
	}
}

func appendGuards() []guard {
	return []guard{
		{
			name: "append: the position is empty", file: "shared/store/append.go",
			from: `h.s.t.put(ctx, r, absent, attributes{":now": number(h.s.t.nowSeconds())})`,
			to:   `h.s.t.put(ctx, r, "", nil)`,
		},
		{
			name: "append: it recognises its own success", file: "shared/store/append.go",
			from: `there.Nonce == r.Nonce &&`, to: `there.Nonce != r.Nonce &&`,
		},
		{
			name: "append: a lower fence is folded in", file: "shared/store/earlier.go",
			from: `r.Fence == h.run.Fence && r.Nonce != h.nonce {`, to: `r.Nonce != h.nonce {`,
		},
		{
			name: "append: another run's record stops", file: "shared/store/earlier.go",
			from: `if r.Run != string(h.run.ID) ||`, to: `if`,
			spare: "the end of its own run stands before any other run's record",
		},
	}
}

func endGuards() []guard {
	const file = "shared/store/end.go"
	return []guard{
		{
			name: "end: the transcript is put", file: file,
			from: `if transcript != r.last() {`, to: `if transcript > r.last() {`,
		},
		{
			name: "end: the transcript is put again for another number", file: file,
			from: `if transcript != r.last() {`, to: `if transcript == 0 {`,
			spare: "a worker can find a foreign record there only before its own first record, and then End is " +
				"called again",
		},
		{
			name: "end: a transcript by a higher fence stays", file: file,
			from: `"attribute_not_exists(#pk) OR #f <= :fence"`,
			to:   `"attribute_not_exists(#pk) OR #f <= :fence OR #f > :fence"`,
		},
		{
			name: "end: its record is written only to an empty position", file: file,
			from: `h.s.t.putPart(r, absent, attributes{":now": number(h.s.t.nowSeconds())})`,
			to:   `h.s.t.putPart(r, "", nil)`,
		},
		{
			name: "end: the head", file: file,
			from: `":head": number(t.Head)`, to: `":head": number(t.Head - 1)`,
		},
		{
			name: "end: the slot", file: file,
			from: `change: "REMOVE #slots.#run SET #version = #version + :one"`,
			to:   `change: "REMOVE #run SET #version = #version + :one"`,
		},
		{
			name: "end: the desk's version", file: file,
			from: `attributes{":one": number(int64(1))}`, to: `attributes{":one": number(int64(0))}`,
		},
		{
			name: "end: a busy desk does not block it", file: file,
			from: `when: "attribute_exists(#pk)",`, to: `when: "attribute_exists(#pk) AND size(#queued) < :one",`,
		},
		{
			name: "end: it recognises its own success", file: file,
			from: `if run.Nonce == h.nonce && chat`, to: `if run.Nonce != h.nonce && chat`,
		},
		{
			name: "end on a deleted thread: it recognises its own success", file: file,
			from: `case r.Nonce != h.nonce || !chat`, to: `case r.Nonce == h.nonce || !chat`,
		},
		{
			name: "end on a deleted thread", file: file,
			from: `if h.deleted = t.Epoch != string(h.thread.Epoch) || !h.s.t.visible(t); !h.deleted {`,
			to:   `if h.deleted = t.Epoch != string(h.thread.Epoch); !h.deleted {`,
		},
	}
}

func questionGuards() []guard {
	const file = "shared/store/interrupts.go"
	return []guard{
		{
			name: "interrupts: a run without answers is refused", file: file,
			from: `if len(open) == 0 && len(answers) == 0 {`, to: `if len(answers) == 0 {`,
		},
		{
			name: "interrupts: every one is answered", file: file,
			from: `case isOpen && !found:`, to: `case !isOpen && !found && len(given) > 9:`,
		},
		{
			name: "interrupts: a run that has none to answer sees none", file: file,
			from: `u.when += " AND attribute_not_exists(#asked)"`, to: `u.when += ""`,
		},
		{
			name: "interrupts: they are still the ones that were read", file: file,
			from: `u.when+" AND #asked = :asked"`, to: `u.when+" AND (#asked = :asked OR attribute_exists(#pk))"`,
			// The model reaches it once in thousands of schedules.
			test: "./shared/store TestAThreadIsReadBeforeItsDesk",
		},
		{
			name: "interrupts: an admission takes them away", file: file,
			from: `REMOVE #open, #asked`, to: `REMOVE #nothing`,
		},
		{
			name: "interrupts: a queued run does not start", file: "shared/store/queued.go",
			from: `case len(s.t.open(t)) > 0 ||`, to: `case`,
		},
		{
			name: "interrupts: open again if the run that answers never began", file: "shared/store/cancel.go",
			from: `if r.Answers == "" {`, to: `if r.Answers != "nobody" {`,
		},
		{
			name: "interrupts: the end of the run that asks", file: "shared/store/end.go",
			from: `if len(t.Interrupts) > 0 {`, to: `if len(t.Interrupts) > 99 {`,
		},
		{
			name: "interrupts: the run that answers says which", file: "shared/store/admit.go",
			from: `r.Answers = b.thread.Asked`, to: `r.Answers = ""`,
		},
	}
}

func requestGuards() []guard {
	const full = "./shared/store TestTheFullestDesk"
	return []guard{
		{
			name: "desk: no more is read than a request takes", file: "shared/store/read.go", test: full,
			from: `slices.Chunk(keys, mostKeys)`, to: `slices.Chunk(keys, mostKeys+1+len(keys))`,
		},
		{
			name: "desk: no more starts than a transaction takes", file: "shared/store/queued.go", test: full,
			from: `min(rules.Limits.Runs, len(was.Slots)+(mostParts-1)/2)`,
			to:   `min(rules.Limits.Runs, len(was.Slots)+mostParts)`,
		},
	}
}

func deskGuards() []guard {
	return []guard{
		{
			name: "start: it recognises its own success", file: "shared/store/queued.go",
			from: `if item.Nonce == nonce {`, to: `if item.Nonce != nonce {`,
		},
		{
			name: "start: the run waits", file: "shared/store/queued.go",
			from:  `#status = :queued AND #fence = :zero`,
			to:    `(#status = :queued OR #status <> :queued) AND #fence >= :zero`,
			spare: "ending a queued run changes the queue",
		},
		{
			name: "start: not on a deleted thread", file: "shared/store/queued.go",
			from: `|| !s.t.visible(t):`, to: `:`,
		},
		{
			name: "cancel: an unclaimed run", file: "shared/store/cancel.go",
			from: `#status = :status AND #fence = :zero`,
			to:   `(#status = :status OR #status <> :status) AND #fence >= :zero`,
		},
		{
			name: "cancel: the run leaves the queue", file: "shared/store/cancel.go",
			from: `d.queue().Remove(chat.RunID(r.ID))`, to: `d.queue()`,
		},
		{
			name: "cancel: the run leaves the live index", file: "shared/store/cancel.go",
			from: `#ended = :ended REMOVE #live, #due, #deadline`, to: `#ended = :ended`,
		},
		{
			name: "cancel: it recognises its own success", file: "shared/store/cancel.go",
			from: `Ended: r.Nonce == nonce}`, to: `Ended: false}`,
		},
		{
			name: "cancel: a run that has ended stays as it is", file: "shared/store/cancel.go",
			from: `#status IN (:admitted, :running)`, to: `(#status IN (:admitted, :running) OR attribute_exists(#pk))`,
		},
		{
			name: "expire: not before the deadline", file: "shared/store/cancel.go",
			from: `!fromMillis(r.Deadline).Before(s.t.c.Now())`, to: `r.Deadline == 0`,
		},
		{
			name: "delete: the erasure is in the live index", file: "shared/store/delete.go",
			from: `return now, s.t.transact(ctx, mark, erasure)`,
			to:   `_ = erasure; return now, s.t.transact(ctx, mark)`,
		},
		{
			name: "erase: a second pass", file: "shared/store/erase.go",
			from: `if begun.Before(again) {`, to: `if begun.After(again) {`,
		},
		{
			name: "erase: an erased user's records are not written again", file: "shared/store/erase.go",
			from: `change: "SET #due = :due", when: "attribute_exists(#pk)"`,
			to:   `change: "SET #due = :due", when: "attribute_exists(#pk) OR attribute_not_exists(#pk)"`,
		},
	}
}
