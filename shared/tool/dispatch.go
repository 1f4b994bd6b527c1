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

// Call calls a tool with arguments as the model wrote them; no text means no arguments. It always gives a result, at
// the latest when ctx or the run's context ends or the call's time is over, also if the handler does not return:
// the user context's Close then waits for it. Concurrent calls are fine.
func (d *Dispatcher) Call(ctx context.Context, name, arguments string) Result {
	result := d.decide(ctx, name, arguments)
	result.Content = bound(result.Content)
	if d.Record != nil {
		d.Record(Decision{Run: d.user.Run(), Tool: name, Outcome: result.Outcome})
	}
	return result
}

func (d *Dispatcher) decide(ctx context.Context, name, arguments string) Result {
	t, ok := d.tools[name]
	if !ok {
		return Result{Unknown, fmt.Sprintf("There is no tool %q. %s", name, d.offer())}
	}
	if !d.user.Granted(t.grant) {
		return Result{Denied, fmt.Sprintf("This user is not permitted to use the tool %q. %s", name, d.offer())}
	}
	if strings.TrimSpace(arguments) == "" {
		arguments = "{}"
	}
	args := json.RawMessage(arguments)
	if err := t.check(args); err != nil {
		return Result{BadArguments, fmt.Sprintf("The arguments of %s are wrong: %v. Send one JSON object that fits this schema: %s",
			name, err, t.spec.Schema)}
	}
	return d.call(ctx, t, args)
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
func (d *Dispatcher) call(ctx context.Context, t Tool, args json.RawMessage) Result {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(d.user.Context(), func() { cancel(context.Cause(d.user.Context())) })()
	ctx, stop := context.WithTimeoutCause(ctx, callTime, callTimeError{})
	defer stop()
	if ctx.Err() != nil || d.user.Context().Err() != nil {
		return d.ended(ctx, t)
	}
	results := make(chan Result, 1)
	err := d.user.Go("tool "+t.spec.Name, func(context.Context) { results <- d.handle(ctx, t, args) })
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

func (d *Dispatcher) handle(ctx context.Context, t Tool, args json.RawMessage) (r Result) {
	defer func() {
		if v := recover(); v != nil {
			d.logf("run %s: tool %s panicked: %v", d.user.Run(), t.spec.Name, v)
			r = Result{Panicked, "The tool " + t.spec.Name + " failed unexpectedly."}
		}
	}()
	text, err := t.call(ctx, args)
	if err == nil {
		return Result{OK, text}
	}
	var told *Error
	switch {
	case errors.As(err, &told):
		return Result{Failed, told.Text}
	case ctx.Err() != nil:
		return d.ended(ctx, t)
	}
	d.logf("run %s: tool %s failed: %v", d.user.Run(), t.spec.Name, err)
	return Result{Failed, "The tool " + t.spec.Name + " failed."}
}

// ended is the result of a call whose context ended before the handler did.
func (d *Dispatcher) ended(ctx context.Context, t Tool) Result {
	if errors.Is(context.Cause(ctx), callTimeError{}) {
		return Result{TimedOut, fmt.Sprintf("The tool %s did not answer within %v.", t.spec.Name, callTime)}
	}
	return Result{Stopped, fmt.Sprintf("The run was stopped before the tool %s answered.", t.spec.Name)}
}

func (d *Dispatcher) logf(format string, args ...any) {
	if d.Logf != nil {
		d.Logf(format, args...)
	}
}
