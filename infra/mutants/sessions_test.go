package mutants

// sessionGuards enforce the connection limit and ended sessions.
func sessionGuards() []guard {
	const rows, frames = "./shared/store TestStore", "./functions/message "
	const sessions = "shared/store/sessions.go"
	return []guard{
		{
			name: "sessions: a frame on a connection without a row is refused", file: "functions/message/connection.go",
			test: frames + "TestFrame_ConnectionWithoutRow",
			from: `			return c, r.missing(ctx)
`, to: `			err = r.missing(ctx)
			if errors.As(err, &noConnection{}) {
				return c, nil
			}
			return c, err
`,
		},
		{
			name: "sessions: a replaced connection is not recorded again", file: sessions, test: rows,
			from: `attribute_not_exists(#out))"`, to: `(attribute_not_exists(#out) OR attribute_exists(#out)))"`,
		},
		{
			name: "sessions: the limit is a condition of the write", file: sessions,
			test: "./shared/store TestConnect_ManyAtOnce",
			from: `#open.#id) AND size(#open) < :most"`,
			to:   `#open.#id) AND (size(#open) < :most OR size(#open) >= :most)"`,
			also: []edit{{sessions, `#open." + name + " = " + value`,
				`(#open." + name + " = " + value + " OR attribute_not_exists(#open." + name + "))"`}},
		},
		{
			name: "sessions: an entry that was written again stays", file: sessions,
			test: "./shared/store TestModelSessions_Found",
			from: `#open." + name + " = " + value`,
			to:   `(#open." + name + " = " + value + " OR attribute_exists(#open." + name + "))"`,
		},
		{
			name: "sessions: a hello evicts no connection", file: sessions, test: rows,
			from: `if len(oldest) > 0 && !o.evicts {`, to: `if len(oldest) > 0 && o.row.ID == "" {`,
		},
	}
}

// endedGuards refuse sessions that were ended.
func endedGuards() []guard {
	const rows = "./shared/store TestStore"
	const model = "./shared/store TestModelSessions"
	const frames = "./functions/message "
	const sessions = "shared/store/sessions.go"
	return []guard{
		{
			name: "sessions: an ended sign-in is refused", file: sessions, test: rows,
			from: `case i.Barred, i.Before != 0 && signedIn <= i.Before:`, to: `case i.Barred:`,
			also: []edit{{sessions, `(attribute_not_exists(#before) OR #before < :signed)`,
				`(attribute_not_exists(#before) OR #before <> :signed)`}},
		},
		{
			name: "sessions: a barred user is refused", file: sessions, test: rows,
			from: `case i.Barred, i.Before`, to: `case i.Before`,
			also: []edit{{sessions, `attribute_not_exists(#barred)`,
				`(attribute_not_exists(#barred) OR attribute_exists(#barred))`}},
		},
		{
			name: "sessions: a sign-out misses no connection", file: "shared/store/signout.go", test: model,
			from: `u.when = "size(#open) = :count"`, to: `u.when = "size(#open) >= :count"`,
		},
		{
			name: "sessions: a row is deleted with its entry", file: sessions, test: model,
			from: `change: "REMOVE #open.#id", when`, to: `change: "SET #open.#id = #open.#id", when`,
		},
		{
			name: "sessions: a row written during a removal is kept", file: sessions, test: model,
			from: `#owner <> :owner", values`, to: `#owner <> :owner OR #owner = :owner", values`,
		},
		{
			name: "sessions: a row that is written again fits the limit", file: sessions, test: model,
			from: `(attribute_exists(#open.#id) OR size(#open) < :most)`,
			to:   `(attribute_exists(#open.#id) OR size(#open) <> :most OR size(#open) = :most)`,
		},
		{
			name: "sessions: a refused frame's socket is closed", file: "shared/lasthop/end.go",
			test: frames + "TestFrame_ConnectionWithoutRow",
			from: `closed := p.Close(ctx, id); closed`, to: `closed := ctx.Err(); closed`,
		},
	}
}

// evictionGuards choose the sockets that a connect or a sign-out may close.
func evictionGuards() []guard {
	const rows, model = "./shared/store TestStore", "./shared/store TestModelSessions"
	return []guard{
		{
			name: "sessions: a connect that fails closes no connection", file: "shared/store/connections.go",
			test: model,
			from: `		return nil, err
	}
	return without(`, to: `		return o.evicted, err
	}
	return without(`,
		},
		{
			name: "sessions: a connect closes no socket of another user", file: "shared/store/connections.go",
			test: rows,
			from: `without(o.evicted, o.foreign)`, to: `without(o.evicted, nil)`,
		},
		{
			name: "sessions: a sign-out closes no socket of another user", file: "shared/store/signout.go", test: rows,
			from: `(maps.Keys(ended)), foreign)`, to: `(maps.Keys(ended)), nil)`,
		},
	}
}
