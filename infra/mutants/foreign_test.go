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
			name: "tools: a source that panics costs its own tools", file: source,
			test: "./shared/tool TestRegistry_WithSources",
			from: `report(fmt.Errorf("list the tools of a source: panic: %v", v))`, to: `report(nil)`,
		},
	}
}
