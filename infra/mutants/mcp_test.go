package mutants

// mcpGuards keep MCP servers, and the users of one, apart: docs/mcp.md.
func mcpGuards() []guard {
	const dir, test = "shared/tool/mcp/", "./shared/tool/mcp "
	return append(mcpOfferGuards(), []guard{
		{
			name: "mcp: no request without the grant", row: "D2", file: dir + "mcp.go",
			test: test + "TestSource_Grants",
			from: `if !uc.Granted(d.Grant) {`, to: `if !uc.Granted(d.Grant) && d.Grant == "" {`,
		},
		{
			name: "mcp: a lost session is renewed once", file: dir + "call.go", test: test + "TestCall_LostSession",
			from: `if a.missing.Load() && try == 1 {`, to: `if a.missing.Load() && try <= 3 {`,
		},
		{
			name: "mcp: only a call that was not made is repeated", file: dir + "call.go",
			test: test + "TestCall_BrokenConnection",
			from: `if a.missing.Load() && try == 1 {`, to: `if try == 1 {`,
		},
		{
			name: "mcp: a server with state is not called again", file: dir + "call.go",
			test: test + "TestCall_LostSession",
			from: `if again && s.Stateful {`, to: `if again && s.Stateful && s.closed {`,
		},
		{
			name: "mcp: a changed tool is refused", file: dir + "call.go", test: test + "TestPins",
			from: `case now.Digest != l.Digest:`, to: `case now.Digest == "":`,
		},
		{
			name: "mcp: no redirect", row: "D4", file: dir + "transport.go", test: test + "TestCredentials",
			from: `return http.ErrUseLastResponse`, to: `return nil`,
			also: []edit{{file: dir + "transport.go",
				from: `if r.URL.Scheme != t.origin.Scheme || !strings.EqualFold(r.URL.Host, t.origin.Host) {`,
				to:   `if !strings.Contains(r.URL.Scheme, "http") {`}},
		},
		{
			name: "mcp: a session ends with its run", row: "D4", file: dir + "session.go",
			test: test + "TestSource_Sessions",
			from: `s.conn, s.closed = nil, true`, to: `conn, s.conn, s.closed = nil, nil, true`,
		},
		{
			name: "mcp: a late server does not hold up the run", file: dir + "session.go",
			test: test + "TestSource_ServerDown",
			from: `context.WithTimeout(ctx, listTime)`, to: `context.WithTimeout(ctx, 10*listTime)`,
		},
		{
			name: "mcp: a signature is for one host", file: dir + "credentials.go", test: test + "TestCredentialsFrom",
			from: `if r.URL.Host != s.host {`, to: `if r.URL.Host == "" {`,
		},
	}...)
}

// mcpOfferGuards keep a server from deciding about its own tools.
func mcpOfferGuards() []guard {
	const dir, test = "shared/tool/mcp/", "./shared/tool/mcp "
	return []guard{
		{
			name: "mcp: a server's annotations remove no question", row: "D1", file: dir + "offer.go",
			test: test + "TestSource_Questions",
			from: `s.Ask == AskWrites && !readOnly {`,
			to:   `s.Ask == AskWrites && !readOnly && l.Name != "says_it_reads" {`,
		},
		{
			name: "mcp: a server can add a question", file: dir + "offer.go", test: test + "TestSource_Questions",
			from: `s.Ask == AskAlways || l.Destructive ||`, to: `s.Ask == AskAlways ||`,
		},
		{
			name: "mcp: results are marked as text from outside", file: dir + "offer.go",
			test: test + "TestSource_Calls",
			from: `if !s.Trusted {`, to: `if !s.Trusted && s.Grant == "" {`,
		},
		{
			name: "mcp: a name that is cut has a hash", file: dir + "offer.go", test: test + "TestSource_Names",
			from: `if plain == name && len(full) <= maxName {`, to: `if len(full) <= maxName {`,
		},
	}
}
