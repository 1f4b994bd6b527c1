package emit

import (
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// codeDied is engine.CodeDied: the code of a run whose worker has died.
const codeDied = "worker_died"

// Started is a run's first event. It carries the question, so that the user's other devices see it.
func Started(thread chat.ThreadID, run chat.RunID, asked []agui.Message, now time.Time) agui.Event {
	return agui.Event{
		Type: agui.RunStarted, Timestamp: now.UnixMilli(), ThreadID: thread, RunID: run,
		Input: &agui.RunInput{ThreadID: thread, RunID: run, Messages: asked},
	}
}

// Died is the last record of a run whose worker has died, after the events that its log has: it begins the run if
// they are none, closes what they left open, and ends it.
func Died(earlier []agui.Event, started agui.Event) []agui.Event {
	var last []agui.Event
	if len(earlier) == 0 {
		last = append(last, started)
	}
	last = append(last, agui.Close(earlier)...)
	last = append(last, agui.WithFigures(agui.Event{
		Type: agui.RunError, Code: codeDied,
		Message: "The answer was cut off by a failure on our side. Ask again to get a new one.",
	}, agui.Figures(earlier)))
	for i := range last {
		last[i].Timestamp = started.Timestamp
	}
	return last
}
