package mutants

import "slices"

// audit is the folder whose packages test most faults.
const audit = "./infra/audit/..."

// firstFaults are the faults before 25.
func firstFaults() []fault {
	return slices.Concat(eventFaults(), resumeFaults(), runFaults(), edgeFaults(), pastFaults(), orderFaults())
}

// eventFaults concern event numbers and resumes.
func eventFaults() []fault {
	return []fault{
		{
			number: 1, clause: "ids do not follow from the clock", file: "shared/engine/run.go",
			from: `		return rand.Text()[:16] // 80 bits, short because log records repeat ids
`, to: `		_ = rand.Text
		return fmt.Sprint(r.c.User.Now().UnixMilli())
`, pkg: audit, test: "TestFault01_DistinctEventIDs",
		},
		{
			number: 2, clause: "positions sort as numbers", file: "shared/store/keys.go",
			from: `func recordSort(seq chat.Seq) string { return fmt.Sprintf("%s%012d", recordPrefix, seq) }`,
			to:   `func recordSort(seq chat.Seq) string { return fmt.Sprintf("%s%d", recordPrefix, seq) }`,
			pkg:  audit, test: "TestFault02_CursorsAreNumbers",
		},
		{
			number: 3, clause: "a resume leaves nothing out", file: "functions/message/replay.go",
			from: `	for _, rec := range records {
		if n := `, to: `	for _, rec := range records {
		told := rec.Events[:0:0]
		for _, e := range rec.Events {
			if e.Type != "REASONING_MESSAGE_CONTENT" {
				told = append(told, e)
			}
		}
		rec.Events = told
		if n := `, pkg: audit, test: "TestFault03_ResumeIsTheLiveStream",
		},
		{
			number: 4, clause: "a position inside of a record gives its rest", file: "shared/store/log.go",
			from: `if found && before.last() > after {`, to: `if found && before.last() < after {`,
			pkg: audit, test: "TestFault04_TheEndComesOnReconnect",
		},
		{
			number: 5, clause: "an applied event is not applied again", file: "shared/client/thread.go",
			from: `if f.Seq+chat.Seq(i) <= t.cursor.Seq {`, to: `if f.Seq+chat.Seq(i) < 0 {`, pkg: audit,
			test: "TestFault05_ADoubleResumeShowsOnce",
		},
	}
}

// resumeFaults concern frames that arrive late or never.
func resumeFaults() []fault {
	return []fault{
		{
			number: 6, clause: "an event after a gap is held", file: "shared/client/thread.go",
			from: `if f.Epoch != t.cursor.Epoch || f.Seq > t.cursor.Seq+1 {`, to: `if f.Epoch != t.cursor.Epoch {`,
			pkg: audit, test: "TestFault06_LiveEventsWaitForTheReplay",
		},
		{
			number: 7, clause: "the answer to a hello lists the running runs", file: "functions/message/hello.go",
			from: `ready.Active = &s`, to: `_ = s`, pkg: audit, test: "TestFault07_BeforeTheFirstToken",
		},
		{
			number: 8, clause: "events of another thread are not shown", file: "shared/client/inbox.go",
			from: `if f.ThreadID == v.open.id && f.ThreadID != "" {`, to: `if f.ThreadID != "" {`,
			pkg: audit, test: "TestFault08_ALateSessionIsNotShown",
		},
		{
			number: 9, clause: "a cursor counts in its own epoch only", file: "functions/message/view.go",
			from: `if err != nil || v.thread.Epoch != c.Epoch {`, to: `if err != nil {`, pkg: audit,
			test: "TestFault09_AnotherEpochIsToldSo",
		},
		{
			number: 9, clause: "a cursor beyond the end is ignored", file: "functions/message/view.go",
			from: `v.usable = behind == 0 ||`, to: `v.usable = behind <= 0 ||`, pkg: audit,
			test: "TestFault09_AnotherEpochIsToldSo",
		},
		{
			number: 10, clause: "a ping without an answer ends the socket", file: "shared/client/timers.go",
			from: `	add(s.pinging, s.pingSince.Add(answerWithin), giveUp)
`, to: "", pkg: audit, test: "TestFault10_ADeadSocketIsFoundOut",
		},
	}
}

// runFaults concern stop, reload and several runs at once.
func runFaults() []fault {
	return []fault{
		{
			number: 11, clause: "the worker looks for cancel requests", file: "functions/turn/heartbeat.go",
			from: `case requested:`, to: `case requested && err != nil:`, pkg: audit,
			test: "TestFault11_StopStopsTheProducer",
		},
		{
			number: 12, clause: "a failed post does not fail the run", file: "shared/emit/subscriber.go",
			from: `			e.fail(s, err)
`, to: `			e.fail(s, err)
			e.c.User.Cancel(err)
`, pkg: audit, test: "TestFault12_AReloadStopsNothing",
		},
		{
			number: 13, clause: "a user has several slots", file: "shared/runqueue/queue.go",
			from: `case !taken && !queued && len(next.Slots) < p.Limits.Runs:`,
			to:   `case !taken && !queued && len(next.Slots) < 1:`,
			pkg:  audit, test: "TestFault13_RunsOfOneUserShareNothing",
		},
		{
			number: 13, clause: "an end frees its own slot", file: "shared/store/end_write.go",
			from: `change: "REMOVE #slots.#run SET #version = #version + :one", when: "attribute_exists(#pk)",
		values: attributes{":one": number(int64(1))}, names: map[string]string{"#run": string(l.run.ID)},`,
			to: `change: "SET #slots = :none, #version = #version + :one", when: "attribute_exists(#pk)",
		values: attributes{":one": number(int64(1)), ":none": &types.AttributeValueMemberM{Value: attributes{}}},`,
			pkg: audit, test: "TestFault13_RunsOfOneUserShareNothing",
		},
	}
}

// edgeFaults concern identity and connections.
func edgeFaults() []fault {
	return []fault{
		{
			number: 14, clause: "a thread's key begins with its owner", file: "shared/store/keys.go",
			from: `func (s *Store) threadKey(id chat.ThreadID) key { return key{s.pk, threadPrefix + string(id)} }`,
			to: `func (s *Store) threadKey(id chat.ThreadID) key { return key{"U#everybody", threadPrefix + ` +
				`string(id)} }`,
			pkg: audit, test: "TestFault14_ForeignIDsNameNothing",
		},
		{
			number: 14, clause: "a run's key begins with its owner", file: "shared/store/keys.go",
			from: `func (s *Store) runKey(id chat.RunID) key { return key{s.pk, runPrefix + string(id)} }`,
			to:   `func (s *Store) runKey(id chat.RunID) key { return key{"U#everybody", runPrefix + string(id)} }`,
			pkg:  audit, test: "TestFault14_ForeignIDsNameNothing",
		},
		{
			number: 15, clause: "an event without an authorizer has no user", file: "shared/gateway/gateway.go",
			from: `		return fmt.Errorf("%w: there is none", chat.ErrNoUser)
`, to: `		c = map[string]any{contextUser: "anybody", contextExpires: "4102444800",
			contextSignedIn: "1782907140", contextSignedInBy: byIssuedAt}
`, pkg: audit, test: "TestFault15_AMissingMappingIsRefused",
		},
		{
			number: 16, clause: "a 410 is recognised", file: "shared/gateway/post/post.go",
			from: `case errors.As(err, &gone), code == http.StatusGone:`,
			to:   `case errors.As(err, &gone) && code != http.StatusGone:`,
			pkg:  audit, test: "TestFault16_GoneIsForgottenAlone",
		},
		{
			number: 16, clause: "a closed connection is deleted, and no other", file: "shared/emit/subscriber.go",
			from: `RemoveConnection(ctx, s.id)`, to: `RemoveConnection(ctx, func() chat.ConnectionID {
		for other := range e.subscribers {
			if other != s.id {
				return other
			}
		}
		return s.id
	}())`, pkg: audit, test: "TestFault16_GoneIsForgottenAlone",
		},
		{
			number: 17, clause: "a closed connection is deleted without a $disconnect",
			file: "shared/emit/subscriber.go",
			from: `if err := e.c.Connections.RemoveConnection(ctx, s.id); err != nil {`,
			to:   `if err := ctx.Err(); err != nil {`,
			pkg:  audit, test: "TestFault17_DisconnectNeverComes",
		},
		{
			number: 18, clause: "a connection is a target from its hello on", file: "shared/lasthop/record.go",
			from: `case c.N == 0 && !a.reply:`, to: `case c.N < 0:`,
			pkg: audit, test: "TestFault18_NothingIsPostedBeforeTheHello",
		},
	}
}
