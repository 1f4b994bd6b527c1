package mutants

func readGuards() []guard {
	return []guard{
		{
			name: "first record: behind the thread's head", file: "shared/store/previous.go",
			from: `l.next = l.thread.Head + 1`, to: `l.next = 1`,
		},
		{
			name: "first record: a higher fence in the log stops", file: "shared/store/previous.go",
			from: `r.Fence > l.run.Fence ||`, to: ``,
		},
		{
			name: "first record: its position is chosen again", file: "shared/store/append.go",
			from: `if !l.wrote && existing.Fence < r.Fence {`, to: `if l.wrote && existing.Fence > r.Fence {`,
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
			name: "reads: unprocessed keys are requested again", file: "shared/store/read.go",
			test: "./shared/store TestRows_UnprocessedKeys",
			from: `left = out.UnprocessedKeys`, to: `left = nil`,
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
			from: `l.s.t.put(ctx, r, absent, attributes{":now": number(l.s.t.nowSeconds())})`,
			to:   `l.s.t.put(ctx, r, "", nil)`,
		},
		{
			name: "append: it recognises its own success", file: "shared/store/append.go",
			from: `existing.Nonce == r.Nonce &&`, to: `existing.Nonce != r.Nonce &&`,
		},
		{
			name: "append: a lower fence is folded in", file: "shared/store/previous.go",
			from: `r.Fence == l.run.Fence && r.Nonce != l.nonce {`, to: `r.Nonce != l.nonce {`,
		},
		{
			name: "append: another run's record stops", file: "shared/store/previous.go",
			from: `if r.Run != string(l.run.ID) ||`, to: `if`,
			spare: "the end of its own run stands before any other run's record",
		},
	}
}

func endStatusGuards() []guard {
	return []guard{
		{
			name: "end: its status is the thread's status after the write", file: "shared/store/end_write.go",
			test: "./shared/store TestStore", from: "	l.statusAfter = \"\"\n", to: "",
		},
		{
			name: "end: its status is that without the run", file: "shared/store/end.go",
			from: `	delete(queue.Slots, l.run.ID)`, to: `	delete(queue.Slots, "")`,
		},
	}
}

func endGuards() []guard {
	const file = "shared/store/end.go"
	return []guard{
		{
			name: "end: the transcript is put", file: file,
			from: `if c.transcript != r.last() {`, to: `if c.transcript > r.last() {`,
		},
		{
			name: "end: the transcript is put again for another number", file: file,
			from: `if c.transcript != r.last() {`, to: `if c.transcript == 0 {`,
			spare: "a worker can find a foreign record there only before its own first record, and then End is " +
				"called again",
		},
		{
			name: "end: a transcript by a higher fence stays", file: file,
			from: `"attribute_not_exists(#pk) OR #f <= :fence"`,
			to:   `"attribute_not_exists(#pk) OR #f <= :fence OR #f > :fence"`,
		},
		{
			name: "end: its record is written only to an empty position", file: "shared/store/end_write.go",
			from: `l.s.t.putPart(r, absent, attributes{":now": number(l.s.t.nowSeconds())})`,
			to:   `l.s.t.putPart(r, "", nil)`,
		},
		{
			name: "end: the head", file: "shared/store/end_write.go",
			from: `":head": number(t.Head)`, to: `":head": number(t.Head - 1)`,
		},
		{
			name: "end: the slot", file: "shared/store/end_write.go",
			from: `change: "REMOVE #slots.#run SET #version = #version + :one"`,
			to:   `change: "REMOVE #run SET #version = #version + :one"`,
		},
		{
			name: "end: the queue's version", file: "shared/store/end_write.go",
			from: `attributes{":one": number(int64(1))}`, to: `attributes{":one": number(int64(0))}`,
		},
		{
			name: "end: a busy queue does not block it", file: "shared/store/end_write.go",
			from: `when: "attribute_exists(#pk)",`, to: `when: "attribute_exists(#pk) AND size(#queued) < :one",`,
		},
		{
			name: "end: it recognises its own success", file: "shared/store/end_write.go",
			from: `if run.Nonce == l.nonce && chat`, to: `if run.Nonce != l.nonce && chat`,
		},
		{
			name: "end on a deleted thread: it recognises its own success", file: file,
			from: `case r.Nonce != l.nonce || !chat`, to: `case r.Nonce == l.nonce || !chat`,
		},
		{
			name: "end on a deleted thread", file: "shared/store/end_write.go",
			from: `if l.deleted = t.Epoch != string(l.thread.Epoch) || !l.s.t.visible(t); !l.deleted {`,
			to:   `if l.deleted = t.Epoch != string(l.thread.Epoch); !l.deleted {`,
		},
	}
}

func interruptGuards() []guard {
	const file = "shared/store/interrupts.go"
	return []guard{
		{
			name: "interrupts: a run without answers is refused", file: file,
			from: `if len(open) == 0 && len(responses) == 0 {`, to: `if len(responses) == 0 {`,
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
			test: "./shared/store TestAdmit_ThreadReadBeforeQueue",
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
			name: "interrupts: the end of the run that asks", file: "shared/store/end_write.go",
			from: `if len(t.Interrupts) > 0 {`, to: `if len(t.Interrupts) > 99 {`,
		},
		{
			name: "interrupts: the run that answers says which", file: "shared/store/admit.go",
			from: `r.Answers = b.thread.Asked`, to: `r.Answers = ""`,
		},
	}
}

func requestGuards() []guard {
	const full = "./shared/store TestRunQueue_LargestLimits"
	return []guard{
		{
			name: "queue: no more is read than a request takes", file: "shared/store/read.go", test: full,
			from: `slices.Chunk(keys, mostKeys)`, to: `slices.Chunk(keys, mostKeys+1+len(keys))`,
		},
		{
			name: "queue: no more starts than a transaction takes", file: "shared/store/queued.go", test: full,
			from: `min(policy.Limits.Runs, len(q.Slots)+(mostParts-1)/2)`,
			to:   `min(policy.Limits.Runs, len(q.Slots)+mostParts)`,
		},
	}
}

// dayGuards are the rules of the tokens of a day.
func dayGuards() []guard {
	return []guard{
		{
			name: "end: the tokens of the day include the last record", file: "shared/store/end_write.go",
			from: `used := l.tokens + tokensIn(last); used > 0`, to: `used := l.tokens + tokensIn(last); used < 0`,
		},
		{
			name: "end: the tokens of the day include previous attempts", file: "shared/store/previous.go",
			from: `	l.tokens += tokensIn(events)`, to: `	if r.Fence == l.run.Fence {
		l.tokens += tokensIn(events)
	}`,
		},
		{
			name: "admission: not beyond the tokens of the day", file: "shared/runqueue/budget.go",
			from: `p.Limits.DayTokens < 1 ||`, to: `p.Limits.DayTokens >= 0 ||`,
			test: "./shared/store TestStore",
		},
		{
			name: "admission: the tokens of the day are kept", file: "shared/store/runs.go",
			from: `maps.Copy(item.Tokens, q.Tokens)`, to: `maps.Copy(item.Tokens, map[string]int64{})`,
		},
	}
}

func queueGuards() []guard {
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
			from: `queue.queue().Remove(chat.RunID(r.ID))`, to: `queue.queue()`,
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
