package engine

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"carrel/shared/agui"
	"carrel/shared/tool"
)

// How many equal calls in a row the model may make. Calls are equal if the tool, the arguments and the result are.
const (
	noteRepeats = 3 // from this one on, the result says so
	maxRepeats  = 5 // this one ends the run
)

// repeatNote is added to the result of a call that repeats the calls before it.
const repeatNote = "\n\n[The last calls were equal and had the same result. Do something else, or answer the person.]"

// streak counts equal calls in a row.
type streak struct {
	key [sha256.Size]byte
	n   int
}

// add counts one call with its result, and returns how many equal calls the row has now.
func (s *streak) add(name, arguments, result string) int {
	if sorted, err := canonical(arguments); err == nil {
		arguments = string(sorted)
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", name, arguments, strings.TrimSuffix(result, repeatNote)))
	if key != s.key {
		*s = streak{key: key}
	}
	s.n++
	return s.n
}

// streakIn returns the row of equal calls with which a log ends.
func streakIn(log []agui.Event, mayRepeat func(name string) bool) (s streak) {
	names, arguments := map[string]string{}, map[string]string{}
	for _, e := range log {
		switch e.Type {
		case agui.ToolCallStart:
			names[e.ToolCallID] = e.ToolCallName
		case agui.ToolCallArgs:
			arguments[e.ToolCallID] += e.Delta
		case agui.ToolCallResult:
			name, ok := names[e.ToolCallID]
			outcome := tool.Outcome(agui.MarksOf(e.Metadata).Outcome)
			if ok && e.Content != nil && !mayRepeat(name) && made(outcome) {
				s.add(name, arguments[e.ToolCallID], *e.Content)
			}
		}
	}
	return s
}

// made reports whether a call with this outcome says anything about the model: a call that was stopped does not.
func made(o tool.Outcome) bool { return o != tool.Stopped && o != tool.NotCalled }

// mayRepeat reports whether equal calls of a tool are useful.
func (r *run) mayRepeat(name string) bool { return r.c.Tools != nil && r.c.Tools.MayRepeat(name) }

// repeats counts a call with its result. It returns the result for the model, and a failure if the run makes no
// progress.
func (r *run) repeats(call agui.ToolCall, got tool.Result) (string, error) {
	name, result := call.Function.Name, got.Content
	if r.mayRepeat(name) || !made(got.Outcome) {
		return result, nil
	}
	n := r.streak.add(name, call.Function.Arguments, result)
	if n >= noteRepeats {
		result += repeatNote
	}
	if n < maxRepeats {
		return result, nil
	}
	return result, &failure{code: CodeRepeating, cause: errors.New("the model repeats a call"),
		message: "The agent repeated the same step without progress. Put the request in other words."}
}
