package mutants

// frameRateGuards limit the rate of a user's frames.
func frameRateGuards() []guard {
	const frames, file = "./functions/message TestFrames_", "functions/message/frames.go"
	return []guard{
		{
			name: "frames: a frame over the limit ends before any request", file: "functions/message/handler.go",
			test: frames + "OverLimit",
			from: `v != served {`, to: `v > shed {`,
		},
		{
			name: "frames: each user has an own rate", file: file, test: frames + "OverLimit",
			from: "name := ownerHash(u.Hash())", to: `name := ownerHash("")`,
		},
		{
			name: "frames: a flood refuses connections", file: file, test: frames + "Flood",
			from: `if v == flooded {`, to: `if v == served {`,
		},
		{
			name: "frames: a flood closes the user's other sockets", file: file, test: frames + "Flood",
			from: `		r.endOthers(ctx, wait)
`, to: ``,
		},
		{
			name: "frames: a slow excess does not count as a flood", file: file, test: frames + "SlowExcess",
			from: `at-b.since >= shedWindow.Milliseconds()`, to: `b.since == 0`,
		},
		{
			name: "frames: a process remembers a thousand users", file: file, test: frames + "ManyUsers",
			from: `!known && len(f.buckets) >= maxFrameBuckets`, to: `!known && len(f.buckets) < 0`,
		},
		{
			name: "frames: a flood is remembered", file: file, test: frames + "ManyUsers",
			from: `if max(b.full, b.pause) <= at {`, to: `if b.full <= at {`,
		},
		{
			name: "frames: the Go client waits", file: "shared/client/inbox.go",
			test: "./shared/client TestScenarios",
			from: `	v.waitFor(f)
	v.actions.Close`, to: `	v.actions.Close`,
		},
	}
}

// repeatGuards handle frames that arrive twice or out of order.
func repeatGuards() []guard {
	return []guard{
		{
			name: "hello: a repeated one is not replayed twice", file: "functions/message/hello.go",
			test: "./functions/message TestHello_Repeated",
			from: `replays := row.N == f.N && row.HelloBy == r.in.RequestID`, to: `replays := row.Thread == id`,
		},
		{
			name: "hello: the SDK's repeat is answered in full", file: "functions/message/connection.go",
			test: "./functions/message TestHello_Repeated",
			from: `HelloBy: r.in.RequestID,`, to: `HelloBy: "",`,
		},
		{
			name: "cancel: an unknown run is not stored", file: "shared/store/cancel.go",
			test: "./shared/store TestStore",
			from: `if r.ID == "" {
			return Cancelled{}, fmt.Errorf("cancel a run: %w", chat.ErrNotFound)`, to: `if r.ID == "" {
			return Cancelled{}, s.t.put(ctx, runItem{PK: s.runKey(id).pk, SK: s.runKey(id).sk,
				ID: string(id)}, "", nil)`,
		},
		{
			name: "cancel: the Go client sends it after the run's answer", file: "shared/client/outbox.go",
			test: "./shared/client TestScenarios",
			from: `if q.pending(c.id) {`, to: `if q.pending(c.id) && c.id == "" {`,
		},
	}
}
