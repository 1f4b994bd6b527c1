package mutants

// foreignToolGuards keep tools that another party wrote, such as those of an MCP server, in their place.
func foreignToolGuards() []guard {
	const raw, source = "./shared/tool TestRaw_RefusedSchemas", "shared/tool/source.go"
	return []guard{
		{
			name: "tools: a schema does not refer to itself", file: "shared/tool/schema.go", test: raw,
			from: `return 0, fmt.Errorf("the schema refers to itself at %q", "#"+at)`,
			to:   `return 1, nil`,
		},
		{
			name: "tools: a schema has few alternatives", file: "shared/tool/schema.go", test: raw,
			from: `sum > maxSchemaWeight`, to: `sum < 0`,
		},
		{
			name: "tools: a question by the arguments is asked", file: "shared/tool/question.go",
			test: "./shared/tool TestTool_AskWhen",
			from: `if question := t.askWhen(args); question != "" {`,
			to:   `if question := t.askWhen(args); question == "-" {`,
		},
		{
			name: "tools: a source takes no tool's name", file: "shared/tool/registry.go",
			test: "./shared/tool TestRegistry_WithSources",
			from: `if _, twice := r.tools[name]; twice {`,
			to:   `if _, twice := r.tools[name]; twice && t.origin == "" {`,
		},
		{
			name: "tools: a source gives itself to no agent", file: source, test: "./shared/tool TestRegistry_Match",
			from: `|| (source == "") != (t.origin == "") {`, to: `&& source != "" {`,
		},
		{
			name: "tools: a missing tool may have been called", file: "shared/tool/dispatch.go",
			test: "./shared/tool TestCall_MissingTool",
			from: `case !ok && c.MayHaveRun:`, to: `case !ok && c.MayHaveRun && c.Edited:`,
		},
		{
			name: "tools: no progress after the result", file: "shared/tool/progress.go",
			test: "./shared/tool TestProgress",
			from: `p.latest, p.ended = nil, true`, to: `p.latest = nil`,
		},
		{
			name: "tools: a source that panics costs its own tools", file: source,
			test: "./shared/tool TestRegistry_WithSources",
			from: `report(fmt.Errorf("list the tools of a source: panic: %v", v))`, to: `report(nil)`,
		},
	}
}

// outsideGuards let a person decide about calls that a text from outside may have led to.
func outsideGuards() []guard {
	const outside, fetch, get = "shared/engine/outside.go", "shared/tool/fetch/fetch.go",
		"shared/tool/internal/guardedhttp/get.go"
	return []guard{
		{
			name: "outside: a question after text from outside is asked", file: "shared/tool/question.go",
			test: "./shared/tool TestTool_AskOutside",
			from: `question != "" && before.Outside {`, to: `question == "-" && before.Outside {`,
		},
		{
			name: "outside: an unknown conversation may hold text from outside", file: "shared/tool/question.go",
			test: "./shared/tool TestTool_AskOutside",
			from: `before := Conversation{Outside: true}`, to: `before := Conversation{}`,
		},
		{
			name: "outside: a result of this run counts", file: "shared/engine/run.go",
			test: "./shared/engine TestRun_AskOutside",
			from: `r.outside = r.outside || hasOutside(results)`, to: `r.outside = r.outside && hasOutside(results)`,
		},
		{
			name: "outside: the next worker asks about the same calls", file: outside,
			test: "./shared/engine TestPendingCall_AskOutside",
			from: `!requested && agui.MarksOf`, to: `agui.MarksOf`,
		},
		{
			name: "outside: a text of an earlier run counts", file: outside,
			test: "./shared/engine TestPendingCall_AskOutside",
			from: `agui.MarksOf(m.Metadata).Outside {`, to: `agui.MarksOf(m.Metadata).Edited {`,
		},
		{
			name: "outside: a page is marked", row: "D4", file: fetch, test: "./functions/turn TestInjection",
			from: `t.ReadOnly().Outside().Deadline`, to: `t.ReadOnly().Deadline`,
		},
		{
			name: "outside: a page cannot send a run to another host", row: "D4", file: fetch,
			test: "./functions/turn TestInjection",
			from: `err != nil || c.allows(host) ||`, to: `err != nil || c.allows(host) || host != "" ||`,
		},
		{
			name: "outside: a redirect to another host is not followed", row: "D4", file: get,
			test: "./shared/tool/internal/guardedhttp TestGet_Redirects",
			from: `return http.ErrUseLastResponse`, to: `return nil`,
		},
	}
}

// guardedGuards keep a request that a user, a model or a page chooses away from everything but public addresses.
func guardedGuards() []guard {
	const file, test = "shared/tool/internal/guardedhttp/guardedhttp.go", "./shared/tool/internal/guardedhttp "
	return []guard{
		{
			name: "guarded: the dialled address is public", row: "D4", file: file, test: test + "TestNew_Rebinding",
			from: `if !public(target.Addr()) {`, to: `if !public(target.Addr()) && target.Port() == 0 {`,
		},
		{
			name: "guarded: an IPv6 address that stands for one of IPv4", row: "D4", file: file,
			test: test + "TestControl_Addresses",
			from: `a = a.Unmap()`, to: `a = a.WithZone(a.Zone())`,
		},
		{
			name: "guarded: a NAT64 address", row: "D4", file: file, test: test + "TestControl_Addresses",
			from: `if a.Is6() && netip`, to: `if a.Is4() && netip`,
		},
		{
			name: "guarded: the shared address space", row: "D4", file: file, test: test + "TestControl_Addresses",
			from: `"100.64.0.0/10", `, to: ``,
		},
		{
			name: "guarded: the port of the runtime", row: "D4", file: file, test: test + "TestControl_Addresses",
			from: `int(target.Port()) == c.RuntimePort {`, to: `int(target.Port()) == -c.RuntimePort {`,
		},
		{
			name: "guarded: no proxy", file: file, test: test + "TestNew_RefusedAddresses",
			from: `Proxy: nil,`,
			to:   `Proxy: func(*http.Request) (*url.URL, error) { return url.Parse("http://127.0.0.1:1") },`,
		},
		{
			name: "guarded: https only", file: file, test: test + "TestNew_Redirects",
			from: `case u.Scheme == "https" || t.loopback && u.Scheme == "http" && local(u.Hostname()):`,
			to:   `case local("localhost"):`,
		},
		{
			name: "guarded: three redirects", file: file, test: test + "TestNew_Redirects",
			from: `if len(via) > maxRedirects {`, to: `if len(via) > 2*maxRedirects {`,
		},
		{
			name: "guarded: another origin receives no credentials", row: "D4", file: file,
			test: test + "TestNew_RedirectedCredentials",
			from: `r.Header.Del(name)`, to: `_ = name`,
		},
		{
			name: "guarded: another origin receives no body", row: "D4", file: file,
			test: test + "TestNew_RedirectedCredentials",
			from: `if r.Body != nil && r.Body != http.NoBody {`, to: `if r.Body == http.NoBody {`,
		},
	}
}
