package tool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"carrel/shared/agui"
	"carrel/shared/usercontext"
)

// callTime is how long one call may take.
const callTime = 30 * time.Second

// callTimeError is the cancel cause of a call that took too long.
type callTimeError struct{}

func (callTimeError) Error() string { return "tool: the call took too long" }

// Dispatcher calls tools for one run. It is made from one user context and refuses after its Close. Its hooks are set
// before the first call; they may be called concurrently.
type Dispatcher struct {
	Record func(Decision)                   // gets every call's outcome; nil: nobody
	Logf   func(format string, args ...any) // gets failures that are not told to the model; nil: nobody

	user  *usercontext.Context
	tools map[string]Tool
}

// NewDispatcher makes the dispatcher of one run with those of the named tools that exist in the registry; a name that
// does not is an error of the agent's definition.
func NewDispatcher(uc *usercontext.Context, r *Registry, names []string) (*Dispatcher, error) {
	if uc == nil {
		return nil, errors.New("make a tool dispatcher: no user context")
	}
	if err := uc.Context().Err(); err != nil {
		return nil, fmt.Errorf("make a tool dispatcher: %w", context.Cause(uc.Context()))
	}
	d := &Dispatcher{user: uc, tools: make(map[string]Tool, len(names))}
	for _, name := range names {
		t, ok := r.tools[name]
		if !ok {
			return nil, fmt.Errorf("make a tool dispatcher: there is no tool %q", name)
		}
		d.tools[name] = t
	}
	return d, nil
}

// Specs are the tools that this run may call, sorted by name: those that its grants allow.
func (d *Dispatcher) Specs() []Spec {
	specs := make([]Spec, 0, len(d.tools))
	for _, name := range slices.Sorted(maps.Keys(d.tools)) {
		if t := d.tools[name]; d.user.Granted(t.grant) {
			specs = append(specs, t.spec.clone())
		}
	}
	return specs
}

// Call makes a call that a model asked for. It always gives a result, at the latest when ctx or the run's context ends
// or the call's time is over, also if the handler does not return: the user context's Close then waits for it. Whether
// the tool exists, may be used and takes these arguments is looked at before a person is asked. Concurrent calls are fine.
func (d *Dispatcher) Call(ctx context.Context, c Call) Result {
	result := d.decide(ctx, c)
	result.Content = bound(result.Content)
	if d.Record != nil {
		d.Record(Decision{Run: d.user.Run(), Tool: c.Name, Outcome: result.Outcome})
	}
	return result
}

func (d *Dispatcher) decide(ctx context.Context, c Call) Result {
	t, ok := d.tools[c.Name]
	if !ok {
		return Result{Outcome: Unknown, Content: fmt.Sprintf("There is no tool %q. %s", c.Name, d.offer())}
	}
	if !d.user.Granted(t.grant) {
		return Result{Outcome: Denied, Content: fmt.Sprintf("This user is not permitted to use the tool %q. %s", c.Name, d.offer())}
	}
	if strings.TrimSpace(c.Arguments) == "" {
		c.Arguments = "{}"
	}
	if err := t.check(json.RawMessage(c.Arguments)); err != nil {
		return Result{Outcome: BadArguments, Content: fmt.Sprintf(
			"The arguments of %s are wrong: %v. Send one JSON object that fits this schema: %s", c.Name, err, t.spec.Schema)}
	}
	switch {
	case t.question != "" && !c.Approved: // it was not made before either, whatever Again says
		return ask(c, Question{Reason: agui.ReasonToolCall, Message: t.question})
	case c.Again && !t.idempotent:
		return Result{Outcome: UnknownCall, Content: agui.UnknownOutcome}
	}
	return d.call(ctx, t, c)
}

// offer says what can be called instead.
func (d *Dispatcher) offer() string {
	var names []string
	for _, s := range d.Specs() {
		names = append(names, s.Name)
	}
	if len(names) == 0 {
		return "There are no tools in this conversation."
	}
	return "There are: " + strings.Join(names, ", ") + "."
}

// call runs the handler in a goroutine of the user context, which outlives this call if the handler ignores its
// deadline.
func (d *Dispatcher) call(ctx context.Context, t Tool, c Call) Result {
	ctx = context.WithValue(ctx, keyOf{}, d.user.User().Hash()+":"+string(d.user.Run())+":"+c.ID)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(d.user.Context(), func() { cancel(context.Cause(d.user.Context())) })()
	ctx, stop := context.WithTimeoutCause(ctx, callTime, callTimeError{})
	defer stop()
	if ctx.Err() != nil || d.user.Context().Err() != nil {
		return d.ended(ctx, t)
	}
	results := make(chan Result, 1)
	err := d.user.Go("tool "+t.spec.Name, func(context.Context) { results <- d.handle(ctx, t, c) })
	if err != nil {
		return d.ended(ctx, t)
	}
	select {
	case r := <-results:
		return r
	case <-ctx.Done():
		return d.ended(ctx, t)
	}
}

func (d *Dispatcher) handle(ctx context.Context, t Tool, c Call) (r Result) {
	defer func() {
		if v := recover(); v != nil {
			d.logf("run %s: tool %s panicked: %v", d.user.Run(), t.spec.Name, v)
			r = Result{Outcome: Panicked, Content: "The tool " + t.spec.Name + " failed unexpectedly."}
		}
	}()
	text, err := t.call(ctx, json.RawMessage(c.Arguments))
	if err == nil {
		return Result{Outcome: OK, Content: text}
	}
	var told *Error
	var input *InputError
	switch {
	case errors.As(err, &input):
		return ask(c, Question{Reason: agui.ReasonInputRequired, Message: input.Message, Schema: input.Schema})
	case errors.As(err, &told):
		return Result{Outcome: Failed, Content: told.Text}
	case ctx.Err() != nil:
		return d.ended(ctx, t)
	}
	d.logf("run %s: tool %s failed: %v", d.user.Run(), t.spec.Name, err)
	return Result{Outcome: Failed, Content: "The tool " + t.spec.Name + " failed."}
}

// ended is the result of a call whose context ended before the handler did.
func (d *Dispatcher) ended(ctx context.Context, t Tool) Result {
	if errors.Is(context.Cause(ctx), callTimeError{}) {
		return Result{Outcome: TimedOut, Content: fmt.Sprintf("The tool %s did not answer within %v.", t.spec.Name, callTime)}
	}
	return Result{Outcome: Stopped, Content: fmt.Sprintf("The run was stopped before the tool %s answered.", t.spec.Name)}
}

func (d *Dispatcher) logf(format string, args ...any) {
	if d.Logf != nil {
		d.Logf(format, args...)
	}
}
