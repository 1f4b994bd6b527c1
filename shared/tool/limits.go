package tool

import (
	"fmt"
	"math"
	"time"

	"carrel/shared/usercontext"
)

// callTime is how long one call of a tool may take that says nothing else.
const callTime = 30 * time.Second

// limits bound the calls of one tool.
type limits struct {
	calls  int           // in one run
	time   time.Duration // of one call
	result int           // bytes of one result, as JSON
}

// defaults are the limits of a tool that says nothing else: as many calls as the run may make, 30 seconds each, and the
// longest result that an event has room for.
func defaults() limits { return limits{calls: math.MaxInt, time: callTime, result: MaxResult} }

func (l limits) check() error {
	switch {
	case l.calls < 1:
		return fmt.Errorf("it may be called %d times in a run; want 1 or more", l.calls)
	case l.time <= 0 || l.time > usercontext.MaxRunTime:
		return fmt.Errorf("a call of it may take %v; want up to %v, the longest run", l.time, usercontext.MaxRunTime)
	case l.result < 1 || l.result > MaxResult:
		return fmt.Errorf("its results may have %d bytes; want 1 to %d", l.result, MaxResult)
	}
	return nil
}

// CallsPerRun is the tool with a limit to how often one run may call it, all attempts at the run together. A call beyond
// it is not made, and the model is told so. A call that is denied or has wrong arguments does not count.
func (t Tool) CallsPerRun(n int) Tool {
	t.limits.calls = n
	return t
}

// Deadline is the tool with another limit to the time of one call: the handler's context ends then, and the call with it.
func (t Tool) Deadline(d time.Duration) Tool {
	t.limits.time = d
	return t
}

// ResultBytes is the tool with a shorter limit to the length of one result, measured as JSON: a longer one is cut and says
// so, as is the text of a handler's Error.
func (t Tool) ResultBytes(n int) Tool {
	t.limits.result = n
	return t
}

// result is what a handler said, as long as it may be.
func (t Tool) result(o Outcome, text string) Result {
	content, cut := bound(text, t.limits.result)
	return Result{Outcome: o, Content: content, cut: cut}
}
