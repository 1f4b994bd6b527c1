// Package engine is the run loop. It calls a model and tools, and emits AG-UI events. It does not depend on AWS or the
// store. Start with Run.
package engine

import (
	"context"
	"errors"
	"fmt"

	"carrel/shared/agui"
	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

// Sink receives a run's events in order. Emit is called by one goroutine at a time, and Sync may be called beside it.
// The events of one Emit enter the same record of the log, so that a worker's death cannot separate them. Emit may
// block (backpressure), and must not keep the slice. An error of Emit ends the run, because the log accepts no more
// events. Sync returns when all emitted events are durable.
type Sink interface {
	Emit(ctx context.Context, events ...agui.Event) error
	Sync(ctx context.Context) error
}

// Agent is what one agent needs to answer.
type Agent struct {
	Name     string
	Models   []Candidate // the model that answers, and then the models that replace it if it fails; at least one
	System   []Part
	Settings Settings         // part of each request
	Tools    *tool.Dispatcher // nil: the agent has no tools
	Asks     []Colleague      // the agents that it may ask
	Handoffs []Colleague      // the agents that may take over from it
}

// Config describes one run, or one attempt at it. The run's usage is counted in the user context. The caller must have
// counted the usage of previous attempts there. Tools may be nil, and then the run has no tools. Ready, NewID and Logf
// may be nil.
type Config struct {
	User     *usercontext.Context
	Agent    // answers the person; an interrupt carries its name, so that the same agent continues
	UserHash string
	// Open makes an agent that another one asks, for one line, with a child of the given user context. The engine
	// closes the child. It may be called concurrently. It may be nil if no agent has Asks.
	Open func(parent *usercontext.Context, line, name string) (Agent, *usercontext.Context, error)
	// Successor makes an agent that takes over the run, with the run's user context. It may be nil if no agent has
	// Handoffs.
	Successor func(name string) (Agent, error)
	// History has the thread's earlier messages, this run's input, and the messages of its previous attempts, oldest
	// first, of all lines.
	History []agui.Message
	// Log has the run's events so far, of all lines. The engine reads its previous answers and their usage from it.
	Log     []agui.Event
	Pending []PendingCall // calls to make before the first model call
	Sink    Sink
	// Ready is called before each model call and each round of tool calls. Its error ends the run as a Sink's error
	// does.
	Ready    func(ctx context.Context) error
	HandOver HandOver
	// Failed is called with each failure of a model's provider, for the operator: the model's name, the number of the
	// try and the error. It may be nil.
	Failed func(model string, try int, e *ModelError)
	// NewID makes ids of messages and tool calls, unique in the thread; nil: random ids.
	NewID func() string
	// Logf receives the causes of failures, which the person does not see.
	Logf func(format string, args ...any)
}

// Run runs the loop to its end and returns the run's terminal event, RUN_FINISHED or RUN_ERROR. It does not emit that
// event, because the caller writes it together with the run's status. The caller has also emitted RUN_STARTED.
//
// Before Run returns, every opened message and step is closed and each tool call has its result. The exception is the
// outcome interrupt: a person must respond to the calls that it names. A tool is called only after the answer with the
// call is durable, so that another worker finds the call in the log if this one dies. If Log has an answer that ends
// the run, Run does not call the model again.
//
// An exceeded limit, a failed model, and a panic of the model or the sink become a RUN_ERROR with a code. A context
// that was cancelled with the cause ErrCancelled becomes the outcome cancelled.
//
// Run returns an error, and no terminal event, if nothing more can be written: the sink failed, the context's cause is
// chat.ErrLeaseLost, c is incomplete, or the user context has carried a run before. It returns ErrHandOver if another
// worker has to continue the run.
func Run(ctx context.Context, c Config) (agui.Event, error) {
	if c.User == nil || len(c.Models) == 0 || c.Models[0].Model == nil || c.Sink == nil {
		return agui.Event{}, errors.New("run an agent: the user context, the model or the sink is missing")
	}
	executed, err := c.User.Execute()
	if err != nil {
		return agui.Event{}, fmt.Errorf("run an agent: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.User.Context(), func() { cancel(context.Cause(c.User.Context())) })()
	r, err := newRun(ctx, c)
	if err != nil {
		return agui.Event{}, fmt.Errorf("run an agent: %w", err)
	}
	end := r.guard(func() error { return r.loop(ctx) })
	if errors.Is(end, ErrHandOver) {
		executed(nil)
		return agui.Event{}, ErrHandOver
	}
	if errors.Is(end, ErrCancelled) {
		executed(nil) // a cancel is not a failure
	} else {
		executed(end)
	}
	if sink := (*sinkError)(nil); errors.As(end, &sink) {
		return agui.Event{}, sink
	}
	if end == nil && r.asked {
		if err := r.guard(r.suspend); err != nil {
			return agui.Event{}, &sinkError{cause: err}
		}
	}
	if err := r.closeOpen(errors.Is(end, ErrCancelled)); err != nil {
		return agui.Event{}, err
	}
	return r.terminal(end), nil
}
