package tool

import (
	"fmt"
	"math"
	"time"
)

// MaxCallTime is the longest time limit of one call. A call has to fit into one invocation of Lambda, because a call
// that is cut leaves an unknown effect.
const MaxCallTime = 10 * time.Minute

// callTime is the default time limit of one call.
const callTime = 30 * time.Second

// limits bound the calls of one tool.
type limits struct {
	calls  int           // in one run
	time   time.Duration // of one call
	result int           // bytes of one result, as JSON
}

// defaults returns the limits of a tool that sets none: as many calls as the run may make, 30 seconds for each, and the
// longest result that an event has room for.
func defaults() limits { return limits{calls: math.MaxInt, time: callTime, result: MaxResult} }

func (l limits) check() error {
	switch {
	case l.calls < 1:
		return fmt.Errorf("it may be called %d times in a run; want 1 or more", l.calls)
	case l.time <= 0 || l.time > MaxCallTime:
		return fmt.Errorf("a call of it may take %v; want up to %v", l.time, MaxCallTime)
	case l.result < 1 || l.result > MaxResult:
		return fmt.Errorf("its results may have %d bytes; want 1 to %d", l.result, MaxResult)
	}
	return nil
}

// CallsPerRun returns a copy of the tool that one run may call at most n times, in all its attempts together. A call
// beyond the limit is not made, and the model reads that. Denied calls and calls with wrong arguments do not count.
func (t Tool) CallsPerRun(n int) Tool {
	t.limits.calls = n
	return t
}

// Deadline returns a copy of the tool with another time limit for one call. At the limit the handler's context ends,
// and the call with it.
func (t Tool) Deadline(d time.Duration) Tool {
	t.limits.time = d
	return t
}

// ResultBytes returns a copy of the tool with a lower limit to the length of one result, measured as JSON. A longer
// result is cut and gets a marker. The same applies to the text of a handler's Error.
func (t Tool) ResultBytes(n int) Tool {
	t.limits.result = n
	return t
}

// result makes the Result of a handler's text, and cuts it at the tool's limit.
func (t Tool) result(o Outcome, text string) Result {
	content, cut := bound(text, t.limits.result)
	return Result{Outcome: o, Content: content, Outside: t.outside, cut: cut}
}

// CallTime returns how long one call of a named tool may take; 0 for a tool that the run does not have.
func (d *Dispatcher) CallTime(name string) time.Duration { return d.tools[name].limits.time }

// Repeats returns a copy of the tool of which equal calls in a row are useful, because their results may change, such
// as a tool that reads the state of a long job. A run is not warned about them and not ended because of them.
func (t Tool) Repeats() Tool {
	t.repeats = true
	return t
}

// MayRepeat reports whether a tool was declared with Tool.Repeats.
func (d *Dispatcher) MayRepeat(name string) bool { return d.tools[name].repeats }
