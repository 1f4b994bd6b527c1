package main

import (
	"carrel/shared/agui"
	"carrel/shared/engine"
	"carrel/shared/store"
)

// openInterrupts returns the thread's open interrupts as of the last event of its log. The row of the thread has those
// as of its head, and it may be one run older than the log, which was read later. A run begins only if no interrupt is
// open, and its last event holds the interrupts that it opens.
func (v view) openInterrupts() []agui.Interrupt {
	if v.last.Last <= v.thread.Head {
		return v.thread.Interrupts
	}
	if n := len(v.last.Events); n > 0 {
		if e := v.last.Events[n-1]; e.Type == agui.RunFinished && e.Outcome != nil &&
			e.Outcome.Type == agui.OutcomeInterrupt {
			return e.Outcome.Interrupts
		}
	}
	return nil
}

// checkResponses refuses a response that does not fit its interrupt, which stays open. If the run names no agent, the
// agent that opened the interrupt continues.
func (r *request) checkResponses(a *store.Admission) error {
	for _, answer := range a.Responses {
		if wrong := engine.CheckResponse(answer.Interrupt, answer.Resume); wrong != nil {
			return &store.InterruptedError{Reason: wrong.Text, Interrupt: answer.Resume.InterruptID, Field: wrong.Field}
		}
	}
	if a.Agent == "" {
		a.Agent = engine.InterruptAgent(a.Responses[0].Interrupt)
	}
	_, err := r.agents.Find(a.Agent, r.in.Grants)
	return err
}
