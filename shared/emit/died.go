package emit

import (
	"time"

	"carrel/shared/agui"
)

// The error codes engine.CodeDied, engine.CodeInternal and engine.CodeNoCapacity.
const (
	codeDied       = "worker_died"
	codeInternal   = "internal"
	codeNoCapacity = "no_capacity"
)

// Started returns the first event of a run. It holds the input, so that the user's other devices show it, and names the
// agent.
func Started(in agui.RunInput, agent string, now time.Time) agui.Event {
	return agui.Event{
		Type: agui.RunStarted, Timestamp: now.UnixMilli(), ThreadID: in.ThreadID, RunID: in.RunID, Input: &in,
		Metadata: agui.Marks{Agent: agent}.Metadata(),
	}
}

// Died returns the last record of a run whose worker has died, for a log that ends with earlier. If earlier is empty,
// the record begins the run. It closes what earlier left open, and the tool calls in interrupted, whose results the run
// was to bring. Then it ends the run.
func Died(earlier []agui.Event, interrupted []agui.LineCall, started agui.Event) []agui.Event {
	return failed(len(earlier) > 0, agui.Close(earlier, interrupted...), started, agui.WithStats(agui.Event{
		Type: agui.RunError, Code: codeDied,
		Message: "The answer was cut off by a failure on our side. Ask again to get a new one.",
	}, agui.RunStats(earlier)))
}

// NotStarted returns all events of a run that never got a worker, because Lambda had no capacity. It closes the tool
// calls in interrupted, whose results the run was to bring.
func NotStarted(interrupted []agui.LineCall, started agui.Event) []agui.Event {
	return failed(false, agui.Close(nil, interrupted...), started, agui.Event{
		Type: agui.RunError, Code: codeNoCapacity,
		Message: "Nothing was done, because the service is busy and could not start in time. Wait a few minutes, " +
			"then ask again.",
	})
}

// Unreadable returns the last record of a run that cannot continue, because its stored data cannot be read. begun says
// whether the log has events of the run; earlier is the readable part of them.
func Unreadable(begun bool, earlier []agui.Event, started agui.Event) []agui.Event {
	return failed(begun, agui.Close(earlier), started, agui.WithStats(agui.Event{
		Type: agui.RunError, Code: codeInternal, Message: "What this run needs cannot be read any more. Ask again.",
	}, agui.RunStats(earlier)))
}

func failed(begun bool, closing []agui.Event, started, failure agui.Event) []agui.Event {
	var last []agui.Event
	if !begun {
		last = append(last, started)
	}
	last = append(append(last, closing...), failure)
	for i := range last {
		last[i].Timestamp = started.Timestamp
	}
	return last
}
