package main

import "carrel/shared/agui"

// questions are the thread's open interrupts as of the last event of its log: the thread's row has those of its head,
// and the log goes on after it. The row may be one run older than the log that was read next. A run begins only where
// nothing is asked any more, and what it asks is said by its last event.
func (v view) questions() []agui.Interrupt {
	if v.last.Last <= v.thread.Head {
		return v.thread.Interrupts
	}
	if n := len(v.last.Events); n > 0 {
		if e := v.last.Events[n-1]; e.Type == agui.RunFinished && e.Outcome != nil && e.Outcome.Type == agui.OutcomeInterrupt {
			return e.Outcome.Interrupts
		}
	}
	return nil
}
