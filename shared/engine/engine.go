// Package engine is the run loop: a model and tools in, AG-UI events out. It knows no AWS and no store. One Run is
// built from one user context and used once.
package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"carrel/shared/agui"
	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

// Model streams one answer to a conversation. Implementations are shared by all runs and hold no user's anything;
// concurrent calls are fine. The sequence ends after a Delta with a Stop, or with an error; when ctx ends the provider's
// call is aborted and the sequence ends with ctx's error.
type Model interface {
	Stream(ctx context.Context, r Request) iter.Seq2[Delta, error]
}

// Request is one model call. The model must not keep or change it.
type Request struct {
	System   string
	Messages []agui.Message
	Tools    []tool.Spec
}

// Delta is one piece of an answer: exactly one of its members is set.
type Delta struct {
	Text      string      // a piece of the answer's text
	Reasoning string      // a piece of thinking
	ToolStart *ToolStart  // a tool call begins; its arguments follow
	ToolArgs  string      // a piece of the last begun call's arguments, as JSON text
	Usage     *agui.Usage // tokens used; may come once a call
	Stop      StopReason  // the last delta
}

// ToolStart begins a tool call. Its id is the provider's own; the run gives the call another, unique in the thread, which
// later requests carry.
type ToolStart struct{ ID, Name string }

// StopReason is why a model stopped.
type StopReason string

// The reasons to stop.
const (
	StopEnd       StopReason = "end"        // it has said all
	StopTools     StopReason = "tools"      // it waits for the results of its tool calls
	StopMaxTokens StopReason = "max_tokens" // cut
	StopFiltered  StopReason = "filtered"   // refused by the provider
)

// Sink takes a run's events in order. Emit may block (backpressure); its error ends the run, for the log does not take
// any more. Sync returns once all of them are durable.
type Sink interface {
	Emit(ctx context.Context, e agui.Event) error
	Sync(ctx context.Context) error
}

// Config is one run, or one attempt at it. What the run has used is counted in the user context, where what earlier
// attempts used is to be counted already. Logf, NewID and Ready may be nil, and so may Tools: the run has none then.
type Config struct {
	User    *usercontext.Context
	Agent   string // whose run it is, for who goes on with what it asks a person
	Model   Model
	System  string
	Tools   *tool.Dispatcher
	History []agui.Message // the thread's earlier messages, this run's input and what its earlier attempts said, oldest first
	Pending []PendingCall  // calls to begin with
	Sink    Sink
	Ready   func(ctx context.Context) error  // asked before each model call and each round of tool calls; its error ends the run as a Sink's does
	NewID   func() string                    // ids of messages and tool calls, unique in the thread; nil: random ones
	Logf    func(format string, args ...any) // gets the failures that a person is not told; nil: nobody
}

// Run runs the loop to its end and returns the run's terminal event (RUN_FINISHED or RUN_ERROR), which it does not
// emit: the caller writes it together with the run's status, as it has emitted RUN_STARTED. Everything opened is closed
// before, and each tool call has its result, unless the outcome is interrupt: then a person is asked about the calls that
// it names. No tool is called before the answer that calls it is durable, so that who goes on after this worker's death
// knows of the call. If the History ends with a whole answer the run is finished without another. A panic of the
// model or the sink, an exceeded limit and a failed model become a RUN_ERROR with a named code; a cancelled context (cause
// ErrCancelled) becomes the outcome cancelled. The error is non-nil only if the sink failed (or the context's cause is
// chat.ErrLeaseLost, or c lacks something, or its user context has carried a run before): nothing more can be written then,
// and there is no terminal event.
func Run(ctx context.Context, c Config) (agui.Event, error) {
	if c.User == nil || c.Model == nil || c.Sink == nil {
		return agui.Event{}, errors.New("run an agent: the user context, the model or the sink is missing")
	}
	executed, err := c.User.Execute()
	if err != nil {
		return agui.Event{}, fmt.Errorf("run an agent: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.User.Context(), func() { cancel(context.Cause(c.User.Context())) })()
	r := newRun(ctx, c)
	end := r.guard(func() error { return r.loop(ctx) })
	if errors.Is(end, ErrCancelled) {
		executed(nil) // as was asked
	} else {
		executed(end)
	}
	if sink := (*sinkError)(nil); errors.As(end, &sink) {
		return agui.Event{}, sink
	}
	if end == nil {
		for _, i := range r.asked {
			r.open.Suspend(i.ToolCallID)
		}
	}
	if err := r.closeOpen(errors.Is(end, ErrCancelled)); err != nil {
		return agui.Event{}, err
	}
	return r.terminal(end), nil
}
