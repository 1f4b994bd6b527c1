package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/usercontext"
)

// ErrCancelled is the cancel cause of a run that its user stopped.
var ErrCancelled = errors.New("engine: the user stopped the run")

// The codes of RUN_ERROR.
const (
	CodeModel      = "model_error"
	CodeBusy       = "model_busy"       // no model accepts a request now
	CodeRefused    = "model_refused"    // no model is available to this deployment
	CodeTooLong    = "context_too_long" // the conversation does not fit the model
	CodeRepeating  = "repeating"        // the model makes the same call again and again
	CodeNoAnswer   = "no_answer"        // the model's answers were empty
	CodeBadOutput  = "bad_output"       // the model's answers do not fit the output's schema
	CodeMaxTokens  = "max_tokens_twice" // the model's calls were cut at the output limit, twice
	CodeTimeLimit  = "time_limit"
	CodeModelCalls = "model_call_limit"
	CodeToolCalls  = "tool_call_limit"
	CodeTokens     = "token_limit"
	CodeEvents     = "event_limit"
	CodeOutput     = "output_limit"
	CodeMemory     = "memory_limit"
	CodeInternal   = "internal"
	CodeDied       = "worker_died" // only sweep writes it
	CodeNoCapacity = "no_capacity" // only sweep writes it
)

// failure ends a run with a RUN_ERROR. The person sees its message. Its cause goes to the log only.
type failure struct {
	code, message string
	cause         error
}

func (f *failure) Error() string { return fmt.Sprintf("%s: %v", f.code, f.cause) }

func (f *failure) Unwrap() error { return f.cause }

// sinkError ends a run without a terminal event: nothing more can be written.
type sinkError struct{ cause error }

func (e *sinkError) Error() string { return "emit an event: " + e.cause.Error() }

func (e *sinkError) Unwrap() error { return e.cause }

func limitReached(code, what string, limit int) error {
	return &failure{
		code:    code,
		message: fmt.Sprintf("The run was ended because it reached its limit of %d %s.", limit, what),
		cause:   errors.New("limit reached"),
	}
}

func modelFailed(cause error) error {
	return &failure{code: CodeModel, message: "The model could not answer. Try again in a moment.", cause: cause}
}

// stopped returns the reason why a run whose context has ended stops.
func stopped(ctx context.Context) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, ErrCancelled):
		return ErrCancelled
	case errors.Is(cause, chat.ErrLeaseLost):
		return &sinkError{cause: cause}
	case errors.Is(cause, usercontext.ErrTimeLimit):
		return &failure{code: CodeTimeLimit, message: "The run was ended because it reached its time limit.",
			cause: cause}
	case errors.Is(cause, usercontext.ErrMemoryLimit):
		return &failure{code: CodeMemory, message: "The run was ended because it took more memory than it may.",
			cause: cause}
	}
	return &failure{code: CodeInternal, message: "The run was interrupted. Try again.", cause: cause}
}

// guard calls f and returns a panic in it as a failure, so that a panic ends only this run.
func (r *run) guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &failure{
				code: CodeInternal, message: "The run failed because of an internal error.",
				cause: fmt.Errorf("panic: %v\n%s", v, debug.Stack()),
			}
		}
	}()
	return f()
}

// terminal makes the terminal event of a run whose loop ended with this error, with the run's usage.
func (r *run) terminal(end error) agui.Event {
	return agui.WithStats(r.ended(end), r.c.User.Count(chat.RunStats{}))
}

// ended makes the terminal event without the usage.
func (r *run) ended(end error) agui.Event {
	finished := agui.Event{
		Type: agui.RunFinished, ThreadID: r.c.User.Thread(), RunID: r.c.User.Run(),
		Outcome: &agui.Outcome{Type: agui.OutcomeSuccess}, Usage: r.allUsage(),
	}
	if end == nil {
		if r.asked {
			finished.Outcome = &agui.Outcome{Type: agui.OutcomeInterrupt, Interrupts: r.finalInterrupts()}
		}
		return finished
	}
	if errors.Is(end, ErrCancelled) {
		finished.Outcome.Type = agui.OutcomeCancelled
		return finished
	}
	f := failureOf(end)
	r.logf("run %s ended with %s: %v", r.c.User.Run(), f.code, f.cause)
	return agui.Event{Type: agui.RunError, Message: f.message, Code: f.code, Usage: r.allUsage()}
}

// failureOf returns the failure with which a line ended.
func failureOf(end error) *failure {
	var f *failure
	if !errors.As(end, &f) {
		f = &failure{code: CodeInternal, message: "The run failed because of an internal error.", cause: end}
	}
	return f
}

// logf logs for the operator. Lines log concurrently.
func (r *run) logf(format string, args ...any) {
	if r.c.Logf == nil {
		return
	}
	r.logging.Lock()
	defer r.logging.Unlock()
	r.c.Logf(format, args...)
}
