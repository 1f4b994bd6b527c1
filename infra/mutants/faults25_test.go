package mutants

import "slices"

// laterFaults are the faults from 25 on.
func laterFaults() []fault {
	all := slices.Concat(timeFaults(), storeFaults(), scaleFaults(), ownFaults(), ownerFaults())
	for i := range all {
		all[i].pkg = audit
	}
	return all
}

// timeFaults concern size and time.
func timeFaults() []fault {
	const timers = "shared/client/timers.go"
	return []fault{
		{
			number: 25, clause: "clients come back at random times", file: timers,
			from: `return time.Duration(v.random() * float64(d))`, to: `return d`, test: "TestFault25_ReconnectStorm",
		},
		{
			number: 26, clause: "a long frame goes in parts", file: "shared/wire/codec.go",
			from: `if len(data) <= MaxFrame {`, to: `if len(data) > 0 {`, test: "TestFault26_OutboundFrameOver32KB",
		},
		{
			number: 27, clause: "a client refuses frames that are too long", file: "shared/client/view.go",
			from: `wire.EncodeClient(longest.frame()); err != nil {`,
			to:   `wire.EncodeClient(longest.frame()); err != nil && now.IsZero() {`,
			test: "TestFault27_InboundMessageOver32KB",
		},
		{
			number: 28, clause: "a socket is followed by the next in time", file: timers,
			from: `add(!s.handoverAt.IsZero() && !v.wanted,`, to: `add(!s.handoverAt.IsZero() && v.now.IsZero(),`,
			test: "TestFault28_TwoHourRoll",
		},
		{
			number: 28, clause: "the next socket is open before the last one closes", file: timers,
			from: `		s.handoverAt = time.Time{}
		v.connect(0)
`, to: `		v.actions.Close = true
		v.lose()
`, test: "TestFault28_TwoHourRoll",
		},
		{
			number: 29, clause: "a client is never silent for ten minutes", file: timers,
			from: `pingIdle     = 5 * time.Minute`, to: `pingIdle     = 11 * time.Minute`,
			test: "TestFault29_TenMinutesIdle",
		},
		{
			number: 30, clause: "nothing is posted after the token has expired",
			file: "shared/lasthop/record.go",
			from: `case !now.Before(c.TokenExpires) && !a.expired:`, to: `case now.IsZero() && !a.expired:`,
			test: "TestFault30_TokenExpiresOnOpenSocket",
		},
		{
			number: 31, clause: "a request without an answer is repeated", file: timers,
			from: `if s := &v.socket; s.retryAt.IsZero() {`,
			to:   `if s := &v.socket; s.retryAt.IsZero() && v.now.IsZero() {`,
			test: "TestFault31_GatewayErrorFrames",
		},
		{
			number: 32, clause: "a client that knows of a run requests its state", file: timers,
			from: `add(quiet && !s.pinging,`, to: `add(quiet && !s.pinging && v.now.IsZero(),`,
			test: "TestFault32_ThrottledPostsAndSlowReader",
		},
	}
}

// storeFaults concern the store, invocations and workers.
func storeFaults() []fault {
	return []fault{
		{
			number: 33, clause: "a write recognises its own earlier success", file: "shared/store/append.go",
			from: `existing.Nonce == r.Nonce &&`, to: `existing.Nonce != r.Nonce &&`,
			test: "TestFault33_StoreErrsAroundTheWrite",
		},
		{
			number: 34, clause: "one claim at a time", file: "shared/store/claim.go",
			from: `(#status = :running AND #lease < :clock AND`,
			to:   `(#status = :running AND (#lease < :clock OR #lease >= :clock) AND`,
			test: "TestFault34_AsyncInvokeTwice",
		},
		{
			number: 35, clause: "another attempt", file: "functions/sweep/user.go",
			from: `if run.Attempts >= w.limits.Attempts && !`, to: `if run.Attempts >= 0 && !`,
			test: "TestFault35_WorkerKilledAtEachEvent",
		},
		{
			number: 35, clause: "a claim names its invocation", file: "functions/turn/main.go",
			from: `, Now: now, Worker: gateway.RequestID}`, to: `, Now: now}`,
			test: "TestFault35_WorkerKilledAtEachEvent",
		},
		{
			number: 36, clause: "a repeat invokes a worker that was never invoked", file: "shared/store/admit.go",
			from: `Invoke: run.Status == chat.RunAdmitted,`, to: `Invoke: false,`, test: "TestFault36_FunctionTimeout",
		},
		{
			number: 36, clause: "a run whose worker was killed continues at its failure record",
			file: "functions/sweep/user.go",
			from: `case run.Status == chat.RunRunning && f.Invoked:`,
			to:   `case run.Status == chat.RunRunning && !f.Invoked:`,
			test: "TestFault36_FunctionTimeout",
		},
		{
			number: 37, clause: "the run queue is written under the version read", file: "shared/store/runs.go",
			from: `"attribute_exists(#pk) AND #version = :version"`,
			to:   `"attribute_exists(#pk) AND (#version = :version OR #version <> :version)"`,
			test: "TestFault37_TwoTabsSending",
		},
	}
}

// scaleFaults concern clocks, long threads and unusual users.
func scaleFaults() []fault {
	return []fault{
		{
			number: 38, clause: "a thread's time goes forward", file: "shared/store/admit_write.go",
			from: `return max(millis(t.c.Now()), was+1)`, to: `return max(millis(t.c.Now()), was%2)`,
			test: "TestFault38_ClockSkew",
		},
		{
			number: 39, clause: "the log is read from after the cursor", file: "functions/message/replay.go",
			from: `	page, err := r.store.LogPage(`, to: `	for at := chat.Seq(0); at < after; {
		read, err := r.store.Log(ctx, thread, epoch, at, logPage)
		if err != nil || len(read) == 0 {
			break
		}
		last := read[len(read)-1]
		at = last.Seq + chat.Seq(len(last.Events)) - 1
	}
	page, err := r.store.LogPage(`, test: "TestFault39_Thread100000Events",
		},
		{
			number: 40, clause: "ids are escaped one to one", file: "shared/internal/principal/principal.go",
			from: `		b.WriteByte('=')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
`, to: `		b.WriteByte('_')
`, test: "TestFault40_OddUserIDs",
		},
		{
			number: 40, clause: "a long id is hashed whole", file: "shared/internal/principal/principal.go",
			from: `"\x00" + subject)`, to: `"\x00" + subject[:128])`, test: "TestFault40_OddUserIDs",
		},
	}
}

// ownFaults are faults that the issue lists do not name.
func ownFaults() []fault {
	return []fault{
		{
			number: 41, clause: "devices are listed after the last record", file: "shared/emit/emit.go",
			from: `err := e.relist(ctx)`, to: `err := ctx.Err()`, test: "TestFault41_DeviceBetweenLastListAndLastAppend",
		},
		{
			number: 42, clause: "a late hello changes nothing", file: "shared/store/connections.go",
			from: `present + " AND #n < :n`, to: `present + " AND (#n < :n OR #n >= :n)`,
			test: "TestFault42_HellosAndCancelOvertake",
		},
		{
			number: 42, clause: "a cancel follows the answer to its run", file: "shared/client/outbox.go",
			from: `if q.pending(c.id) {`, to: `if q.pending(c.id) && c.id == "" {`,
			test: "TestFault42_HellosAndCancelOvertake",
		},
		{
			number: 43, clause: "events of a deleted thread are not shown", file: "shared/client/inbox.go",
			from: `v.progress(!v.gone[f.ThreadID] && v.open.take(`, to: `v.progress(v.open.take(`,
			test: "TestFault43_ThreadDeletedWhileFrozen",
		},
		{
			number: 44, clause: "a thread continues after its head", file: "shared/store/previous.go",
			from: `l.next = l.thread.Head + 1`, to: `l.next = 1`, test: "TestFault44_IdleBeyondRetention",
		},
	}
}

// ownerFaults concern previous workers, odd numbers of devices, and lost records.
func ownerFaults() []fault {
	return []fault{
		{
			number: 45, clause: "a record is written only to an empty position", file: "shared/store/append.go",
			from: `l.s.t.put(ctx, r, absent, attributes{":now": number(l.s.t.nowSeconds())})`,
			to:   `l.s.t.put(ctx, r, "", nil)`,
			test: "TestFault45_OldOwnerWakesUp",
		},
		{
			number: 45, clause: "the old owner's record is folded in", file: "shared/store/previous.go",
			from: `r.Fence == l.run.Fence && r.Nonce != l.nonce {`, to: `r.Nonce != l.nonce {`,
			test: "TestFault45_OldOwnerWakesUp",
		},
		{
			number: 46, clause: "a response removes the interrupt", file: "shared/store/interrupts.go",
			from: `REMOVE #open, #asked`, to: `REMOVE #nothing`, test: "TestFault46_TwoDevicesAnswer",
		},
		{
			number: 47, clause: "a user has ten sockets", file: "shared/store/sessions.go",
			from: `ids[:max(0, len(ids)+1-limit)]`, to: `ids[:max(0, len(ids)-limit)]`,
			test: "TestFault47_ElevenSockets",
		},
		{
			number: 47, clause: "a replaced client does not reconnect", file: "shared/client/answers.go",
			from: `		v.socket = socket{}
		v.status, v.wanted = Replaced, false
		v.actions = Actions{Close: true}
`, to: `		v.actions.Close = true
		v.lose()
`, test: "TestFault47_ElevenSockets",
		},
		{
			number: 48, clause: "an event that never ran is checked for its age", file: "functions/sweep/user.go",
			from: `run.Unclaimed(w.now()) >= eventAge:`, to: `run.Unclaimed(w.now()) >= 9*eventAge:`,
			test: "TestFault48_NoCapacity",
		},
		{
			number: 49, clause: "a run whose worker died is repaired when it is due",
			file: "functions/sweep/user.go",
			from: `case run.Status == chat.RunRunning && now.After(run.LeaseExpires):`,
			to:   `case run.Status == chat.RunRunning && now.After(run.LeaseExpires.Add(time.Hour)):`,
			test: "TestFault49_FailureRecordLost",
		},
	}
}
