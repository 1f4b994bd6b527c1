package mutants

// audit is the package of most tests of faults.
const audit = "./infra/audit"

// firstFaults are those before 25.
func firstFaults() []fault {
	return []fault{
		{
			number: 1, clause: "ids do not follow from the clock", file: "shared/engine/run.go",
			from: `		r.newID = rand.Text
`, to: `		_ = rand.Text
		r.newID = func() string { return fmt.Sprint(c.User.Now().UnixMilli()) }
`, pkg: audit, test: "TestFault01DistinctEventIDs",
		},
		{
			number: 2, clause: "positions sort as numbers", file: "shared/store/keys.go",
			from: `func recordSort(seq chat.Seq) string { return fmt.Sprintf("%s%012d", recordPrefix, seq) }`,
			to:   `func recordSort(seq chat.Seq) string { return fmt.Sprintf("%s%d", recordPrefix, seq) }`,
			pkg:  audit, test: "TestFault02CursorsAreNumbers",
		},
		{
			number: 3, clause: "a resume leaves nothing out", file: "functions/message/hello.go",
			from: `ThreadID: id, Epoch: v.thread.Epoch, Seq: rec.Seq, RunID: rec.Run, Events: rec.Events,`,
			to: `ThreadID: id, Epoch: v.thread.Epoch, Seq: rec.Seq, RunID: rec.Run, Events: func() []agui.Event {
				var told []agui.Event
				for _, e := range rec.Events {
					if e.Type != agui.ReasoningMessageContent {
						told = append(told, e)
					}
				}
				return told
			}(),`,
			pkg: audit, test: "TestFault03ResumeIsTheLiveStream",
		},
		{
			number: 4, clause: "a position inside of a record gives its rest", file: "shared/store/log.go",
			from: `if found && before.last() > after {`, to: `if found && before.last() < after {`,
			pkg: audit, test: "TestFault04TheEndComesOnReconnect",
		},
		{
			number: 5, clause: "what was applied is not applied again", file: "shared/client/thread.go",
			from: `if f.Seq+chat.Seq(i) <= t.cursor.Seq {`, to: `if f.Seq+chat.Seq(i) < 0 {`, pkg: audit, test: "TestFault05ADoubleResumeShowsOnce",
		},
		{
			number: 6, clause: "what does not follow is held", file: "shared/client/thread.go",
			from: `if f.Epoch != t.cursor.Epoch || f.Seq > t.cursor.Seq+1 {`, to: `if f.Epoch != t.cursor.Epoch {`,
			pkg: audit, test: "TestFault06LiveEventsWaitForTheReplay",
		},
		{
			number: 7, clause: "a hello is told what runs", file: "functions/message/hello.go",
			from: `ready.Active = &s`, to: `_ = s`, pkg: audit, test: "TestFault07BeforeTheFirstToken",
		},
		{
			number: 8, clause: "events of another thread are not shown", file: "shared/client/receive.go",
			from: `if f.ThreadID == v.open.id && f.ThreadID != "" {`, to: `if f.ThreadID != "" {`,
			pkg: audit, test: "TestFault08ALateSessionIsNotShown",
		},
		{
			number: 9, clause: "a cursor counts in its own epoch only", file: "functions/message/hello.go",
			from: `if c != nil && c.Epoch == t.Epoch {`, to: `if c != nil {`, pkg: audit, test: "TestFault09AnotherEpochIsToldSo",
		},
		{
			number: 9, clause: "a cursor beyond the end is none", file: "functions/message/hello.go",
			from: `v.usable = after == head
	default:`, to: `v.usable = true
	default:`, pkg: audit, test: "TestFault09AnotherEpochIsToldSo",
		},
		{
			number: 10, clause: "a ping without an answer ends the socket", file: "shared/client/timers.go",
			from: `	add(s.pinging, s.pingSince.Add(answerWithin), giveUp)
`, to: "", pkg: audit, test: "TestFault10ADeadSocketIsFoundOut",
		},
	}
}
