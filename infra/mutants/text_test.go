package mutants

import "slices"

// textGuards keep a text complete, from the model to the person and back.
func textGuards() []guard {
	const engine, chars = "./shared/engine ", "shared/chars/chars.go"
	return slices.Concat(historyGuards(), wholeAnswerGuards(), []guard{
		{
			name: "text: no delta ends inside a character", file: "shared/engine/tail.go",
			test: engine + "TestAnswer_SplitCharacters",
			from: `!utf8.FullRuneInString(s[at:])`, to: `!utf8.FullRuneInString(s[at:]) && at < 0`,
		},
		{
			name: "text: invalid text is replaced once", file: "shared/engine/tail.go",
			test: engine + "TestAnswer_SplitCharacters",
			from: `return string([]rune(s))`, to: `return s`,
		},
		{
			name: "text: text that opens again is another message", file: "shared/engine/answer.go",
			test: engine + "TestAnswer_TextOpensAgain",
			from: `a.next(a.message != "")`, to: `a.next(false)`,
		},
		{
			name: "text: a call behind thinking is in another message", file: "shared/engine/answer.go",
			test: engine + "TestAnswer_TextOpensAgain",
			from: `a.next(a.thought)`, to: `a.next(false)`,
		},
		{
			name: "text: a cut falls between clusters", file: chars,
			test: "./shared/tool TestResult_CutBetweenClusters",
			from: `if most-at > longest {`, to: `if most > at {`,
		},
		{
			name: "text: a cut of held text considers the previous text", file: "shared/agui/bound.go",
			test: "./shared/agui TestFolder_CutBetweenClusters",
			from: `keep := chars.Head(whole, f.most)`, to: `keep := whole[:min(len(whole), f.most)]`,
		},
		{
			name: "text: an invisible message is refused", file: "shared/wire/run.go",
			test: "./shared/wire TestClientFrames",
			from: `if o.err == nil && chars.Blank(m.Content) {`,
			to:   `if o.err == nil && m.Content == "" && chars.Blank(m.Content) {`,
		},
		{
			name: "text: a message id in use is skipped", file: "shared/agui/fold.go",
			test: "./shared/agui TestFolder_Rules",
			from: "	if f.byID[e.MessageID] != nil {\n		return\n	}\n", to: "",
		},
		{
			name: "text: a run's call is not taken for an earlier run's", file: "shared/agui/fold.go",
			test: "./shared/agui TestFolder_Rules",
			from: "		clear(f.calls) // a model may name its calls the same in every run\n", to: "",
		},
	})
}

// historyGuards give a model the text that the person has read.
func historyGuards() []guard {
	const engine = "./shared/engine "
	return []guard{
		{
			name: "text: a model is sent an answer as one message", file: "shared/engine/history.go",
			test: engine + "TestAnswer_TextOpensAgain",
			from: `e := answers[marks.Continues]`, to: `e := answers[marks.Stop]`,
		},
		{
			name: "text: a stopped answer says so to the model", file: "shared/engine/history.go",
			test: engine + "TestHistory_AnswerCutOff",
			from: `if s.marks.Incomplete && m.Role == agui.RoleAssistant {`,
			to:   `if s.marks.Incomplete && s.marks.Again {`,
		},
		{
			name: "text: the model is informed that an answer was stopped", file: "shared/engine/engine.go",
			test: engine + "TestHistory_AnswerCutOff",
			from: `r.closeOpen(errors.Is(end, ErrCancelled))`, to: `r.closeOpen(false)`,
		},
		{
			name: "text: a repeated half answer is not sent", file: "shared/engine/history.go",
			test: engine + "TestHistory_AnswerAgain",
			from: `if s.marks.Again && repeated(all[i+1:]) {`, to: `if s.marks.Again && !repeated(all[i+1:]) {`,
		},
		{
			name: "text: a client writes no marks", file: "shared/agui/marks.go",
			test: engine + "TestHistory_MetadataOfClients",
			from: `json.Unmarshal(members["carrel"], &m)`, to: `json.Unmarshal(metadata, &struct{ Carrel *Marks }{&m})`,
		},
	}
}

// wholeAnswerGuards keep answers whole, whatever fails.
func wholeAnswerGuards() []guard {
	const engine = "./shared/engine "
	return []guard{
		{
			name: "runs: a call of an answer without a mark was not made", file: "shared/agui/open.go",
			test: "./shared/agui TestCloseAttempt_PendingCalls",
			from: `		l.unmarked = append(l.unmarked, e.ToolCallID)
`, to: ``,
		},
		{
			name: "runs: the mark is in the record of its answer's end", file: "shared/engine/answer.go",
			test: engine + "TestRun_AnswersHaveMarks",
			from: `	return a.r.emit(append(ends, agui.CustomEvent(agui.CustomAnswer, mark))...)
`, to: `	if err := a.r.emit(ends...); err != nil {
		return err
	}
	return a.r.emit(agui.CustomEvent(agui.CustomAnswer, mark))
`,
		},
		{
			name: "runs: an answer that was cut is closed before the next try", file: "shared/engine/policy.go",
			test: engine + "TestPolicy_CutAnswer",
			from: `	return r.emit(append(r.cutAnswer(), agui.CustomEvent(agui.CustomAgain, value))...)
`, to: `	return r.emit(agui.CustomEvent(agui.CustomAgain, value))
`,
		},
		{
			name: "runs: a provider that refuses is not asked again", file: "shared/engine/policy.go",
			test: engine + "TestPolicy",
			from: `case e.Kind == Refused, s.tries`, to: `case s.tries`,
		},
		{
			name: "runs: pauses are bounded", file: "shared/engine/policy.go",
			test: engine + "TestPolicy",
			from: `if s.paused+pause > pauseAnswer || s.r.paused+pause > pauseRun {`, to: `if false {`,
		},
		{
			name: "runs: what a provider wants back is in no frame", file: "shared/wire/run.go",
			test: "./shared/wire TestEncode_EmptiesWhatProvidersWantBack",
			from: `			e.EncryptedValue = new(string)
`, to: ``,
		},
	}
}
