package emit

import (
	"time"

	"carrel/shared/agui"
)

// engine.CodeDied, engine.CodeInternal and engine.CodeNoCapacity.
const (
	codeDied       = "worker_died"
	codeInternal   = "internal"
	codeNoCapacity = "no_capacity"
)

// Started is a run's first event. It carries the question, so that the user's other devices see it, and names the
// agent.
func Started(in agui.RunInput, agent string, now time.Time) agui.Event {
	return agui.Event{
		Type: agui.RunStarted, Timestamp: now.UnixMilli(), ThreadID: in.ThreadID, RunID: in.RunID, Input: &in,
		Metadata: agui.Marks{Agent: agent}.Metadata(),
	}
}

// Died is the last record of a run whose worker has died, after the events that its log has: it begins the run if
// they are none, closes what they left open, asked among it (calls that a person was asked about, whose results the run
// was to bring), and ends it.
func Died(earlier []agui.Event, asked []string, started agui.Event) []agui.Event {
	return failed(len(earlier) > 0, agui.Close(earlier, asked...), started, agui.WithStats(agui.Event{
		Type: agui.RunError, Code: codeDied,
		Message: "The answer was cut off by a failure on our side. Ask again to get a new one.",
	}, agui.RunStats(earlier)))
}

// NotStarted is the whole of a run that never got a worker, because Lambda had no capacity. asked are the calls that a
// person was asked about, whose results the run was to bring.
func NotStarted(asked []string, started agui.Event) []agui.Event {
	return failed(false, agui.Close(nil, asked...), started, agui.Event{
		Type: agui.RunError, Code: codeNoCapacity,
		Message: "Nothing was done, because the service is busy and could not start in time. Wait a few minutes, " +
			"then ask again.",
	})
}

// Unreadable is the last record of a run of which something that is stored cannot be read, so that nobody can go on
// with it. begun tells whether the log has anything of it; earlier is what could be read of that.
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
