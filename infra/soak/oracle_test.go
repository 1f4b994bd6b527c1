package soak_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"carrel/shared/agui"
	"carrel/shared/engine"
	"carrel/shared/model/scripted"
	"carrel/shared/tool"
)

// oracle says what a run must say. It knows the question, and the scripted model, which is deterministic; nothing else.
type oracle struct {
	model *scripted.Model
	tools []tool.Spec
}

func newOracle() oracle {
	now := make(chan time.Time)
	close(now)
	o := oracle{model: scripted.New(scripted.Config{Pace: -1,
		After: func(time.Duration) <-chan time.Time { return now }})}
	for _, name := range []string{"calculator", "clock", "notes_save", "notes_list", "notes_search", "notes_delete",
		"notes_clear"} {
		o.tools = append(o.tools, tool.Spec{Name: name})
	}
	return o
}

// answer is one answer of the model.
type answer struct {
	thought, text string
	calls         []agui.FunctionCall
	failed        bool // the model fails behind it
}

func (o oracle) ask(history []agui.Message) (a answer) {
	defer func() {
		if recover() != nil {
			a.failed = true
		}
	}()
	for d, err := range o.model.Stream(context.Background(), engine.Request{Messages: history, Tools: o.tools}) {
		switch {
		case err != nil:
			a.failed = true
		case d.ToolStart != nil:
			a.calls = append(a.calls, agui.FunctionCall{Name: d.ToolStart.Name})
		case d.ToolArgs != "":
			a.calls[len(a.calls)-1].Arguments += d.ToolArgs
		}
		a.thought, a.text = a.thought+d.Reasoning, a.text+d.Text
	}
	return a
}

// said is a run as a client shows it, and how it ended.
type said struct {
	question string
	messages []agui.Message // behind the question
	outcome  outcome
	stopped  bool // somebody wished it to end: it may be cancelled anywhere
	faulty   bool // faults were about: it may fail anywhere
	// answered are the results, as patterns, that the call about which the run asked may have, by the runs that answer
	// it. after is how the one of them ended that had nothing else to say: it went on in the same place.
	answered     []string
	after        outcome
	stoppedAfter bool
}

// outcome is how a run ended, in one word.
type outcome string

const (
	success   outcome = "success"
	asks      outcome = "interrupt"
	cancelled outcome = "cancelled"
	failed    outcome = "error"
)

// check says what a run should not have said, or nil.
func (o oracle) check(s said) error {
	history := []agui.Message{{ID: "q", Role: agui.RoleUser, Content: s.question}}
	c := &checking{oracle: o, said: s}
	if c.from(history, 0, 0) {
		return nil
	}
	return fmt.Errorf("%q ended with %s and is answered by %s\nas far as %d messages it fits; there the model says %+v",
		clip(s.question), s.outcome, render(s.messages), c.best, c.wanted)
}

// checking looks for a way in which the messages can have come about.
type checking struct {
	oracle
	said   said
	best   int
	wanted answer
}

// most is how often a run may have begun an answer anew.
const most = 4

// from reports whether the messages from at on can follow a history.
func (c *checking) from(history []agui.Message, at, broken int) bool {
	want := c.ask(history)
	if at >= c.best {
		c.best, c.wanted = at, want
	}
	next, whole, calls := c.attempt(want, at)
	if whole && want.failed && next == len(c.said.messages) {
		return c.said.outcome == failed || c.excused()
	}
	whole = whole && !want.failed // a worker may have died just before it would have failed
	if whole && len(want.calls) == 0 && next == len(c.said.messages) && (c.said.outcome == success || c.excused()) {
		return true
	}
	if whole && len(want.calls) > 0 {
		said := c.said.messages[at:next]
		i := slices.IndexFunc(said, func(m agui.Message) bool { return len(m.ToolCalls) > 0 })
		switch results := len(said) - 1 - i; {
		case results == 0 && asksFirst(calls):
			return next == len(c.said.messages) && (c.said.outcome == asks || c.excused())
		case results == len(calls) && asksFirst(calls):
			if c.said.after == "" {
				return next == len(c.said.messages) // answered in words, and what they led to is the answering run's
			}
			later := &checking{oracle: c.oracle, said: c.said}
			later.said.outcome, later.said.stopped = c.said.after, c.said.stoppedAfter
			return later.from(append(slices.Clone(history), said[i:]...), next, broken)
		case results == len(calls):
			if c.from(append(slices.Clone(history), said[i:]...), next, broken) {
				return true
			}
		}
	}
	if next == len(c.said.messages) {
		return c.excused()
	}
	return next > at && broken < most && c.from(history, next, broken+1) // a worker died, another said it again
}

func (c *checking) excused() bool {
	return c.said.stopped && c.said.outcome == cancelled || c.said.faulty && c.said.outcome == failed
}

// attempt takes as many messages from at on as one attempt at an answer can have made.
func (c *checking) attempt(want answer, at int) (next int, whole bool, calls []agui.ToolCall) {
	left := c.said.messages[at:]
	take := func() { left, at = left[1:], at+1 }
	thought := want.thought == ""
	if !thought && len(left) > 0 && left[0].Role == agui.RoleReasoning &&
		strings.HasPrefix(want.thought, left[0].Content) {
		thought = left[0].Content == want.thought
		take()
	}
	if !thought || want.text == "" && len(want.calls) == 0 {
		return at, thought, nil
	}
	if len(left) == 0 || left[0].Role != agui.RoleAssistant || !strings.HasPrefix(want.text, left[0].Content) {
		return at, false, nil
	}
	m := left[0]
	if !callsFit(m.ToolCalls, want.calls) {
		return at, false, nil
	}
	take()
	whole = m.Content == want.text && len(m.ToolCalls) == len(want.calls)
	for _, call := range m.ToolCalls {
		if len(left) == 0 || left[0].Role != agui.RoleTool {
			return at, whole, m.ToolCalls
		}
		if left[0].ToolCallID != call.ID || !c.mayResult(call, left[0].Content) {
			return at, false, m.ToolCalls
		}
		whole = whole && !strings.Contains(string(left[0].Metadata), `"incomplete":true`)
		take()
	}
	return at, whole, m.ToolCalls
}

// callsFit reports whether calls are the wanted ones, the last perhaps cut off.
func callsFit(calls []agui.ToolCall, want []agui.FunctionCall) bool {
	if len(calls) > len(want) {
		return false
	}
	for i, c := range calls {
		last := i == len(calls)-1
		if c.Function.Name != want[i].Name || c.Function.Arguments != want[i].Arguments &&
			!(last && strings.HasPrefix(want[i].Arguments, c.Function.Arguments)) {
			return false
		}
	}
	return true
}

func asksFirst(calls []agui.ToolCall) bool {
	return len(calls) == 1 && calls[0].Function.Name == "notes_clear"
}

// What became of a call whose worker died, failed or was stopped.
func broke(content string) bool {
	for _, text := range []string{"A failure cut ", "The answer was cut off before ", "The run was stopped before ",
		"The run ended before this tool call had a result."} {
		if strings.HasPrefix(content, text) {
			return true
		}
	}
	return strings.HasPrefix(content, "The tool ") && (strings.HasSuffix(content, " failed.") ||
		strings.Contains(content, "did not answer within"))
}

// mayResult reports whether a call can have this result. What notes there are depends on the order of runs: of them
// only the form is known here, and that they are the user's own is checked with every frame.
func (c *checking) mayResult(call agui.ToolCall, content string) bool {
	switch call.Function.Name {
	case "calculator":
		var x, y int
		if _, err := fmt.Sscanf(call.Function.Arguments, `{"expression":"%d*%d"}`, &x, &y); err != nil {
			return false
		}
		return content == fmt.Sprint(x*y) || (c.said.stopped || c.said.faulty) && broke(content)
	case "notes_save":
		return regexp.MustCompile(`^Saved as note [1-9]\d*\.$|^There are too many notes already`).MatchString(content) || (c.said.stopped || c.said.faulty) && broke(content)
	case "notes_list":
		return regexp.MustCompile(`^There are no notes\.$|^(\d+ \(\d{4}-\d\d-\d\d\): .*\n?)+$`).MatchString(content) ||
			(c.said.stopped || c.said.faulty) && broke(content)
	case "notes_clear":
		for _, pattern := range c.said.answered {
			if regexp.MustCompile(pattern).MatchString(content) {
				return true
			}
		}
		// it may end before it asks
		return (len(c.said.answered) > 0 || c.said.stopped || c.said.faulty) && broke(content)
	}
	return false
}

// render is what messages say, for a person.
func render(messages []agui.Message) string {
	var b strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&b, "\n  %s: %s", m.Role, clip(m.Content))
		for _, c := range m.ToolCalls {
			fmt.Fprintf(&b, " [%s %s]", c.Function.Name, clip(c.Function.Arguments))
		}
		if len(m.Metadata) > 0 {
			fmt.Fprintf(&b, " %s", m.Metadata)
		}
	}
	if len(messages) == 0 {
		return "nothing"
	}
	return b.String()
}

func clip(text string) string {
	const most = 160
	if len(text) > most {
		return text[:most/2] + "…" + text[len(text)-most/2:]
	}
	return text
}
