package mutants

import "slices"

// deliveryGuards are the server's rules of docs/protocol.md and the limits of docs/limits.md on which delivery
// depends.
func deliveryGuards() []guard {
	return slices.Concat(helloGuards(), replayGuards(), postGuards(), rowGuards(), runWatchGuards(), limitGuards())
}

// helloGuards concern what a hello reads before its replay.
func helloGuards() []guard {
	const message, view = "./functions/message ", "functions/message/view.go"
	return []guard{
		{
			name: "replay: the log continues directly after the cursor", file: view,
			test: message + "TestHello_CursorBeforeDeletedRecords",
			from: ` && len(v.page) > 0 && v.page[0].Seq <= c.Seq+1`, to: ` && len(v.page) > 0`,
		},
		{
			name: "replay: an empty page is not the end of the log", file: view,
			test: message + "TestHello_ReplayOrSnapshot",
			from: `continues := len(v.page) == 0 && c.Seq == v.thread.Head`, to: `continues := len(v.page) == 0`,
		},
		{
			name: "replay: a page that ends earlier than the log is not its end", file: view,
			test: message + "TestHello_CostOfLongThread",
			from: `if !log.End || !continues {`, to: `if !continues {`,
		},
		{
			name: "replay: a snapshot's page that ends earlier than the log is not its end",
			file: view, test: message + "TestHello_SnapshotOfLongRun",
			from: `if !log.End && before.Epoch != "" {`, to: `if false {`,
		},
		{
			name: "replay: a thread that was read beside the watch is compared with the thread after it",
			file: view, test: message + "TestHello_ThreadChangesBesideTheWatch",
			from: `if now.Epoch != before.Epoch {`, to: `if false {`,
		},
		{
			name: "replay: the number of replayed events is bounded", file: view,
			test: message + "TestHello_CostOfLongThread",
			from: `behind > 0 && behind <= maxReplay && `, to: `behind > 0 && `,
		},
	}
}

func replayGuards() []guard {
	const message = "./functions/message "
	return []guard{
		{
			name: "replay: page by page to the end", file: "functions/message/replay.go",
			test: message + "TestHello_CostOfLongThread",
			from: `if page, err = r.page(ctx, v, p.last); err != nil {`, to: `if page = nil; err != nil {`,
		},
		{
			name: "replay: a replay ends with its hello's time", file: "functions/message/replay.go",
			test: message + "TestHello_ReplayTimeIsOver",
			from: `!now.Before(p.until) || !now.Before(p.in.TokenExpires)`,
			to:   `!now.Before(p.until.Add(replayTime*100)) || !now.Before(p.in.TokenExpires)`,
		},
		{
			name: "replay: nothing after the token has expired", file: "functions/message/replay.go",
			test: message + "TestReplay_EndsEarly",
			from: `!now.Before(p.until) || !now.Before(p.in.TokenExpires)`, to: `!now.Before(p.until)`,
		},
		{
			name: "replay: a connection that watches another thread gets none", file: "functions/message/replay.go",
			test: message + "TestReplay_EndsEarly",
			from: `return c.N > p.hello.N, err`, to: `return c.N > p.hello.N+1000, err`,
			spare: "each post of it goes by what the connection's record says",
		},
		{
			name: "replay: an unreadable record is reported", file: "functions/message/replay.go",
			test: message + "TestHello_UnreadableLog",
			from: `if errors.Is(err, store.ErrUnreadable) {`,
			to:   `if errors.Is(err, store.ErrUnreadable) && ctx == nil {`,
		},
		{
			name: "acknowledged: nothing is written that is not news", row: "E3", file: "functions/message/ping.go",
			test: message + "TestPing_Acknowledges",
			from: `if has.Epoch == row.Acked.Epoch && has.Seq <= row.Acked.Seq {`, to: `if false {`,
		},
		{
			name: "acknowledged: never less than before", file: "shared/store/connections.go",
			test: "./shared/store TestStore",
			from: ` OR #epoch <> :epoch OR #acked < :acked)`, to: ` OR #acked <> :acked OR #epoch <> :epoch)`,
		},
	}
}

// runWatchGuards are the guards of the thread that a run's connection watches.
func runWatchGuards() []guard {
	const from = `if err == nil && c.N > 0 && c.Thread == thread {`
	return []guard{
		{
			name: "run: its connection watches its thread", file: "functions/message/connection.go",
			test: "./functions/message TestRun_WatchesItsThread", from: from, to: `if err == nil && c.N > 0 {`,
		},
		{
			name: "run: the row of a connection that watches is not written", file: "functions/message/connection.go",
			test: "./functions/message TestRun_SequentialCalls", from: from,
			to: `if err == nil && c.N > 0 && c.Thread == "" {`,
		},
		{
			name: "run: its connection has said hello", file: "functions/message/connection.go",
			test: "./functions/message TestRun_BeforeTheHello", from: from, to: `if err == nil && c.Thread == thread {`,
		},
	}
}

// rowGuards are the guards of the row of a thread in the message of a record.
func rowGuards() []guard {
	const emit = "./shared/emit "
	return []guard{
		{
			name: "posts: connections that receive no record receive its row", file: "shared/emit/subscriber.go",
			test: emit + "TestDeliver_RowInTheRecord",
			from: "	case d.row != nil:\n		e.push(s, d.row)\n", to: "",
		},
		{
			name: "posts: the row of a refused record is posted alone", file: "shared/emit/subscriber.go",
			test: emit + "TestDeliver_RowOfARefusedRecord",
			from: `errors.Is(err, lasthop.ErrRefused) && d.row != nil {`,
			to:   `errors.Is(err, lasthop.ErrRefused) && d.row != nil && s == nil {`,
		},
		{
			name: "posts: the row of a dropped record stays", file: "shared/emit/subscriber.go",
			test: emit + "TestDeliver_RowOfARefusedRecord",
			from: `s.queue[i].delivery = d.row`, to: `s.queue[i].delivery = nil`,
		},
		{
			name: "posts: a row is behind all events of its message", file: "shared/emit/subscriber.go",
			test: emit + "TestDeliver_RowBeforeTheFirstList",
			from: `head == nil || next == nil || head.Row != nil ||`, to: `head == nil || next == nil ||`,
		},
	}
}

func postGuards() []guard {
	const emit = "./shared/emit "
	return []guard{
		{
			name: "posts: a record before the first list is kept for it", file: "shared/emit/subscriber.go",
			test: emit + "TestEmitter_ListsFailOrHang",
			from: "	e.holdBack(d)\n", to: "",
		},
		{
			name: "posts: all that is kept is posted after the first list", file: "shared/emit/connections.go",
			test: emit + "TestEmitter_ListsFailOrHang",
			from: `range e.backlog {`, to: `range e.backlog[:1] {`,
		},
		{
			name: "posts: a throttled post is retried", file: "shared/lasthop/send.go",
			test: emit + "TestEmitter_ThrottledConnection",
			from: `if !errors.Is(err, chat.ErrSlow) || try == slowTries {`,
			to:   `if !errors.Is(err, chat.ErrSlow) || try > 0 {`,
		},
		{
			name: "posts: retries end", row: "C4", file: "shared/lasthop/send.go",
			test: emit + "TestEmitter_ConnectionStaysThrottled",
			from: `if !errors.Is(err, chat.ErrSlow) || try == slowTries {`,
			to:   `if !errors.Is(err, chat.ErrSlow) || try == 60*slowTries {`,
		},
		{
			name: "posts: a post to a closed connection is not retried", file: "shared/lasthop/send.go",
			test: emit + "TestClose_PostInProgress",
			from: "		case <-ctx.Done():\n			return err\n", to: "",
		},
		{
			name: "posts: each post has a deadline", row: "C4", file: "shared/lasthop/send.go",
			test: emit + "TestEmitter_HalfOpenConnection",
			from: `context.WithTimeout(ctx, postTime)`, to: `context.WithTimeout(ctx, 100*postTime)`,
		},
		{
			name: "posts: the SDK leaves throttling to the poster", file: "shared/gateway/post/post.go",
			test: "./shared/gateway/post TestPost_SDKRetries",
			from: `return aws.FalseTernary`, to: `return aws.UnknownTernary`,
		},
	}
}

func limitGuards() []guard {
	return []guard{
		{
			name: "sizes: a page of messages is bounded", file: "shared/store/transcripts.go",
			test: "./functions/message TestHistory_LargeMessages",
			from: `messages < limit && size < maxPage`, to: `messages < limit`,
		},
		{
			name: "sizes: a packed transcript is bounded", file: "shared/store/packed.go",
			test: "./shared/store TestUnpack_Damaged",
			from: `length < 0 || length > maxUnpacked`, to: `length < 0`,
		},
		{
			name: "sizes: a packed transcript has no more than it announces", file: "shared/store/packed.go",
			test: "./shared/store TestUnpack_Damaged",
			from: `n, _ := u.lzw.Read(make([]byte, 1)); n > 0`, to: `n, _ := u.lzw.Read(nil); n > 0`,
		},
		{
			name: "sizes: a result fits in an event", file: "shared/tool/result.go",
			test: "./shared/tool TestResult_BoundedAsJSON",
			from: `if encoded > most {`, to: `if at > most {`,
		},
		{
			name: "sizes: a run asks what one frame can answer", file: "shared/engine/interrupts.go",
			test: "./shared/engine TestRun_InterruptBounds",
			from: `|| len(r.interrupts) == maxInterrupts {`, to: `{`,
		},
		{
			name: "retention: reading stops at an expired record", file: "shared/store/log.go",
			test: "./shared/store TestStore",
			from: "		if s.t.expired(r.Expires) {\n			return false, nil\n		}\n", to: "",
		},
		{
			name: "retention: the configured number of days", file: "shared/store/append.go",
			test: "./shared/store TestStore",
			from: `l.s.t.expiry(l.s.t.c.Limits.Retention)`, to: `l.s.t.expiry(chat.DefaultLimits().Retention)`,
		},
		{
			name: "unreadable: an input", file: "shared/store/claim.go",
			test: "./functions/turn TestTurn_UnreadableRun",
			from: `l.broken = fmt.Errorf("a run's input: %w: %w", ErrUnreadable, err)`, to: `fmt.Sprint()`,
		},
		{
			name: "unreadable: a record", file: "shared/store/previous.go",
			test: "./functions/sweep TestSweep_UnreadableRun",
			from: `l.broken = err`, to: `return err`,
		},
		{
			name: "unreadable: the run is not continued", file: "functions/turn/turn.go",
			test: "./functions/turn TestTurn_UnreadableRun",
			from: `if err := t.lease.Unreadable(); err != nil {`,
			to:   `if err := t.lease.Unreadable(); err != nil && ctx == nil {`,
		},
		{
			name: "unreadable: the run begins once", file: "shared/emit/died.go",
			test: "./functions/sweep TestSweep_UnreadableRun",
			from: `if !begun {`, to: `if len(earlier) == 0 {`,
		},
	}
}
