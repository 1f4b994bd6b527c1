package scripted

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"carrel/shared/engine"
)

// The verbs of steps, as scripts write them after the slash.
const (
	say    = "say"
	think  = "think"
	stream = "stream"
	wait   = "wait"
	pace   = "pace"
	call   = "call"
	fail   = "fail"
	obey   = "obey"
	recite = "recite"
	quote  = "quote"
	when   = "when"
	keep   = "keep"
	usage  = "usage"
	alive  = "alive"
)

// Bounds of one stream directive. They exceed every limit of a run.
const (
	maxDeltas = 1_000_000
	maxSize   = 64 << 10
)

// step is one directive of a script.
type step struct {
	verb  string
	text  string        // of say and think; or the kind of failure; of when: the field
	tool  string        // of call
	args  string        // of call, JSON text
	n     int           // of stream and alive: the number of deltas; of fail: how often, negative for always
	size  int           // of stream: the bytes of each delta, 0 for no padding; of usage: the output tokens
	low   float64       // of when
	high  float64       // of when: the value must be below
	pause time.Duration // of wait; before each delta, with stream, pace and alive; of fail: the pause to ask for
}

func isScript(message string) bool { return strings.HasPrefix(strings.TrimSpace(message), "/") }

// Check returns why a script is invalid.
func Check(script string) error {
	if _, complaint := parse(script); complaint != "" {
		return errors.New(complaint)
	}
	return nil
}

// parse decodes a script. complaint is the answer to a script that is invalid, and "" otherwise.
func parse(script string) (steps []step, complaint string) {
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if !strings.HasPrefix(line, "/") {
			line = "/" + say + " " + line
		}
		s, err := directive(line)
		if err != nil {
			return nil, fmt.Sprintf("I cannot follow the line %q: %v. %s", line, err, help)
		}
		if n := len(steps); n > 0 && steps[n-1].verb == s.verb && s.text != "" && s.verb != fail {
			s.text = "\n" + s.text // adjacent lines of text stay separate lines
		}
		steps = append(steps, s)
	}
	return steps, ""
}

// directive decodes one line of a script.
func directive(line string) (step, error) {
	verb, rest, _ := strings.Cut(line[1:], " ")
	rest = strings.TrimSpace(rest)
	s := step{verb: verb}
	switch verb {
	case say, think:
		s.text = rest
		return s, need(rest != "", "it needs a text")
	case stream:
		return streamDirective(rest)
	case wait, pace:
		ms, err := strconv.ParseUint(rest, 10, 31)
		s.pause = time.Duration(ms) * time.Millisecond
		return s, need(err == nil, "it needs a number of milliseconds")
	case call:
		s.tool, s.args, _ = strings.Cut(rest, " ")
		if s.args = strings.TrimSpace(s.args); s.args == "" {
			s.args = "{}"
		}
		return s, need(s.tool != "", "it needs a tool's name")
	case fail:
		return failDirective(rest)
	case keep:
		s.text = rest
		return s, need(rest != "", "it needs the data")
	case usage, alive:
		numbers, err := numbersOf(rest)
		if err != nil || len(numbers) != 2 {
			return s, need(false, "it needs two numbers")
		}
		s.n, s.size, s.pause = numbers[0], numbers[1], time.Duration(numbers[1])*time.Millisecond
		return s, nil
	case when:
		return whenDirective(rest)
	case obey:
		return s, need(rest == "", "it stands alone")
	case recite, quote:
		return s, nil
	case "help":
		return step{verb: say, text: help}, nil
	}
	return s, need(false, "there is no such directive")
}

// streamDirective decodes the operands of a stream directive.
func streamDirective(rest string) (step, error) {
	numbers, err := numbersOf(rest)
	if err != nil || len(numbers) < 2 || len(numbers) > 3 {
		return step{}, need(false, fmt.Sprintf("it needs a number of deltas and a rate a second, from 0 to %d",
			maxDeltas))
	}
	numbers = append(numbers, 0)
	if numbers[2] > maxSize {
		return step{}, need(false, fmt.Sprintf("a delta has up to %d bytes", maxSize))
	}
	s := step{verb: stream, n: numbers[0], size: numbers[2]}
	if rate := numbers[1]; rate > 0 {
		s.pause = time.Second / time.Duration(rate)
	}
	return s, nil
}

// numbersOf decodes whole numbers.
func numbersOf(rest string) ([]int, error) {
	var numbers []int
	for f := range strings.FieldsSeq(rest) {
		n, err := strconv.Atoi(f)
		if err != nil || n < 0 || n > maxDeltas {
			return nil, need(false, fmt.Sprintf("its numbers are from 0 to %d", maxDeltas))
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// failDirective decodes the operands of a fail directive.
func failDirective(rest string) (step, error) {
	how, rest, _ := strings.Cut(rest, " ")
	numbers, err := numbersOf(rest)
	s := step{verb: fail, text: how, n: -1}
	if len(numbers) > 0 {
		s.n = numbers[0]
	}
	if len(numbers) > 1 {
		s.pause = time.Duration(numbers[1]) * time.Millisecond
	}
	known := []string{"model", "late", "panic", "tool", "empty", "stall", "output"}
	known = append(known, slices.Sorted(maps.Keys(stops()))...)
	known = append(known, slices.Sorted(maps.Keys(kinds()))...)
	if err != nil || len(numbers) > 2 || !slices.Contains(known, how) {
		return s, need(false, "it needs one of "+strings.Join(known, ", ")+", and then how often")
	}
	return s, nil
}

// need returns an error with the text unless ok.
func need(ok bool, otherwise string) error {
	if ok {
		return nil
	}
	return errors.New(otherwise)
}

// part returns the steps of a script that this model call plays: from the calls that were made already up to the next
// calls.
func part(steps []step, turns []turn, r engine.Request) []step {
	steps = chosen(steps, turns)
	for i, s := range steps {
		switch {
		case s.verb == fail && s.text == "tool":
			steps[i] = badCall(r)
		case s.verb == recite:
			steps[i].text = recital(r)
		}
	}
	for _, t := range turns {
		_, steps = cut(steps)
		if len(steps) > 0 && steps[0].verb == obey {
			steps = append(demanded(t), steps[1:]...)
		}
	}
	for i, s := range steps {
		if s.verb == quote && len(turns) > 0 {
			steps[i].text = quotation(turns[len(turns)-1])
		}
	}
	if now, _ := cut(steps); len(now) > 0 || len(turns) == 0 || len(turns[len(turns)-1].calls) == 0 {
		return now
	}
	return []step{{verb: say, text: report(turns[len(turns)-1])}}
}

// cut splits a script after its first group of adjacent calls, or its first pause.
func cut(steps []step) (now, later []step) {
	for i, s := range steps {
		paused := s.verb == fail && s.text == "pause"
		if paused || s.verb == call && (i+1 == len(steps) || steps[i+1].verb != call) {
			return steps[:i+1], steps[i+1:]
		}
	}
	return steps, nil
}

// demanded returns the calls that the results of tools contain: in each line, the text from "/call" on.
func demanded(t turn) (steps []step) {
	for _, c := range t.calls {
		for line := range strings.Lines(t.results[c.ID]) {
			if at := strings.Index(line, "/"+call+" "); at >= 0 {
				if s, err := directive(strings.TrimSpace(line[at:])); err == nil {
					steps = append(steps, s)
				}
			}
		}
	}
	return steps
}

// badCall calls the first offered tool with arguments that do not fit.
func badCall(r engine.Request) step {
	s := step{verb: call, tool: "missing", args: `{"no such argument":true}`}
	if len(r.Tools) > 0 {
		s.tool = r.Tools[0].Name
	}
	return s
}

// quotation returns the results of calls as they are.
func quotation(t turn) string {
	var all []string
	for _, c := range t.calls {
		all = append(all, t.results[c.ID])
	}
	return strings.Join(all, "\n")
}

// recital returns the whole request as text, so that a test can check it.
func recital(r engine.Request) string {
	var b strings.Builder
	for _, p := range r.System {
		fmt.Fprintf(&b, "system: %s\n", p.Text)
	}
	for _, t := range r.Tools {
		fmt.Fprintf(&b, "offered: %s\n", t.Name)
	}
	for _, m := range r.Messages {
		fmt.Fprintf(&b, "%s: %s\n", m.Role, m.Content)
		for _, c := range m.ToolCalls {
			fmt.Fprintf(&b, "calls: %s %s\n", c.Function.Name, c.Function.Arguments)
		}
	}
	return b.String()
}

// report answers with the results of the calls.
func report(t turn) string {
	var lines []string
	for _, c := range t.calls {
		var in struct {
			Expression string `json:"expression"`
		}
		result := t.results[c.ID]
		err := json.Unmarshal([]byte(c.Function.Arguments), &in)
		if c.Function.Name == calculator && err == nil && in.Expression != "" {
			lines = append(lines, calculated(in.Expression, result))
			continue
		}
		switch c.Function.Name {
		case "clock":
			lines = append(lines, "It is "+result)
		case "ask":
			lines = append(lines, "The answer is: "+result)
		case "notes_save", "notes_list", "notes_search", "notes_delete", "notes_clear":
			lines = append(lines, result)
		default:
			lines = append(lines, c.Function.Name+": "+result)
		}
	}
	return strings.Join(lines, "\n")
}
