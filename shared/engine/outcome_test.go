package engine_test

import (
	"slices"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/engine"
)

// marks returns the marks of the run's answers, and fails the test if one is not in the record of its answer's end.
func (f *fixture) marks() (all []agui.Answer) {
	f.t.Helper()
	for _, record := range f.sink.records {
		for i, e := range record {
			a, ok := agui.AnswerOf(e)
			if !ok {
				continue
			}
			all = append(all, a)
			if i == 0 && a.Message != "" {
				f.t.Errorf("the mark %+v is not in the record of its answer's end", a)
			}
		}
	}
	return all
}

// sent formats what the model received in its n-th call.
func (m *model) sent(n int) string {
	var all []string
	for _, m := range m.asked[n].Messages {
		text := string(m.Role) + ":" + m.Content
		for _, c := range m.ToolCalls {
			text += " calls " + c.Function.Name + c.Function.Arguments
		}
		all = append(all, text)
	}
	return strings.Join(all, "\n")
}

func TestRun_AnswersHaveMarks(t *testing.T) {
	m := says([]engine.Delta{text("Let me"), start("echo"), args(`{"say":"a"}`), used("big", 5, 1), used("big", 5, 6),
		stop(engine.StopTools)}, []engine.Delta{text("Done."), stop("tired")})
	f := setUp(t, m, chat.Limits{})
	f.run()
	first, last := f.messages()[0].ID, f.messages()[2].ID
	want := []agui.Answer{
		{N: 1, Message: first, Stop: "tools", Model: "big", Usage: &agui.Usage{InputTokens: 5, OutputTokens: 6},
			Calls: 1},
		{N: 2, Message: last, Stop: "tired"},
	}
	got := f.marks()
	if len(got) != 2 || *got[0].Usage != *want[0].Usage {
		t.Fatalf("the marks are %+v", got)
	}
	got[0].Usage = want[0].Usage
	if !slices.Equal(got, want) {
		t.Errorf("the marks are %+v, want %+v", got, want)
	}
}

// What follows an unusual answer.
func TestRun_UnusualAnswers(t *testing.T) {
	ok := []engine.Delta{text("ok"), stop(engine.StopEnd)}
	call := []engine.Delta{start("echo"), args(`{"say":"a"}`)}
	cut := []engine.Delta{start("echo"), args(`{"say":"a"}`), start("echo"), args(`{"say`), stop(engine.StopMaxTokens)}
	for name, c := range map[string]struct {
		model *model
		said  string // the last request
		asked int
		code  string
	}{
		"an empty answer is requested again once": {says([]engine.Delta{stop(engine.StopEnd)}, ok),
			"user:hello\nuser:[Your last answer was empty. Answer the person now, or call a tool.]", 2, ""},
		"white space is empty":  {says([]engine.Delta{text(" \n"), stop(engine.StopEnd)}), "", 2, engine.CodeNoAnswer},
		"the calls of an end":   {says(append(call, stop(engine.StopEnd)), ok), "", 2, ""},
		"a refusal with a text": {says([]engine.Delta{text("No."), stop(engine.StopRefusal)}), "", 1, ""},
		"a stop sequence":       {says([]engine.Delta{text("so"), stop(engine.StopSequence)}), "", 1, ""},
		"a pause": {says([]engine.Delta{text("so"), stop(engine.StopPause)}, ok), "user:hello\nassistant:so", 2,
			""},
		"malformed once": {says([]engine.Delta{text("bad"), start("echo"), stop(engine.StopMalformed)}, ok),
			"user:hello",
			2, ""},
		"cut in a call": {says(cut, ok), "user:hello\nassistant: calls echo{\"say\":\"a\"} calls echo{}\n" +
			"tool:echo a\ntool:This call was cut off at the output limit and was not made. Send less in one call.", 2,
			""},
	} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t, c.model, chat.Limits{})
			end := f.run()
			if end.Code != c.code || len(c.model.asked) != c.asked {
				t.Errorf("ended with %+v after %d model calls", end, len(c.model.asked))
			}
			if got := c.model.sent(len(c.model.asked) - 1); c.said != "" && got != c.said {
				t.Errorf("the model was sent\n%s\nwant\n%s", got, c.said)
			}
			if got := f.marks(); len(got) != c.asked {
				t.Errorf("the marks are %+v", got)
			}
		})
	}
}

// A blocked question is not sent again. Later models learn which tools were called.
func TestRun_Filtered(t *testing.T) {
	for name, answer := range map[string][]engine.Delta{
		"in a text": {text("half"), stop(engine.StopFiltered)}, "at once": {stop(engine.StopFiltered)},
		"in a call": {text("x"), start("echo"), stop(engine.StopFiltered)},
		"thinking":  {reasoning("half"), stop(engine.StopFiltered)},
	} {
		m := says([]engine.Delta{start("echo"), args(`{"say":"a"}`), stop(engine.StopTools)}, answer)
		f := setUp(t, m, chat.Limits{})
		if end := f.run(); end.Outcome == nil || len(m.asked) != 2 {
			t.Errorf("%s: ended with %+v after %d model calls", name, end, len(m.asked))
		}
		next := done()
		f2 := setUp(t, next, chat.Limits{})
		f2.config.History = slices.Concat(f.config.History, f.messages(),
			[]agui.Message{{ID: "u2", Role: agui.RoleUser, Content: "next"}})
		f2.run()
		called := "echo (done)"
		if name == "in a call" {
			called += ", echo (not_called)"
		}
		want := "user:[withheld by the content policy]\nassistant:[withheld. Tools called: " + called + "]\nuser:next"
		if got := next.sent(0); got != want {
			t.Errorf("%s: the next model was sent\n%s\nwant\n%s", name, got, want)
		}
	}
}

// An answer that does not fit the output's schema is requested again, twice at most.
func TestRun_Output(t *testing.T) {
	bad, good := []engine.Delta{text("four"), stop(engine.StopEnd)}, []engine.Delta{text(`{"n":4}`),
		stop(engine.StopEnd)}
	for name, c := range map[string]struct {
		model *model
		asked int
		code  string
	}{
		"good": {says(good), 1, ""}, "good at last": {says(bad, bad, good), 3, ""},
		"never": {says(bad), 3, engine.CodeBadOutput},
	} {
		f := setUp(t, c.model, chat.Limits{})
		f.config.Settings.Output = []byte(`{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}`)
		if end := f.run(); end.Code != c.code || len(c.model.asked) != c.asked {
			t.Errorf("%s: ended with %+v after %d model calls", name, end, len(c.model.asked))
		}
		for _, m := range f.messages() {
			marks := agui.MarksOf(m.Metadata)
			if refused := m.Content == "four"; marks.Again != refused || marks.Incomplete != refused {
				t.Errorf("%s: the message %q has the marks %+v", name, m.Content, marks)
			}
		}
	}
}
