package main

import (
	"carrel/shared/agui"
	"carrel/shared/chat"
)

// questions are the thread's open interrupts as of the last event that was read: the thread's row has those of its head,
// and the log goes on after it. The row may be one run older than the log that was read next.
func (v view) questions() []agui.Interrupt {
	open := v.thread.Interrupts
	for _, rec := range v.records {
		for i, e := range rec.Events {
			switch {
			case rec.Seq+chat.Seq(i) <= v.thread.Head:
			case e.Type == agui.RunStarted: // one begins only where nothing is asked any more
				open = nil
			case e.Type == agui.RunFinished && e.Outcome != nil && e.Outcome.Type == agui.OutcomeInterrupt:
				open = e.Outcome.Interrupts
			}
		}
	}
	return open
}
