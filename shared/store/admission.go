package store

import (
	"context"
	"fmt"
	"slices"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// Admission is a user's request for a run.
type Admission struct {
	Run       chat.RunID
	Thread    chat.ThreadID
	Agent     string
	Messages  []agui.Message
	Grants    []string
	WhenBusy  chat.WhenBusy
	Title     string     // of the thread, if this run creates it
	Responses []Response // to all of the thread's open interrupts; Admit sets the Interrupt of each

	// Owned checks that the connection of the request belongs to the user; nil: the request has no connection. Admit
	// calls Owned during its first read and writes nothing before Owned has succeeded. If Owned fails, Admit returns
	// its error.
	Owned func(context.Context) error `json:"-"`

	// Judge checks the Responses once their interrupts are set, and may choose the Agent. A nil Judge accepts all
	// responses. If Judge fails, the run is refused before anything is stored; Admit sets the list of an
	// *InterruptedError.
	Judge func(a *Admission) error `json:"-"`
}

// Response is a person's response together with its interrupt, so that the run that continues needs no other record.
type Response struct {
	Interrupt agui.Interrupt `json:"interrupt"`
	Resume    agui.Resume    `json:"resume"`
}

// AnsweredCalls returns the tool calls that the run continues because of the responses. Each response names a call. If
// a sub-agent made the call, the calls that asked this sub-agent are returned too, before it.
func (a Admission) AnsweredCalls() []agui.LineCall {
	var calls []agui.LineCall
	for _, response := range a.Responses {
		for _, c := range response.Interrupt.Calls() {
			if !slices.Contains(calls, c) {
				calls = append(calls, c)
			}
		}
	}
	return calls
}

// InterruptedError is a chat.ErrInterrupted: a run does not respond to each of the thread's open interrupts, or a
// response is invalid. It lists the open interrupts.
type InterruptedError struct {
	Open      []agui.Interrupt
	Reason    string           // for the person: why a response is invalid. It may quote it; Error does not
	Interrupt chat.InterruptID // whose response is invalid
	Field     string           // of that response, such as payload.approved
}

// Error includes the number of open interrupts.
func (e *InterruptedError) Error() string {
	return fmt.Sprintf("%v: %d interrupts are open", chat.ErrInterrupted, len(e.Open))
}

// Unwrap returns chat.ErrInterrupted.
func (e *InterruptedError) Unwrap() error { return chat.ErrInterrupted }

// Admitted is the result of an admission.
type Admitted struct {
	Run      Run
	Position int  // among the queued runs, from 1; 0 if the run is not queued
	Repeat   bool // an earlier request admitted the run
	Invoke   bool // the run has a slot and no turn has claimed it: the caller invokes turn
}
