package main

import (
	"carrel/shared/agui"
	"carrel/shared/engine"
	"carrel/shared/store"
)

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

// judge refuses an answer that does not fit its question: the question stays open. A run that names no agent goes on with
// the one that asked.
func (r *request) judge(a *store.Admission) error {
	for _, answer := range a.Responses {
		if wrong := engine.CheckResponse(answer.Interrupt, answer.Resume); wrong != nil {
			return &store.InterruptedError{Reason: wrong.Text, Interrupt: answer.Resume.InterruptID, Field: wrong.Field}
		}
	}
	if a.Agent == "" {
		a.Agent = engine.InterruptAgent(a.Responses[0].Interrupt)
	}
	return r.agent(a.Agent)
}
