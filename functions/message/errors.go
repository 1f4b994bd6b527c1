package main

import (
	"errors"
	"fmt"

	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/wire"
)

// codeOf maps the error of a refusal to the protocol's code. It reports false for a failure.
func codeOf(err error) (wire.Code, bool) {
	switch {
	case errors.Is(err, chat.ErrBadID), errors.Is(err, store.ErrBadCursor):
		return wire.CodeBadFrame, true
	case errors.Is(err, chat.ErrNotFound):
		return wire.CodeNotFound, true
	case errors.Is(err, chat.ErrBusy):
		return wire.CodeBusy, true
	case errors.Is(err, chat.ErrInterrupted):
		return wire.CodeInterrupted, true
	case errors.Is(err, chat.ErrTooManyRuns):
		return wire.CodeTooManyRuns, true
	case errors.Is(err, chat.ErrRateLimited):
		return wire.CodeRateLimited, true
	case errors.Is(err, chat.ErrBudget):
		return wire.CodeBudgetReached, true
	case errors.Is(err, chat.ErrUnknownAgent):
		return wire.CodeUnknownAgent, true
	case errors.Is(err, chat.ErrDenied):
		return wire.CodeDenied, true
	case errors.Is(err, chat.ErrErasing):
		return wire.CodeErasing, true
	case errors.Is(err, chat.ErrReplaced):
		return wire.CodeReplaced, true
	case errors.Is(err, chat.ErrSignedOut):
		return wire.CodeSignedOut, true
	}
	return wire.CodeInternal, false
}

// sentence returns the explanation of a code for the user, and what to do. It reveals no more than the code does.
func sentence(code wire.Code) string {
	switch code {
	case wire.CodeBadFrame:
		return "This id is taken by something else. Use a new one."
	case wire.CodeTokenExpired:
		return "Your sign-in has expired. Sign in again and reconnect."
	case wire.CodeNotFound:
		return "There is nothing of this id."
	case wire.CodeBusy:
		return "This conversation is busy. Wait for the answer, or stop it first."
	case wire.CodeInterrupted:
		return "This conversation waits for your decision. Answer the question first."
	case wire.CodeTooManyRuns:
		return "Too many messages wait already. Wait until some are answered, or cancel them."
	case wire.CodeRateLimited:
		return "Too many requests. Wait a moment and try again."
	case wire.CodeBudgetReached:
		return "You have used all tokens that you may use in one day. The next day begins at midnight UTC."
	case wire.CodeUnknownAgent:
		return "There is no agent of this name. Choose another one."
	case wire.CodeDenied:
		return "You are not allowed to do this."
	case wire.CodeReplaced, wire.CodeSignedOut:
		return wire.LastFrame(code).Message
	case wire.CodeReauthenticate:
		return "Sign in again first: to delete everything you must have signed in within the last five minutes."
	case wire.CodeErasing:
		return "All that you have here is being erased. Nothing new is taken until that is over; come back tomorrow."
	}
	return "Something went wrong here. Try again."
}

// takenID is the refusal of a run with an id that is in use.
func takenID(request string, taken *store.TakenError) *wire.Error {
	no := &wire.Error{RequestID: request, Code: wire.CodeBadFrame, Field: "runId",
		Message: "runId: This id names another run. Use a new one."}
	if taken.Message >= 0 {
		no.Field = fmt.Sprintf("messages[%d].id", taken.Message)
		no.Message = no.Field + ": Another message of this thread has this id. Use a new one."
	}
	return no
}

// badCursor is the refusal of a list with a cursor that the list did not return.
func badCursor(request string) *wire.Error {
	return &wire.Error{RequestID: request, Code: wire.CodeBadFrame, Field: "before",
		Message: "before: This list has not returned this cursor; send the before of an answer, or leave it out."}
}

// answered says that answers came to questions that are not open.
const answered = "This question is not open any more: it was answered elsewhere, or its time is over."

// rejection is the refusal of a run, with the details that the client needs to correct it.
func rejection(f *wire.Run, code wire.Code, err error) *wire.Rejected {
	no := &wire.Rejected{RequestID: f.RequestID, RunID: f.RunID, Code: code, Message: sentence(code)}
	if limited := (*chat.RateLimitedError)(nil); errors.As(err, &limited) {
		no.RetryAfterMS = max(1, limited.After.Milliseconds())
	}
	if spent := (*chat.BudgetError)(nil); errors.As(err, &spent) {
		no.RetryAfterMS = max(1, spent.After.Milliseconds())
	}
	if open := (*store.InterruptedError)(nil); errors.As(err, &open) {
		no.Interrupts = open.Open
		if len(open.Open) == 0 {
			no.Message = answered
		}
		if open.Reason != "" {
			no.Message, no.Field = open.Reason, fieldOf(f, open)
		}
	}
	return no
}

// fieldOf returns the field of the frame that holds the faulty response.
func fieldOf(f *wire.Run, wrong *store.InterruptedError) string {
	for i, answer := range f.Resume {
		if answer.InterruptID == wrong.Interrupt {
			return fmt.Sprintf("resume[%d].%s", i, wrong.Field)
		}
	}
	return "resume"
}
