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

// oracle derives the expected answer of a run from its question and the scripted model, which is deterministic. It
// knows nothing else.
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
	failed        bool // the model fails after it
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

// transcript is a run as a client shows it, with its outcome.
type transcript struct {
	question string
	messages []agui.Message // after the question
	outcome  outcome
	stopped  bool // its cancellation was requested, so it may be cancelled anywhere
	faulty   bool // faults were possible, so it may fail anywhere
	// answered holds patterns of the results that an interrupted call may get from the runs that respond to it. after
	// is the outcome of a responding run without a text of its own: it continues in the same place.
	answered     []string
	after        outcome
	stoppedAfter bool
}

// outcome is the way in which a run ended.
type outcome string

const (
	success     outcome = "success"
	interrupted outcome = "interrupt"
	cancelled   outcome = "cancelled"
	failed      outcome = "error"
)

// check returns an error if a run's messages do not follow from its question.
func (o oracle) check(s transcript) error {
	history := []agui.Message{{ID: "q", Role: agui.RoleUser, Content: s.question}}
	c := &checking{oracle: o, transcript: s}
	if c.from(history, 0, 0) {
		return nil
	}
	return fmt.Errorf("%q ended with %s, and its answer is %s\nThe first %d messages fit; then the model returns %+v",
		clip(s.question), s.outcome, render(s.messages), c.best, c.wanted)
}

// checking searches for an explanation of the messages.
type checking struct {
	oracle
	transcript transcript
	best       int
	wanted     answer
}

// most is the largest number of times that a run may have restarted an answer.
const most = 4

// from reports whether the messages from position at can follow a history.
func (c *checking) from(history []agui.Message, at, broken int) bool {
	want := c.ask(history)
	if at >= c.best {
		c.best, c.wanted = at, want
	}
	next, whole, calls := c.attempt(want, at)
	if whole && want.failed && next == len(c.transcript.messages) {
		return c.transcript.outcome == failed || c.excused()
	}
	whole = whole && !want.failed // a worker may have died just before it would have failed
	if whole && len(want.calls) == 0 && next == len(c.transcript.messages) &&
		(c.transcript.outcome == success || c.excused()) {
		return true
	}
	if whole && len(want.calls) > 0 {
		transcript := c.transcript.messages[at:next]
		i := slices.IndexFunc(transcript, func(m agui.Message) bool { return len(m.ToolCalls) > 0 })
		switch results := len(transcript) - 1 - i; {
		case results == 0 && needsApproval(calls):
			return next == len(c.transcript.messages) && (c.transcript.outcome == interrupted || c.excused())
		case results == len(calls) && needsApproval(calls):
			if c.transcript.after == "" {
				return next == len(c.transcript.messages) // the responding run has its own text, and so its own answer
			}
			later := &checking{oracle: c.oracle, transcript: c.transcript}
			later.transcript.outcome, later.transcript.stopped = c.transcript.after, c.transcript.stoppedAfter
			return later.from(append(slices.Clone(history), transcript[i:]...), next, broken)
		case results == len(calls):
			if c.from(append(slices.Clone(history), transcript[i:]...), next, broken) {
				return true
			}
		}
	}
	if next == len(c.transcript.messages) {
		return c.excused()
	}
	return next > at && broken < most && c.from(history, next, broken+1) // a worker died, and the next one repeated it
}

func (c *checking) excused() bool {
	return c.transcript.stopped && c.transcript.outcome == cancelled || c.transcript.faulty &&
		c.transcript.outcome == failed
}

// attempt consumes the messages from position at that one attempt at an answer can have made.
func (c *checking) attempt(want answer, at int) (next int, whole bool, calls []agui.ToolCall) {
	left := c.transcript.messages[at:]
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

// callsFit reports whether calls are the expected ones; the last may be cut off.
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

func needsApproval(calls []agui.ToolCall) bool {
	return len(calls) == 1 && calls[0].Function.Name == "notes_clear"
}

// cutOff reports whether a result belongs to a call whose worker died, failed or was stopped.
func cutOff(content string) bool {
	for _, text := range []string{"A failure cut ", "The answer was cut off before ", "The run was stopped before ",
		"The run ended before this tool call had a result."} {
		if strings.HasPrefix(content, text) {
			return true
		}
	}
	return strings.HasPrefix(content, "The tool ") && (strings.HasSuffix(content, " failed.") ||
		strings.Contains(content, "did not answer within"))
}

// mayResult reports whether a call can have this result. The notes depend on the order of runs, so only their form is
// checked here; the listener checks in every frame that they are the user's own.
func (c *checking) mayResult(call agui.ToolCall, content string) bool {
	broken := (c.transcript.stopped || c.transcript.faulty) && cutOff(content)
	matches := func(pattern string) bool { return regexp.MustCompile(pattern).MatchString(content) }
	switch call.Function.Name {
	case "calculator":
		var x, y int
		if _, err := fmt.Sscanf(call.Function.Arguments, `{"expression":"%d*%d"}`, &x, &y); err != nil {
			return false
		}
		return content == fmt.Sprint(x*y) || broken
	case "notes_save":
		return matches(`^Saved as note [1-9]\d*\.$|^There are too many notes already`) || broken
	case "notes_list":
		return matches(`^There are no notes\.$|^(\d+ \(\d{4}-\d\d-\d\d\): .*\n?)+$`) || broken
	case "notes_clear":
		for _, pattern := range c.transcript.answered {
			if matches(pattern) {
				return true
			}
		}
		// the run may end before it asks
		return len(c.transcript.answered) > 0 && cutOff(content) || broken
	}
	return false
}

// render formats messages for a failure report.
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
