package mutants

// modelGuards keep a provider's failures from losing answers, from poisoning a thread, and from showing a key or a
// prompt: docs/models.md.
func modelGuards() []guard {
	const suite = "./shared/model "
	const errors, client = "shared/model/internal/exchange/errors.go", "shared/model/internal/exchange/exchange.go"
	return []guard{
		{
			name: "models: an error does not repeat the provider's text", file: errors,
			test: suite + "TestFailures",
			from: `if e.LogText && s.Text != "" {`, to: `if s.Text != "" {`,
		},
		{
			name: "models: an error shows no key", file: errors, test: suite + "TestFailures_LogText",
			from: `fmt.Sprintf("the provider's text: %q", withoutKeys(s.Text))`,
			to:   `fmt.Sprintf("the provider's text: %q", s.Text)`,
		},
		{
			name: "models: only messageStop ends an answer of Bedrock", file: "shared/model/bedrock/bedrock.go",
			test: suite + "TestBedrock_EndsBeforeTheStop",
			from: `case s.stop != "":
	case err != nil:`, to: `case s.stop != "", err == nil:
		s.stop = "end"
	case err != nil:`,
		},
		{
			name: "models: a stream without a stop is cut", file: "shared/model/openai/chat.go",
			test: suite + "TestFailures",
			from: `	if s.stop == "" {
		return s.m.Cut()
	}
	if s.refused`, to: `	if s.stop == "" {
		s.stop = engine.StopEnd
	}
	if s.refused`,
		},
		{
			name: "models: a foreign Keep is restated", file: "shared/model/internal/conv/restate.go",
			test: suite + "TestKeep_Restated",
			from: `keep != "" && !usable || b.o.Thinking && !usable`, to: `keep == "none" && !usable`,
		},
		{
			name: "models: results follow their calls", file: "shared/model/internal/conv/conv.go",
			test: suite + "TestHistories",
			from: `func (b *builder) user(text string) {
	b.flush()`, to: `func (b *builder) user(text string) {`,
		},
		{
			name: "models: a redirect does not take the key with it", file: client,
			test: suite + "TestRedirect",
			from: `return http.ErrUseLastResponse }`, to: `return nil }`,
		},
	}
}

// outputGuards are the rules of structured output.
func outputGuards() []guard {
	return []guard{
		{
			name: "models: an answer fits the agent's schema", file: "shared/engine/outcome.go",
			test: "./functions/turn TestTurn_Output",
			from: `!fits(r.c.Settings.Output, a.text()):`, to: `!fits(r.c.Settings.Output, a.text()) && a == nil:`,
		},
		{
			name: "models: the engine receives the agent's schema", file: "functions/turn/agents.go",
			test: "./functions/turn TestTurn_Output",
			from: `engine.Settings{Output: json.RawMessage(a.Output)}`,
			to:   `engine.Settings{Extra: json.RawMessage(nil), Output: json.RawMessage(a.Output[:0])}`,
		},
	}
}
